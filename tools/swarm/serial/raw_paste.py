"""Gives code to a board's raw REPL while a node runs there, which prints a line whenever it has something to say.

This is MicroPython's raw-paste mode (its documentation, "MicroPython raw REPL"), as mpremote speaks it too; but there a
byte that the node prints between those of the protocol counts as a fault. Here it is passed over: the protocol's own
bytes are control characters, and a node prints text.
"""

from __future__ import annotations

import time

import serial
from mpremote.transport import TransportError

_ENTER = b"\x05A\x01"
_ENTERED = b"R\x01"
_REFUSED = b"raw REPL; CTRL-B to exit\r\n>"  # by a MicroPython before 1.14, which begins anew
_PIECE, _REST_S = 64, 0.01
_TAKEN = b"OK"
_MORE, _END = 0x01, 0x04  # from the board: it takes another window of bytes; it takes no more
# For all of it, whatever comes in between; and so many bytes a second more.
_PATIENCE_S = 10.0
_ENTER_S = 5.0  # for the board to begin with it
_SLOWEST = 500


def send(port: serial.Serial, code: bytes) -> None:
    """Give code to a raw REPL that has shown its prompt, and have it start. TransportError when it takes none."""
    begun = time.monotonic()
    port.write(_ENTER)
    seen = b""
    while not seen.endswith(_ENTERED):
        seen = (seen + _read(port, 1, begun + _ENTER_S))[-len(_REFUSED) :]
        if seen == _REFUSED:
            _send_plainly(port, code, begun + _PATIENCE_S + len(code) / _SLOWEST)
            return
    end = begun + _PATIENCE_S + len(code) / _SLOWEST
    room = window = int.from_bytes(_read(port, 2, end), "little")
    while code:
        while room == 0 or port.in_waiting:
            byte = _read(port, 1, end)[0]
            if byte == _MORE:
                room += window
            elif byte == _END:  # it has had enough, as after an interrupt: what it says next tells why
                port.write(bytes((_END,)))
                return
        port.write(code[:room])
        code, room = code[room:], room - len(code[:room])
    port.write(bytes((_END,)))
    while _read(port, 1, end)[0] != _END:
        pass


def _send_plainly(port: serial.Serial, code: bytes, end: float) -> None:
    """Give code to a raw REPL of MicroPython before 1.14, which has no flow control: slowly."""
    for start in range(0, len(code), _PIECE):
        port.write(code[start : start + _PIECE])
        time.sleep(_REST_S)
    port.write(bytes((_END,)))
    seen = b""
    while seen != _TAKEN:
        seen = (seen + _read(port, 1, end))[-len(_TAKEN) :]


def _read(port: serial.Serial, count: int, end: float) -> bytes:
    if time.monotonic() >= end:
        raise TransportError("the board does not take code: it goes on with something else")
    data = port.read(count)
    if len(data) < count:
        raise TransportError("the board does not take code: it has fallen silent")
    return data

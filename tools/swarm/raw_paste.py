"""Gives code to a board's raw REPL while a node runs there, which prints a line whenever it has something to say.

This is MicroPython's raw-paste mode (its documentation, "MicroPython raw REPL"), as mpremote speaks it too; but there a
byte that the node prints between those of the protocol counts as a fault. Here it is passed over: the protocol's own
bytes are control characters, and a node prints text.
"""

from __future__ import annotations

import serial
from mpremote.transport import TransportError

_ENTER = b"\x05A\x01"
_ENTERED = b"R\x01"
_MORE, _END = 0x01, 0x04  # from the board: it takes another window of bytes; it takes no more


def send(port: serial.Serial, code: bytes) -> None:
    """Give code to a raw REPL that has shown its prompt, and have it start. TransportError when it takes none."""
    port.write(_ENTER)
    seen = b""
    while not seen.endswith(_ENTERED):
        seen += _read(port, 1)
    window = int.from_bytes(_read(port, 2), "little")
    room = window
    while code:
        while room == 0 or port.in_waiting:
            byte = _read(port, 1)[0]
            if byte == _MORE:
                room += window
            elif byte == _END:  # it has had enough, as after an interrupt: what it says next tells why
                port.write(bytes((_END,)))
                return
        port.write(code[:room])
        code, room = code[room:], room - len(code[:room])
    port.write(bytes((_END,)))
    while _read(port, 1)[0] != _END:
        pass


def _read(port: serial.Serial, count: int) -> bytes:
    data = port.read(count)
    if len(data) < count:
        raise TransportError("the board does not take code: it has fallen silent")
    return data

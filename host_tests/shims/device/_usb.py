"""The USB port of an RP2040 as a board's program meets it, on a virtual board whose boot.py imports this.

As in C (v1.28.0, shared/tinyusb/mp_usbd_cdc.c): what is printed goes into a FIFO, and where that is full a print waits
until 500 ms have gone without room, then drops the rest. A poll of sys.stdout for POLLOUT tells whether there is room
for one byte. The host has the port open; `reads` is whether it reads, for a test to change. The prompt's own words and
tracebacks go past the FIFO.
"""

import builtins
import io
import select
import sys

import _chip

_ROOM = 256  # bytes: CFG_TUD_CDC_TX_BUFSIZE
_TIMEOUT_US = 500_000  # MICROPY_HW_USB_CDC_TX_TIMEOUT

reads = True
_fifo = ""
_print = builtins.print


def _room():
    """How many bytes the FIFO takes, once the host has taken what it takes."""
    global _fifo
    if reads and _fifo:
        _print(_fifo, end="")
        _fifo = ""
    return _ROOM - len(_fifo)


def _put(*values, sep=" ", end="\n", file=None):
    global _fifo
    if file:
        return _print(*values, sep=sep, end=end, file=file)
    said = io.StringIO()
    _print(*values, sep=sep, end=end, file=said)
    text = said.getvalue()
    written_us = _chip.true_us()
    while text and _chip.true_us() - written_us < _TIMEOUT_US:
        room = _room()
        if room:
            _fifo += text[:room]
            text = text[room:]
            written_us = _chip.true_us()
        else:
            _chip.true_sleep_us(1000)
    _room()


class _Poll:
    """select.poll's object, which knows the FIFO."""

    def __init__(self):
        self._poll = select.poll()
        self._out = False

    def register(self, stream, events):
        """As on a device; of sys.stdout nothing but POLLOUT."""
        if stream is sys.stdout:
            self._out = True
        else:
            self._poll.register(stream, events)

    def ipoll(self, ms):
        """What is ready, within ms milliseconds."""
        if not self._out:
            return self._poll.ipoll(ms)
        end_us = _chip.true_us() + ms * 1000
        while not _room():
            if _chip.true_us() >= end_us:
                return ()
            _chip.true_sleep_us(1000)
        return ((sys.stdout, select.POLLOUT),)


class _Select:
    poll = _Poll
    POLLIN = select.POLLIN
    POLLOUT = select.POLLOUT


sys.modules["select"] = _Select
builtins.print = _put

"""Which Python answers at a board's prompt: asked before anything else there, since only MicroPython's runs a node."""

from __future__ import annotations

import secrets

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from swarm.serial.answer import plain
from swarm.serial.port import GONE, BoardError

_OLDEST = (1, 19)  # of MicroPython, which runs what mpy-cross makes here
_RUN = ("micropython", "cpython")  # the second is that of virtual boards only
_NAMES = {"micropython": "MicroPython", "circuitpython": "CircuitPython"}
_DIGITS = 5  # of a version's part
_ASK = "import sys\nprint('<<<{0}', sys.implementation.name, *sys.implementation.version[:3], '{0}>>>')"


def check(transport: SerialTransport, port: str) -> bool:
    """BoardError of the kind "foreign" unless a MicroPython answers that tools and node can work with; whether the
    prompt has answered at all.

    What answers nothing that is understood is let pass: it just starts, or its node prints a line in between, and
    whoever goes on is told by what it says then.
    """
    mark = secrets.token_hex(4)  # no line that the user's code prints has it
    try:
        said = plain(transport.exec(_ASK.format(mark)).decode("utf-8", "replace"))
    except (TransportError, *GONE):
        return False
    name, *numbers = said.partition(f"<<<{mark}")[2].partition(f"{mark}>>>")[0].split() or [""]
    if not name or not all(number.isdecimal() and len(number) <= _DIGITS for number in numbers):
        return True
    version = tuple(int(number) for number in numbers)
    if name in _RUN and version >= _OLDEST:
        return True
    raise BoardError(
        f"{port}: {_NAMES.get(name, name)} {'.'.join(numbers)} answers, and the node needs MicroPython "
        f"{'.'.join(map(str, _OLDEST))} or newer; flash it: `swarm flash --board BOARD --port {port}`",
        "foreign",
    )

"""When nodes took their first samples by this computer's clock, within bounds: then those of a swarm can be compared.

What a node tells by itself is its lateness, the time from the agreed instant as it has that; two nodes that have the
instant differently tell nothing of the time between their samples. So each is asked several times how long its sample
was ago (Cristian's method): it was read after the question went and before the answer came, and a board's crystal is
only so good.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from swarm.serial.port import GONE

_TRIES = 5
_WAIT_S = 1.0  # for an answer
_CRYSTAL = 60e-6  # share of the time gone by that a board's clock is wrong by at most
_USEFUL_US = 300_000_000  # after which a board's clock tells less than anybody wants to know
_BY_LINE = b'"instant_in_us": '  # before the number in a status
# Waits for a byte and answers at once, since what comes before is as slow as the board compiles.
_ASK = """
def _swarm_ask():
    import sys, time, faction
    left = faction.app.node.first_sample.remaining_us
    for _ in range({0}):
        sys.stdin.read(1)
        left_us = left(time.ticks_us())
        print("<<<{1}", left_us, ">>>")
_swarm_ask()
del _swarm_ask
"""


@dataclass(frozen=True)
class Bounds:
    """Between which microseconds of this computer's monotonic clock something was."""

    low_us: float
    high_us: float

    def and_also(self, other: Bounds | None) -> Bounds:
        """What is known from both; of what does not fit together the later word."""
        if other is None:
            return self
        both = Bounds(max(self.low_us, other.low_us), min(self.high_us, other.high_us))
        return both if both.low_us <= both.high_us else self


def read(transport: SerialTransport, port: str, status: dict) -> dict:
    """When the node took its first sample: {"sampled": Bounds}, None where that cannot be told any more.

    What targets.ask takes to read more than the status.
    """
    if not _can_tell(status):
        return {"sampled": None}
    known = None
    mark = secrets.token_hex(4)  # no line that the user's code prints has it
    try:
        transport.exec_raw_no_follow(_ASK.format(_TRIES, mark))
        for _ in range(_TRIES):
            sampled = _ask(transport.serial, status["sample"]["late_us"], b"?", f"<<<{mark} ".encode(), b">>>")
            known = sampled.and_also(known)
        transport.follow(_WAIT_S)
    except (TransportError, ValueError, *GONE):
        return {"sampled": None}
    return {"sampled": known}


def read_by_line(transport: SerialTransport, port: str, status: dict) -> dict:
    """As read(), of an application on asyncio, which is asked for a whole status: that takes longer, and tells less."""
    if not _can_tell(status):
        return {"sampled": None}
    try:
        return {"sampled": _ask(transport.serial, status["sample"]["late_us"], b"\rstatus\r", _BY_LINE, b"\n")}
    except (ValueError, *GONE):
        return {"sampled": None}


def _can_tell(status: dict) -> bool:
    """Whether a node knows how long its sample was ago, and well enough."""
    left_us = status["instant_in_us"]
    return status["sample"] is not None and left_us is not None and -_USEFUL_US < left_us <= 0


def _ask(serial, late_us: int, question: bytes, before: bytes, end: bytes) -> Bounds:
    """One question and its answer, among lines that the node prints meanwhile. ValueError when none comes.

    before: what comes before the number; end: of the answer.
    """
    asked_us = time.monotonic() * 1e6
    serial.write(question)
    _read_up_to(serial, before)
    answered_us = time.monotonic() * 1e6
    left_us = int(re.match(rb"-?\d{1,9}\b|", _read_up_to(serial, end))[0])
    if abs(left_us) > _USEFUL_US:
        raise ValueError("no time that a node can tell")
    wrong_us = abs(left_us) * _CRYSTAL
    return Bounds(asked_us + left_us + late_us - wrong_us, answered_us + left_us + late_us + wrong_us)


def _read_up_to(serial, mark: bytes) -> bytes:
    """What comes, up to a mark and with it. ValueError when that does not come soon."""
    said = b""
    end = time.monotonic() + _WAIT_S
    while not said.endswith(mark):
        byte = serial.read(1)
        if not byte or time.monotonic() > end:
            raise ValueError("no answer")
        said += byte
    return said


def skew(sampled: list[Bounds]) -> tuple[float, float]:
    """The least and the most microseconds between the earliest and the latest of several."""
    least = max(one.low_us for one in sampled) - min(one.high_us for one in sampled)
    return max(0.0, least), max(one.high_us for one in sampled) - min(one.low_us for one in sampled)

"""When the agreed instant is by this computer's clock, as each node has it, within bounds: so samples can be compared,
and those of a series dated.

What a node tells by itself is its lateness, the time from the agreed instant as it has that; two nodes that have the
instant differently tell nothing of the time between their samples. So each is asked several times how long its instant
was ago (Cristian's method): it was read after the question went and before the answer came, and a board's crystal is
only so good. In a series the instant is that of beat 0, whenever that was: the swarm's clock counts from there.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from dataclasses import dataclass

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from swarm.serial.answer import parse
from swarm.serial.port import GONE

_TRIES = 5
_WAIT_S = 1.0  # for an answer
_CRYSTAL = 60e-6  # share of the time gone by that a board's clock is wrong by at most
_USEFUL_US = 499_000_000  # a node that has no series counts the time since its instant as far as that
# Waits for a byte and answers at once, since what comes before is as slow as the board compiles.
_ASK = """
def _swarm_ask():
    import sys, time, faction
    left = faction.app.node.first_sample.remaining_us
    for _ in range({0}):
        sys.stdin.read(1)
        left_us = -faction.swarm_time() if {2} else left(time.ticks_us())
        print("<<<{1}", left_us, ">>>")
_swarm_ask()
del _swarm_ask
"""


@dataclass(frozen=True)
class Bounds:
    """Between which microseconds of this computer's monotonic clock something was."""

    low_us: float
    high_us: float

    def later(self, us: float, wrong_us: float = 0) -> Bounds:
        """Of what was so much later, that being known to wrong_us."""
        return Bounds(self.low_us + us - wrong_us, self.high_us + us + wrong_us)

    def and_also(self, other: Bounds | None) -> Bounds:
        """What is known from both; of what does not fit together the later word."""
        if other is None:
            return self
        both = Bounds(max(self.low_us, other.low_us), min(self.high_us, other.high_us))
        return both if both.low_us <= both.high_us else self


def read(transport: SerialTransport, port: str, status: dict) -> dict:
    """When the agreed instant is, or beat 0 of a series: {"instant": Bounds}, None where that cannot be told any more.

    What targets.ask takes to read more than the status. Where an application has the prompt, as read_by_line().
    """
    if not transport.in_raw_repl:
        return read_by_line(transport, port, status)
    if not _can_tell(status):
        return {"instant": None}
    known = None
    mark = secrets.token_hex(4)  # no line that the user's code prints has it
    try:
        series = status.get("series") is not None
        transport.exec_raw_no_follow(_ASK.format(_TRIES, mark, series))
        for _ in range(_TRIES):
            known = _ask(transport.serial, b"?", f"<<<{mark} ".encode(), b">>>", series).and_also(known)
        transport.follow(_WAIT_S)
    except (TransportError, ValueError, *GONE):
        return {"instant": None}
    return {"instant": known}


def read_by_line(transport: SerialTransport, port: str, status: dict) -> dict:
    """As read(), of an application on asyncio, which is asked for a whole status: that takes longer, and tells less."""
    if not _can_tell(status):
        return {"instant": None}
    try:
        told, answered = _ask_status(transport.serial)
        left_us, series = told["instant_in_us"], told.get("series")
        return {"instant": _since(answered, left_us).later(-series["beat"] * period_us(series) if series else 0)}
    except (ValueError, KeyError, TypeError, *GONE):
        return {"instant": None}


def _ask_status(serial) -> tuple[dict, Bounds]:
    """A status, and when it was read. ValueError when none comes."""
    asked_us = time.monotonic() * 1e6
    serial.write(b"\rstatus\r")
    while True:  # an application may print JSON of its own
        _read_up_to(serial, b"{")
        answered_us = time.monotonic() * 1e6
        line = b"{" + _read_up_to(serial, b"\n")
        with contextlib.suppress(ValueError):
            told = parse(line)
            if "instant_in_us" in told:
                return told, Bounds(asked_us, answered_us)


def period_us(series: dict) -> int:
    """Microseconds between two beats of the series that a status tells of."""
    return series["period_ms"] * 1000


def _can_tell(status: dict) -> bool:
    """Whether a node knows how long its sample was ago, and well enough."""
    left_us = status["instant_in_us"]
    if left_us is None or status["sample"] is None:
        return False
    return status.get("series") is not None or -_USEFUL_US < left_us <= 0


def _ask(serial, question: bytes, before: bytes, end: bytes, series: bool) -> Bounds:
    """One question and its answer, among lines that the node prints meanwhile. ValueError when none comes.

    before: what comes before the number; end: of the answer; series: whether the number is the swarm's own time.
    """
    asked_us = time.monotonic() * 1e6
    serial.write(question)
    _read_up_to(serial, before)
    answered_us = time.monotonic() * 1e6
    left_us = int(re.match(rb"-?\d{1,17}\b|", _read_up_to(serial, end))[0])
    return Bounds(asked_us, answered_us).later(left_us) if series else _since(Bounds(asked_us, answered_us), left_us)


def _since(read: Bounds, left_us: int) -> Bounds:
    """When an instant is of which a node said when read that it is so far ahead. ValueError when it cannot know."""
    if abs(left_us) > _USEFUL_US:
        raise ValueError("no time that a node can tell")
    return read.later(left_us, abs(left_us) * _CRYSTAL)


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

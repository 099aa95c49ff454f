"""States of the members of a model-checked swarm, the frames between them, and both in words."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from swarm.device.library import INSTANT_FLAG

MOST = 8  # members: one byte a bitmap
TAG = 8  # bytes at the end of a frame
HEADER = struct.Struct("<BB4sHIIIi")
LIVE = 1 << 30  # in the session of an echo


class State(NamedTuple):
    """One member's state.

    kept: what its node holds. The rest is the truth: life, its boots so far, which is its session too; expired:
    deadlines of this life that have passed; vouched: of each member the last life in which it was ready, as far as that
    has rightly reached this life, 0 for none; heard: of each member (life, sequence) of the last frame that counted;
    met: the life of the first that counted, 0 before; told: of each member the first session for which a frame that
    counted has rightly vouched, 0 for none.
    """

    kept: tuple
    life: int
    expired: int
    vouched: tuple[int, ...]
    heard: tuple[tuple[int, int], ...]
    met: tuple[int, ...]
    told: tuple[int, ...]


class Said(NamedTuple):
    """A frame, with what is true of it: whom its sender rightly knew to be ready (vouched, as of a State), and the bit
    set of the members that have booted since it was made (old). bitmaps: participation and, 8 bits up, readiness; live:
    of each member the session for which it rightly vouches, 0 for none."""

    data: bytes
    sender: int
    life: int
    sequence: int
    generation: int
    ready: bool
    bitmaps: int
    vouched: tuple[int, ...]
    live: tuple[int, ...]
    old: int = 0

    def words(self) -> str:
        """The frame in words, with the number by which a trace tells it from others: session.sequence of its sender."""
        said = [
            f"node {member} in {'live ' * (session >= LIVE)}session {session % LIVE}"
            for member, session in echoes(self.data)
        ]
        return (
            f"node {self.sender + 1}'s {'READY' if self.ready else 'PING'} {self.life}.{self.sequence}: "
            f"generation {self.generation}, {words(self.bitmaps)}"
            + (", names the instant" if self.data[1] & INSTANT_FLAG else "")
            + (", echoes " + " and ".join(said) if said else "")
        )


def echoes(data: bytes) -> Iterator[tuple[int, int]]:
    """The echoes of a frame: ids and sessions, LIVE added to one that the sender knows to be live."""
    return struct.iter_unpack("<HI", data[HEADER.size + 2 : len(data) - TAG])


def ids(members: int) -> str:
    """The ids in a bit set: {1, 3}."""
    return "{" + ", ".join(str(place + 1) for place in range(MOST) if members >> place & 1) + "}"


def words(bitmaps: int) -> str:
    """Participation and readiness, as in State and Said."""
    return f"takes part {ids(bitmaps & 255)}, ready {ids(bitmaps >> 8)}"

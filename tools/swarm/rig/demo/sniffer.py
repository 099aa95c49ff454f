"""Reads the header of a frame as heard in the air: what the live table knows of a node without asking it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<BB4sHIIIi")
_TAG = 8
_ECHO = 6
_PING, _READY = 1, 2


@dataclass(frozen=True)
class Sighting:
    """A node as its latest frame shows it: counts of the members it has heard and of those it knows to be ready."""

    node: int
    session: int
    generation: int
    is_ready: bool
    is_bootstrapped: bool
    timed_out: bool
    heard: int
    ready: int

    @property
    def state(self) -> str:
        """What the node is doing, in the machine's words."""
        if self.is_bootstrapped:
            return "Bootstrapped"
        if self.timed_out:
            return "TimedOut"
        return "Collecting" if self.is_ready else "Pinging"


def sight(frame: bytes) -> Sighting | None:
    """The sender's state as the frame tells it, tag unchecked; None for what is no frame of protocol version 2."""
    if len(frame) < _HEADER.size + _TAG:
        return None
    kind, flags, _digest, node, session, _sequence, generation, _offset = _HEADER.unpack_from(frame)
    bitmaps = len(frame) - _HEADER.size - _TAG - _ECHO * (flags >> 4)
    if kind >> 4 != 2 or kind & 15 not in (_PING, _READY) or bitmaps < 2 or bitmaps % 2:
        return None
    half = bitmaps // 2
    heard = frame[_HEADER.size : _HEADER.size + half]
    ready = frame[_HEADER.size + half : _HEADER.size + bitmaps]
    return Sighting(
        node=node,
        session=session,
        generation=generation,
        is_ready=kind & 15 == _READY,
        is_bootstrapped=bool(flags & 1),
        timed_out=bool(flags & 4),
        heard=int.from_bytes(heard, "little").bit_count(),
        ready=int.from_bytes(ready, "little").bit_count(),
    )

"""A serial bus between virtual boards: what becomes of bytes on a wire, without sockets or clocks.

Each byte takes ten bits' time from its sender's start on. Bytes of two senders that overlap in time are one collision:
what is heard are the first sender's, changed. A station hears nothing while it sends, unless the bus is a single wire
to it: then it hears itself. Who listens at another baud rate hears as many bytes of another kind. Noise changes up to
four bytes in a row of a share of the transmissions, for each listener apart. Every such choice comes from the seed, the
stations and how much they have sent, and from nothing else.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Hashable
from dataclasses import dataclass, field

BITS = 10  # of a byte on the wire, with its start and stop bit
_PIECE_US = 350  # bytes come in pieces of at most that time; the first alone, so that nobody learns late of a start
_MEMORY_US = 1_000_000  # how long a transmission is remembered after its end
_NOISE_MAX = 4


def frame_of(data: bytes) -> bytes:
    """The frame of at most 253 bytes that COBS has made into data, end mark included; b"" for what is no such thing."""
    frame = bytearray(data[1:-1])
    at = data[0] - 1 if data else 0
    while 0 <= at < len(frame) and frame[at]:
        step, frame[at] = frame[at], 0
        at += step
    return bytes(frame) if at == len(frame) and data.endswith(b"\0") else b""


@dataclass
class Station:
    """What the bus knows of one UART."""

    baud: int
    single_wire: bool = False  # hears itself
    sent: int = 0  # transmissions
    free_us: float = 0.0  # when its last transmission has left


@dataclass
class Transmission:
    """Bytes written at one time."""

    source: Hashable
    number: int
    start_us: float
    byte_us: float
    data: bytearray  # as it is heard
    drowned: set[int] = field(default_factory=set)  # bytes that are not heard at all, below an earlier sender's

    @property
    def end_us(self) -> float:
        """When its last byte has left."""
        return self.start_us + len(self.data) * self.byte_us

    def overlap(self, start_us: float, end_us: float) -> range:
        """Indices of the bytes that are on the wire at some time between start and end."""
        first = max(0, int((start_us - self.start_us) // self.byte_us))
        last = min(len(self.data), -int((self.start_us - end_us) // self.byte_us))
        return range(first, last)


class Bus:
    """One bus. Times are microseconds of true time.

    noise: share of transmissions that each listener hears changed.
    """

    def __init__(self, seed: int, noise: float = 0.0) -> None:
        self.seed = seed
        self.noise = noise
        self.stations: dict[Hashable, Station] = {}
        self.collisions = 0
        self._sent: list[Transmission] = []
        self._due: list[tuple[float, int, Transmission, range]] = []
        self._order = 0

    def attach(self, name: Hashable, baud: int, single_wire: bool = False) -> None:
        """Wire a UART to the bus, or change its baud rate; 0 takes it away."""
        if not baud:
            self.stations.pop(name, None)
        elif name in self.stations:
            self.stations[name].baud, self.stations[name].single_wire = baud, single_wire
        else:
            self.stations[name] = Station(baud, single_wire)

    def write(self, name: Hashable, data: bytes, now_us: float) -> None:
        """A station sends: at once, or right after what it is still sending."""
        station = self.stations[name]
        start_us = max(now_us, station.free_us)
        new = Transmission(name, station.sent, start_us, BITS * 1e6 / station.baud, bytearray(data))
        station.sent += 1
        station.free_us = new.end_us
        self._sent = [old for old in self._sent if old.end_us > now_us - _MEMORY_US]
        for old in self._sent:
            if old.source != name and old.overlap(new.start_us, new.end_us):
                self._collide(old, new)
        self._sent.append(new)
        step = max(1, int(_PIECE_US / new.byte_us))
        bounds = [0, *range(1, len(data), step), len(data)]
        for first, last in zip(bounds, bounds[1:], strict=False):
            self._order += 1
            heapq.heappush(self._due, (start_us + last * new.byte_us, self._order, new, range(first, last)))

    def _collide(self, old: Transmission, new: Transmission) -> None:
        self.collisions += 1
        chance = random.Random(f"collision/{self.seed}/{old.source}/{old.number}/{new.source}/{new.number}")
        for i in old.overlap(new.start_us, new.end_us):
            old.data[i] ^= chance.randrange(1, 256)
        new.drowned.update(new.overlap(old.start_us, old.end_us))

    def next_due_us(self) -> float | None:
        """When the next bytes have arrived, or None."""
        return self._due[0][0] if self._due else None

    def take_due(self, now_us: float) -> list[tuple[Hashable, bytes]]:
        """What has arrived by now, as (station, bytes), in order."""
        out = []
        while self._due and self._due[0][0] <= now_us:
            _, _, transmission, indices = heapq.heappop(self._due)
            for name, station in self.stations.items():
                heard = self._heard(transmission, indices, name, station)
                if heard:
                    out.append((name, heard))
        return out

    def _heard(self, transmission: Transmission, indices: range, name: Hashable, station: Station) -> bytes:
        own = transmission.source == name
        if own and not station.single_wire:
            return b""
        deaf: set[int] = set(transmission.drowned)
        if not station.single_wire:
            for other in self._sent:
                if other.source == name:
                    deaf.update(transmission.overlap(other.start_us, other.end_us))
        heard = bytearray(transmission.data[i] for i in indices)
        chance = random.Random(f"noise/{self.seed}/{transmission.source}/{name}/{transmission.number}")
        if chance.random() < self.noise:
            start = chance.randrange(len(transmission.data))
            for i in range(start, start + chance.randint(1, _NOISE_MAX)):
                change = chance.randrange(1, 256)
                if i in indices:
                    heard[i - indices.start] ^= change
        if abs(BITS * 1e6 / station.baud / transmission.byte_us - 1) > 0.03:
            heard = bytearray(chance.randrange(256) for _ in heard)
        return bytes(heard[i - indices.start] for i in indices if i not in deaf)

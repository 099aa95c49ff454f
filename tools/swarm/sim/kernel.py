"""Simulated time: an event queue, and clocks that drift from it. Everything is whole microseconds."""

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Any

PERIOD = 1 << 30  # of the ticks functions


class Kernel:
    """Runs events in the order of their times, and of their making where the times are equal.

    now: simulated time in microseconds. Everything random is drawn from random(purpose), so that one purpose more or
    less leaves the others' draws as they were. digest is fed with everything that happens.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.events = 0
        self._queue: list[tuple[int, int, Callable, tuple]] = []
        self._order = 0
        self._stopped = False
        self._digest = hashlib.blake2b(digest_size=16)

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for that purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def at(self, when: int, action: Callable[..., Any], *arguments: Any) -> None:
        """Call action(*arguments) at that time, or now when it has passed."""
        self._order += 1
        heapq.heappush(self._queue, (when if when > self.now else self.now, self._order, action, arguments))

    def stop(self) -> None:
        """End run() after the present event."""
        self._stopped = True

    def run(self, until: int) -> None:
        """Run the events up to that time, or until stop()."""
        queue = self._queue
        while queue and queue[0][0] <= until and not self._stopped:
            self.now, _, action, arguments = heapq.heappop(queue)
            self.events += 1
            action(*arguments)

    def note(self, what: str, node: int, data: bytes = b"") -> None:
        """Feed the run's hash with something that happened."""
        self._digest.update(b"%d %s %d %b\n" % (self.now, what.encode(), node, data))

    def hash(self) -> str:
        """Hash of all that has been noted: equal runs have equal ones."""
        return self._digest.hexdigest()


class Clock:
    """A board's clock: offset_us from simulated time at 0, and ppm (millionths) faster or slower."""

    def __init__(self, offset_us: int, ppm: int) -> None:
        self.offset_us = offset_us
        self.ppm = ppm

    def local_us(self, now: int) -> int:
        """The clock's microseconds at simulated time now, without a wrap."""
        return self.offset_us + now + now * self.ppm // 1_000_000

    def run_at(self, ppm: int, now: int) -> None:
        """From simulated time now on be ppm off."""
        shown_us = self.local_us(now)
        self.ppm = ppm
        self.offset_us += shown_us - self.local_us(now)

    def when(self, local_us: int) -> int:
        """The first simulated time at which the clock shows local_us or more."""
        rate = 1_000_000 + self.ppm
        now = (local_us - self.offset_us) * 1_000_000 // rate
        while self.local_us(now) < local_us:
            now += 1
        return now

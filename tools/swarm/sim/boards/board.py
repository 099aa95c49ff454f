"""A simulated board: a clock, links, and the real Node. Its kinds differ in when it is given time and frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarm.device.library import BOOTSTRAPPED
from swarm.sim.kernel import PERIOD, Clock, Kernel

MASK = PERIOD - 1
NEVER = 1 << 60


class Board:
    """One board, at a place of its media.

    make_node(board) makes its node at each boot; watch is told of everything; stamp_us: what receive stamps are
    rounded up to; frame_us: processing time of a frame, besides what its kind of board takes.
    life counts boots and losses of power. ready_at, concluded_at, sampled_at: simulated times in this life, or None;
    concluded_at is the end of the work, of which the node was told the time at proposed_at.
    """

    def __init__(
        self, kernel: Kernel, number: int, place: int, clock: Clock, make_node: Callable[[Board], Any], watch: Any,
        stamp_us: int, frame_us: int,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.number = number
        self.place = place
        self.clock = clock
        self.links: list = []
        self.node: Any = None
        self.on = False
        self.life = 0
        self.ready_at: int | None = None
        self.concluded_at: int | None = None
        self.proposed_at = self._told_at = 0
        self.sampled_at: int | None = None
        self.sampled_late = False
        self.frames = 0
        self.bytes = 0
        self.dropped = 0
        self.frame_us = frame_us
        self._make_node = make_node
        self._watch = watch
        self._stamp_us = stamp_us
        self._buffer = bytearray(250)
        self._blocked = False

    @property
    def held_us(self) -> int:
        """How long it may just have been unable to look at the clock."""
        raise NotImplementedError

    @property
    def in_series(self) -> bool:
        """Whether its swarm samples in series, and has begun."""
        return bool(self.on and getattr(self.node.first_sample, "mark", 0))

    def boot(self, warmup_us: int | None) -> None:
        """Power on, if it is off; ready warmup_us later."""
        if self.on:
            return
        self.on = True
        self.life += 1
        self.ready_at = self.concluded_at = self.sampled_at = None
        self._blocked = False
        self._begin()
        self.node = self._make_node(self)
        self._watch.booted(self)
        self.node.start(*self._now())
        self._settle()
        self._plan()
        if warmup_us is not None:
            self.kernel.at(self.kernel.now + warmup_us, self._complete, self.life)

    def power_off(self) -> None:
        """Lose power, and everything but the session number."""
        if self.on:
            self._watch.lost_power(self, self.life)
            self.on = False
            self.life += 1
            self.node = None

    def jump(self, by_us: int) -> None:
        """Its clock jumps by that much."""
        self.clock.offset_us += by_us

    def _complete(self, life: int) -> None:
        """Its sensor has warmed up."""
        if life == self.life:
            self.ready_at = self.kernel.now
            self._watch.ready(self)
            self._warmed()

    def hear(self, link, frame: bytes, payload: Any) -> None:
        """A frame has just come whole."""
        raise NotImplementedError

    def left(self, start: int | None) -> None:
        """A link reports that the frame has left, and when it began to, None where it does not know."""
        self.node.left(None if start is None else self.clock.local_us(start) & MASK)

    def wake(self) -> None:
        """A link has become free."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Forget what an earlier life has left."""
        raise NotImplementedError

    def _warmed(self) -> None:
        """The node is to be told that it is ready."""
        raise NotImplementedError

    def _plan(self) -> None:
        """Choose when to act next."""
        raise NotImplementedError

    def _now(self) -> tuple[int, int]:
        """The node's clocks: ticks_ms and ticks_us."""
        self._told_at = self.kernel.now
        now_us = self.clock.local_us(self._told_at)
        return now_us // 1000 & MASK, now_us & MASK

    def _give(self, frame: bytes, payload: Any, sent_us: int) -> None:
        """Have the node receive a frame, the time being told first."""
        now_ms, now_us = self._now()
        node = self.node
        node.tick(now_ms, now_us)
        self._watch.hearing(self, payload)
        node.receive(frame, len(frame), now_ms, now_us, sent_us)
        self._watch.heard(self, payload)

    def _settle(self) -> None:
        """Take a sample that is due, and let the watch look."""
        node = self.node
        if node.sample_due:
            late = node.sampled_late
            late_us = node.take_sample(self.clock.local_us(self.kernel.now) & MASK)
            if self.sampled_at is None:
                self.sampled_at = self.kernel.now
                self.sampled_late = late
            self._watch.sampled(self, late_us)
            node.tick(*self._now())  # as the runner does: a series then looks ahead
        if self.concluded_at is None and node.machine.state == BOOTSTRAPPED:
            self.concluded_at = self.kernel.now
            self.proposed_at = self._told_at
        self._watch.changed(self)

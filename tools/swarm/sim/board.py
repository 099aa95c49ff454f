"""A simulated board: a clock, links, and the real Node, driven as a runner drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarm.device.library import BOOTSTRAPPED
from swarm.sim.kernel import PERIOD, Clock, Kernel

_MASK = PERIOD - 1
_RING = 16  # frames that wait while a slow chip is busy; the newest is dropped, as on a board
_NEVER = 1 << 60


class Board:
    """One board, at a place of its media.

    make_node(board) makes its node at each boot; watch is told of everything; stamp_us: what receive stamps are
    rounded up to; frame_us: processing time of a frame; tick_us: the period of the timer from which it speaks, 0: it
    speaks as soon as it may.
    life counts boots and losses of power. ready_at, concluded_at, sampled_at: simulated times in this life, or None.
    """

    def __init__(
        self, kernel: Kernel, number: int, place: int, clock: Clock, make_node: Callable[[Board], Any], watch: Any,
        stamp_us: int, frame_us: int = 0, tick_us: int = 0,
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
        self.sampled_at: int | None = None
        self.sampled_late = False
        self.frames = 0
        self.bytes = 0
        self.dropped = 0
        self.frame_us = frame_us
        self._make_node = make_node
        self._watch = watch
        self._stamp_us = stamp_us
        self._tick_us = tick_us
        self._buffer = bytearray(250)
        self._wake_at = _NEVER
        self._blocked = False
        self._busy_until = 0
        self._waiting = 0

    def boot(self, warmup_us: int | None) -> None:
        """Power on, if it is off; ready warmup_us later."""
        if self.on:
            return
        self.on = True
        self.life += 1
        self.ready_at = self.concluded_at = self.sampled_at = None
        self._blocked = False
        self._wake_at = _NEVER
        self._busy_until = self._waiting = 0
        self.node = self._make_node(self)
        self._watch.booted(self)
        now_us = self.clock.local_us(self.kernel.now)
        self.node.start(now_us // 1000 & _MASK, now_us & _MASK)
        self._after()
        if warmup_us is not None:
            self.kernel.at(self.kernel.now + warmup_us, self._complete, self.life)

    def power_off(self) -> None:
        """Lose power, and everything but the session number."""
        if self.on:
            self._watch.lost_power(self, self.life)
            self.on = False
            self.life += 1
            self.node = None

    def _complete(self, life: int) -> None:
        """Its sensor has warmed up."""
        if life != self.life:
            return
        self.ready_at = self.kernel.now
        self._watch.ready(self)
        now_us = self.clock.local_us(self.kernel.now)
        self.node.complete_local(now_us // 1000 & _MASK, now_us & _MASK)
        self._after()

    def hear(self, link, frame: bytes, payload: Any) -> None:
        """A frame has just come whole."""
        if not self.on:
            return
        local_us = self.clock.local_us(self.kernel.now)
        stamp_us = -(-local_us // self._stamp_us) * self._stamp_us
        sent_us = stamp_us - link.airtime_us(len(frame)) & _MASK
        if not self.frame_us:
            self._handle(frame, payload, sent_us)
        elif self._waiting < _RING:
            self._waiting += 1
            self._busy_until = max(self._busy_until, self.kernel.now) + self.frame_us
            self.kernel.at(self._busy_until, self._handle_late, self.life, frame, payload, sent_us)
        else:
            self.dropped += 1

    def _handle_late(self, life: int, frame: bytes, payload: Any, sent_us: int) -> None:
        if life == self.life:
            self._waiting -= 1
            self._handle(frame, payload, sent_us)

    def _handle(self, frame: bytes, payload: Any, sent_us: int) -> None:
        now_us = self.clock.local_us(self.kernel.now)
        now_ms = now_us // 1000 & _MASK
        now_us &= _MASK
        node = self.node
        node.tick(now_ms, now_us)
        self._watch.hearing(self, payload)
        node.receive(frame, len(frame), now_ms, now_us, sent_us)
        self._watch.heard(self, payload)
        self._after()

    def left(self, start: int) -> None:
        """A link reports that the frame began to leave at that time."""
        self.node.left(self.clock.local_us(start) & _MASK)

    def wake(self) -> None:
        """A link has become free."""
        if self.on:
            if self._tick_us:
                self._blocked = False
                self._plan()
            else:
                self._act()

    def _act(self) -> None:
        """The time has come to do something, or may have."""
        now_us = self.clock.local_us(self.kernel.now)
        now_ms = now_us // 1000 & _MASK
        now_us &= _MASK
        self._blocked = False
        node = self.node
        if node.wait_ms(now_ms, now_us):
            node.tick(now_ms, now_us)
        elif all(link.can_send(self) for link in self.links):
            due = node.trickle.due
            length = node.poll(now_ms, now_us, self._buffer)
            if length:
                payload = self._watch.sends(self, due)
                frame = bytes(self._buffer[:length])
                for link in self.links:
                    self.frames += 1
                    self.bytes += length
                    link.send(self, frame, payload)
        else:
            self._blocked = True
            node.tick(now_ms, now_us)
        self._after()

    def _wake_if(self, when: int) -> None:
        if when == self._wake_at:
            self._wake_at = _NEVER
            if self.on:
                self._act()

    def _after(self) -> None:
        """Take a sample that is due, let the watch look, and choose when to wake."""
        node = self.node
        if node.sample_due:
            late = node.sampled_late
            late_us = node.take_sample(self.clock.local_us(self.kernel.now) & _MASK)
            if self.sampled_at is None:
                self.sampled_at = self.kernel.now
                self.sampled_late = late
            self._watch.sampled(self, late_us)
        if self.concluded_at is None and node.machine.state == BOOTSTRAPPED:
            self.concluded_at = self.kernel.now
        self._watch.changed(self)
        self._plan()

    def _plan(self) -> None:
        now = self.kernel.now
        local_us = self.clock.local_us(now)
        node = self.node
        wait_us = _NEVER
        if not self._blocked:
            wait_us = node.wait_ms(local_us // 1000 & _MASK, local_us & _MASK)
            wait_us = wait_us * 1000 - local_us % 1000 if wait_us else 0
            if self._tick_us:
                wait_us += -(local_us + wait_us) % self._tick_us
        first = node.first_sample
        if first.known and not first.passed and not node.conflict:
            # The last millisecond is waited for by the microsecond clock.
            remaining_us = first.remaining_us(local_us & _MASK)
            if remaining_us < wait_us + 1000:
                wait_us = remaining_us
        if wait_us == _NEVER:
            return
        when = self.clock.when(local_us + wait_us)
        if when <= now:
            when = now + 1
        if when != self._wake_at:
            self._wake_at = when
            self.kernel.at(when, self._wake_if, when)

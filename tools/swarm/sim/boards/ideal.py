"""A board that takes no time: it hears a frame as it comes and speaks as soon as it may."""

from __future__ import annotations

from typing import Any

from swarm.sim.boards.board import MASK, NEVER, Board

_RING = 16  # frames that wait while a slow chip is busy; the newest is dropped, as on a board


class IdealBoard(Board):
    """A board of which only frame_us takes time."""

    @property
    def held_us(self) -> int:
        """The time of a frame."""
        return self.frame_us

    def hear(self, link, frame: bytes, payload: Any) -> None:
        """A frame has just come whole."""
        if not self.on:
            return
        local_us = self.clock.local_us(self.kernel.now)
        stamp_us = -(-local_us // self._stamp_us) * self._stamp_us
        sent_us = stamp_us - link.airtime_us(len(frame)) & MASK
        if not self.frame_us:
            self._handle(frame, payload, sent_us)
        elif self._waiting < _RING:
            self._waiting += 1
            self._busy_until = max(self._busy_until, self.kernel.now) + self.frame_us
            self.kernel.at(self._busy_until, self._handle_late, self.life, frame, payload, sent_us)
        else:
            self.dropped += 1

    def wake(self) -> None:
        """A link has become free."""
        if self.on:
            self._act()

    def _begin(self) -> None:
        self._wake_at = NEVER
        self._busy_until = self._waiting = 0

    def jump(self, by_us: int) -> None:
        """Its clock jumps."""
        super().jump(by_us)
        if self.on:
            self._wake_at = NEVER
            self._plan()

    def _warmed(self) -> None:
        self.node.complete_local(*self._now())
        self._after()

    def _handle_late(self, life: int, frame: bytes, payload: Any, sent_us: int) -> None:
        if life == self.life:
            self._waiting -= 1
            self._handle(frame, payload, sent_us)

    def _handle(self, frame: bytes, payload: Any, sent_us: int) -> None:
        self._give(frame, payload, sent_us)
        self._after()

    def _act(self) -> None:
        """The time has come to do something, or may have."""
        now_ms, now_us = self._now()
        self._blocked = False
        node = self.node
        if node.wait_ms(now_ms, now_us):
            node.tick(now_ms, now_us)
        elif all(link.can_send(self) for link in self.links):
            node.tick(now_ms, now_us)  # time alone may begin a new interval
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
            self._wake_at = NEVER
            if self.on:
                self._act()

    def _after(self) -> None:
        self._settle()
        self._plan()

    def _plan(self) -> None:
        now = self.kernel.now
        local_us = self.clock.local_us(now)
        node = self.node
        wait_us = NEVER
        if not self._blocked:
            wait_us = node.wait_ms(local_us // 1000 & MASK, local_us & MASK)
            wait_us = wait_us * 1000 - local_us % 1000 if wait_us else 0
        first = node.first_sample
        if first.known and not first.passed and not node.conflict:
            # The last millisecond is waited for by the microsecond clock.
            remaining_us = first.remaining_us(local_us & MASK)
            if remaining_us < wait_us + 1000:
                wait_us = remaining_us
        if wait_us == NEVER:
            return
        when = self.clock.when(local_us + wait_us)
        if when <= now:
            when = now + 1
        if when != self._wake_at:
            self._wake_at = when
            self.kernel.at(when, self._wake_if, when)

"""A board that costs what a real one costs: it hears and speaks from a timer, and works on what it hears and says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from swarm.device.library import BOOTSTRAPPED, COUNTERS
from swarm.sim.boards.board import MASK, NEVER, Board
from swarm.sim.boards.profiles import LENGTH, Profile
from swarm.sim.kernel import Clock, Kernel

# The runner's
_FRAMES = 32  # handled in one tick
_AWAIT_US = 10_000  # this close to the first sample's instant, it waits for it
_QUIET_US = 30_000  # and this close says nothing

_READS = 64  # looks at the line that are kept: those of a tick and more
_RECEIVED = COUNTERS.index("received")
_FORGED = COUNTERS.index("forged")
_OLD = tuple(COUNTERS.index(name) for name in ("replayed", "stale", "own"))


class HonestBoard(Board):
    """A board whose runner looks at its links and its node at the ticks of a timer.

    The timer begins at the boot, so that boards differ in its phase. A tick hears all that has come and that comes
    meanwhile, then speaks; each of it takes what profile says, and what comes while the board works waits in the link's
    ring, of bounded bytes. The radio's send() waits until the frame has left; the line's does not, and gives way to who
    has begun to talk while the frame was made. A tick that has overrun the next one's time is followed by that at once.
    Ticks that find nothing to do are not simulated: they change nothing.

    members: of the swarm, for the rings' sizes; ours: whether its node speaks our protocol.
    """

    def __init__(
        self, kernel: Kernel, number: int, place: int, clock: Clock, make_node: Callable[[Board], Any], watch: Any,
        stamp_us: int, frame_us: int, profile: Profile, members: int, ours: bool,
    ) -> None:  # fmt: skip
        super().__init__(kernel, number, place, clock, make_node, watch, stamp_us, frame_us)
        self._profile = profile
        self._random = kernel.random(f"UartLink {number}")
        self._members = members
        self._ours = ours
        self._reads: deque[int] = deque(maxlen=_READS)
        self._ring: deque[tuple[Any, bytes, Any, int]] = deque()

    @property
    def held_us(self) -> int:
        """From its look at the clock before to the last one, by that clock."""
        return self._held_us

    # What happens to it

    def hear(self, link, frame: bytes, payload: Any) -> None:
        """A frame has just come whole: it waits for the next tick."""
        if not self.on:
            return
        filled = self._filled.get(link, 0) + link.in_ring(len(frame))
        if filled > link.ring_bytes(self._members):
            self.dropped += 1
            return
        self._filled[link] = filled
        self._ring.append((link, frame, payload, self.clock.local_us(self.kernel.now)))
        self._plan()

    def left(self, start: int | None) -> None:
        """A link reports that the frame has left; who waited for that goes on."""
        super().left(start)
        if self._sending:
            self._sending = False
            self.kernel.at(self.kernel.now, self._go_on, self.life)

    def wake(self) -> None:
        """A link has become free, which the next tick finds."""
        if self.on:
            self._blocked = False
            self._plan()

    def _begin(self) -> None:
        local_us = self.clock.local_us(self.kernel.now)
        self._timer_us = local_us  # when the timer began
        self._fired = 0  # of its firings, how many are done with
        self._tick_at = NEVER
        self._work: Iterator[int | None] | None = None
        self._sending = self._warm = self._told = False
        self._filled: dict[Any, int] = {}
        self._ring.clear()
        self._reads.clear()
        self._idle_us = local_us, NEVER  # the last time without work, from and until
        self._looked_at = self.kernel.now
        self._held_us = 0

    def jump(self, by_us: int) -> None:
        """Its clock jumps; its timer goes on."""
        super().jump(by_us)
        if self.on:
            self._timer_us += by_us
            self._looked_at -= max(by_us, 0)
            self._idle_us = self._idle_us[0] + by_us, self._idle_us[1] + by_us
            self._tick_at = NEVER
            self._plan()

    def _warmed(self) -> None:
        self._warm = True
        self._plan()

    # When it works

    def _plan(self, at_once: bool = False) -> None:
        """Choose the next tick that has something to do; at_once: the timer has fired during the last one."""
        if self._work:
            return
        now = self.kernel.now
        local_us = self.clock.local_us(now)
        wait_us = self._wait_us(local_us)
        if wait_us == NEVER:
            return
        when = now
        if wait_us > 0 or not at_once:
            period_us = self._profile.period_us
            firing = max(self._fired + 1, -(-(local_us + wait_us - self._timer_us) // period_us))
            when = max(now, self.clock.when(self._timer_us + firing * period_us))
        if when != self._tick_at:
            self._tick_at = when
            self.kernel.at(when, self._tick, when, self.life)

    def _wait_us(self, local_us: int) -> int:
        """Until there is something to do, by its own clock."""
        if self._ring or self._warm and not self._told:
            return 0
        node = self.node
        wait_us = NEVER
        if not self._blocked:
            wait_us = node.wait_ms(local_us // 1000 & MASK, local_us & MASK)
            wait_us = wait_us * 1000 - local_us % 1000 if wait_us else 0
        first = node.first_sample
        if first.known and not first.passed and not node.conflict:
            wait_us = min(wait_us, first.remaining_us(local_us & MASK) - _AWAIT_US)
        return max(wait_us, 0)

    def _tick(self, when: int, life: int) -> None:
        if life == self.life and when == self._tick_at and self.on:
            local_us = self.clock.local_us(when)
            self._tick_at = NEVER
            self._fired = (local_us - self._timer_us) // self._profile.period_us
            self._idle_us = self._idle_us[0], local_us
            self._work = self._do()
            self._go_on(life)

    def _go_on(self, life: int) -> None:
        """Work on: each step says how long it takes, or None when a link's report ends it."""
        if life != self.life or not self._work:
            return
        for took_us in self._work:
            if took_us is not None:
                self.kernel.at(self.kernel.now + took_us, self._go_on, life)
            return
        local_us = self.clock.local_us(self.kernel.now)
        self._work = None
        self._idle_us = local_us, NEVER
        self._plan((local_us - self._timer_us) // self._profile.period_us > self._fired)

    # What a tick does, as the runner's

    def _do(self) -> Iterator[int | None]:
        node = self.node
        for _ in range(_FRAMES):
            yield from self._await_instant()
            self._reads.append(self.clock.local_us(self.kernel.now))
            if node.sample_due or not self._ring:
                break
            yield self._receive()
            self._settle()
        yield from self._await_instant()
        node.tick(*self._now())
        self._settle()
        if self._warm and not self._told:
            self._told = True
            node.complete_local(*self._now())
            self._settle()
            if self._ours:
                yield self._profile.ready_us
        profile = self._profile
        yield profile.before_us if self._ours else profile.hand_tick_us
        yield from self._speak()
        if self._ours:
            yield profile.tick_us - profile.before_us

    def _look(self) -> None:
        if self.kernel.now > self._looked_at:
            self._held_us = self.kernel.now - self._looked_at
            self._looked_at = self.kernel.now

    def _await_instant(self) -> Iterator[int]:
        self._look()
        if not self._is_near(_AWAIT_US):
            return
        local_us = self.clock.local_us(self.kernel.now)
        remaining_us = self.node.first_sample.remaining_us(local_us & MASK)
        if remaining_us > 0:
            yield self.clock.when(local_us + remaining_us) - self.kernel.now
            self._look()
        self.node.tick(*self._now())

    def _is_near(self, us: int) -> bool:
        node = self.node
        first = node.first_sample
        if first.passed or not first.known or node.machine.state != BOOTSTRAPPED:
            return False
        return first.remaining_us(self.clock.local_us(self.kernel.now) & MASK) < us

    def _receive(self) -> int:
        """Give the node the next frame; returns what that takes."""
        link, frame, payload, came_us = self._ring.popleft()
        self._filled[link] -= link.in_ring(len(frame))
        before = self._state() if self._ours else None
        self._give(frame, payload, self._sent_us(link, len(frame), came_us) & MASK)
        profile = self._profile
        took_us = self.frame_us + (profile.decode_us * len(frame) if link.BYTE_US else profile.radio_us)
        return took_us + profile.longer_us * max(0, len(frame) - LENGTH) + self._judged_us(before)

    def _state(self) -> tuple[list[int], int, bytes]:
        """What tells, before and after a frame, what its receiver has done."""
        node = self.node
        return list(node.counters), int.from_bytes(node.knowledge.bitmaps, "little"), bytes(node.sessions.live)

    def _judged_us(self, before: tuple[list[int], int, bytes] | None) -> int:
        """What the node's receive() has taken, by what has come of the frame."""
        profile = self._profile
        if not before:
            return profile.hand_receive_us + profile.tag_us * self.node.tagged
        counters, bitmaps, live = before
        after, knows, _ = self._state()
        if after[_FORGED] > counters[_FORGED]:
            return profile.forged_us
        if any(after[one] > counters[one] for one in _OLD):
            return profile.replayed_us
        if after[_RECEIVED] == counters[_RECEIVED]:
            return profile.refused_us
        took_us = 0
        if live != self.node.knowledge.bitmaps[: len(live)]:
            took_us = profile.look_us * self.node.frame.echo_count
        news = (knows & ~bitmaps).bit_count()
        return took_us + (profile.news_us + profile.bit_us * (news - 1) if news else profile.same_us)

    def _sent_us(self, link, length: int, came_us: int) -> int:
        """The latest time at which a frame's transmission can have begun, as the link tells it."""
        airtime_us = link.airtime_us(length)
        if link.BYTE_US:
            # Seen while it came in it is told to the byte, else it has ended when it is first seen.
            began_us = came_us - airtime_us
            seen_us = self._first_read(began_us + link.BYTE_US)
            return began_us + (seen_us - began_us) % link.BYTE_US if seen_us < came_us else seen_us - airtime_us
        # The radio notes in which grain of the clock it came: at the end of that at the latest, and not after now.
        local_us = self.clock.local_us(self.kernel.now)
        return min(local_us, (came_us // self._stamp_us + 1) * self._stamp_us) - airtime_us

    def _first_read(self, since_us: int) -> int:
        """When the line was first read at or after that time: at an idle tick or by the work."""
        begun_us, ended_us = self._idle_us
        period_us = self._profile.period_us
        idle_us = self._timer_us + -(-(max(since_us, begun_us) - self._timer_us) // period_us) * period_us
        reads = [read for read in self._reads if read >= since_us]
        return min([*reads, idle_us] if idle_us < ended_us else reads)

    def _speak(self) -> Iterator[int | None]:
        if not all(link.can_send(self) for link in self.links):
            self._blocked = True
            return
        if self._is_near(_QUIET_US):
            return
        node = self.node
        profile = self._profile
        node.tick(*self._now())  # time alone may begin a new interval
        due = node.trickle.due
        length = node.poll(*self._now(), self._buffer)
        if length:
            payload = self._watch.sends(self, due)
            frame = bytes(self._buffer[:length])
            if self._ours:
                echoes = node.frame.echo_count
                yield profile.build_us + (profile.echoes_us + profile.echo_us * echoes if echoes else 0)
            else:
                yield profile.hand_build_us + profile.tag_us * node.tagged
            for link in self.links:
                if link.BYTE_US:
                    yield self._profile.encode_us * length + link.SPREAD_US * self._random.randrange(8)
                else:
                    yield self._profile.radio_us
                if not link.BYTE_US or link.can_send(self):
                    self.frames += 1
                    self.bytes += length
                    self._sending = not link.BYTE_US
                    link.send(self, frame, payload)
                    if self._sending:
                        yield None
        self._settle()

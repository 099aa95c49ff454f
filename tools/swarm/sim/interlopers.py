"""Boards that are not what they should be: a second one with a member's id, another swarm's, noise, recordings."""

from __future__ import annotations

from typing import Any

from swarm.sim.boards.board import Board
from swarm.sim.invariants import Damaged, Recorded
from swarm.sim.kernel import Clock
from swarm.sim.plan import Plan
from swarm.sim.swarm import Swarm

_EARLIER_SESSION = 500  # of the members in the run that was recorded
_RECORDING_US = 3_000_000
_FLOOD_US = 6_000_000
_NOISE_US = 3_000_000


def places(plan: Plan) -> dict[str, int]:
    """Make a place beside a member for each interloper of the plan; returns them by fault."""
    found: dict[str, int] = {}
    for fault in ("double", "foreign", "babble", "replay"):
        if fault in plan.faults:
            beside = (plan.seed * 7 + len(found)) % len(plan.members)
            found[fault] = _place_beside(plan, beside)
    return found


def _place_beside(plan: Plan, beside: int) -> int:
    place = len(plan.radio)
    for near in (plan.radio, plan.bus):
        near.append(0)
        if near[beside]:
            near[place] = near[beside] | 1 << beside
            for other in range(place):
                if near[place] >> other & 1:
                    near[other] |= 1 << place
    if not plan.radio[place] and not plan.bus[place]:  # a lone member's place, which no medium reaches
        plan.radio[place] = 1 << beside
        plan.radio[beside] |= 1 << place
    return place


def build(swarm: Swarm, found: dict[str, int], watch: Any) -> None:
    """Put the interlopers of the swarm's plan on its media. found: their places; watch: is told of a second board with
    a member's id, as of the members."""
    chance = swarm.kernel.random("interlopers")
    for fault, place in found.items():
        clock = Clock(chance.randrange(1 << 40), chance.randint(-50, 50))
        if fault == "double":
            _double(swarm, place, clock, chance, watch)
        elif fault == "foreign":
            _foreign(swarm, place, clock)
        elif fault == "babble":
            Talker(swarm, place, _noise(swarm, chance), Damaged, (500, 8_000))
        else:
            Talker(swarm, place, _flood(swarm, chance), Recorded, (1_000, 12_000))


def _double(swarm: Swarm, place: int, clock: Clock, chance, watch: Any) -> None:
    assert swarm.plan.double
    taken, boot_us = swarm.plan.double
    number = swarm.plan.ids[taken]
    session = 1000 + chance.randint(0, 2)
    board = swarm.add(number, place, clock, lambda board: swarm.make_node(number, session), watch)
    swarm.boards.append(board)
    swarm.kernel.at(boot_us, board.boot, chance.randint(0, 1_000_000))


class _Unwatched:
    """Watches a board of another swarm: whatever it does is no concern of the swarm's invariants."""

    def booted(self, board: Board) -> None:
        """Nothing is checked."""

    ready = changed = booted

    def hearing(self, board: Board, payload) -> None:
        """Nothing is checked."""

    heard = sampled = lost_power = hearing

    def sends(self, board: Board, due: int) -> type:
        """To the swarm's own members its frames are noise."""
        return Damaged


def _foreign(swarm: Swarm, place: int, clock: Clock) -> None:
    number = swarm.plan.ids[0]
    board = swarm.add(number, place, clock, lambda board: swarm.make_node(number, 1000, "other"), _Unwatched())
    swarm.kernel.at(swarm.plan.members[0].boot_us, board.boot, 100_000)


class Talker:
    """Sends ready-made frames with random pauses, as often as the medium lets it."""

    def __init__(self, swarm: Swarm, place: int, frames: list[bytes], payload: type, pause_us: tuple[int, int]) -> None:
        self.place = place
        self.number = -place
        self.life = 0
        self._kernel = swarm.kernel
        self._links = [medium for medium in swarm.media if medium.in_range[place]]
        self._frames = frames
        self._payload = payload
        self._pause_us = pause_us
        self._random = swarm.kernel.random(f"talker {place}")
        swarm.kernel.at(0, self._talk)

    def left(self, start: int) -> None:
        """Its frame has begun to leave: nothing counts from it."""

    def wake(self) -> None:
        """A link has become free: nothing to do before the pause is over."""

    def _talk(self) -> None:
        if self._frames:
            if all(link.can_send(self) for link in self._links):
                frame = self._frames.pop()
                for link in self._links:
                    link.send(self, frame, self._payload)
            self._kernel.at(self._kernel.now + self._random.randint(*self._pause_us), self._talk)


def _noise(swarm: Swarm, chance) -> list[bytes]:
    """Random bytes, and frames that are right but for a few bits."""
    node = swarm.make_node(swarm.plan.ids[0], 1)
    node.start(0, 0)
    node.complete_local(0, 0)
    buffer = bytearray(250)
    length = node.poll(15, 15_000, buffer) or node.poll(16, 16_000, buffer)
    frames = []
    for _ in range(_NOISE_US // 4_250):
        if chance.random() < 0.5 and length:
            broken = bytearray(buffer[: chance.choice((length, length, chance.randint(1, length)))])
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            frames.append(bytes(broken))
        else:
            frames.append(chance.randbytes(chance.randint(1, 250)))
    return frames


def _flood(swarm: Swarm, chance) -> list[bytes]:
    """Every frame of an earlier run of the same swarm in which all became ready, each twice."""
    nodes = [swarm.make_node(number, _EARLIER_SESSION) for number in swarm.plan.ids]
    boots = [chance.randint(0, 500) for _ in nodes]
    buffer = bytearray(250)
    frames: list[bytes] = []
    for now in range(_RECORDING_US // 1000):
        for node, boot in zip(nodes, boots, strict=True):
            if now == boot:
                node.start(now, now * 1000)
            elif now == boot + 300:
                node.complete_local(now, now * 1000)
            if now < boot or node.wait_ms(now, now * 1000):
                continue
            length = node.poll(now, now * 1000, buffer)
            if length:
                frames.append(bytes(buffer[:length]))
                for other, booted in zip(nodes, boots, strict=True):
                    if other is not node and now >= booted:
                        other.receive(buffer, length, now, now * 1000, now * 1000)
    frames = frames[: _FLOOD_US // 13_000] * 2
    chance.shuffle(frames)
    return frames

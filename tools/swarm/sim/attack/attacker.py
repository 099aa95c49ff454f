"""An attacker on the air: what it hears it keeps, what it wants it keeps from others, and it plays whatever it likes.

It stands beside some members, hears what they send, reaches them without a collision and cuts their power: stronger
than anybody with a radio. It has no key, unless it is to seal lies. What is true it does not know: that is
for truth.py to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from swarm.device.library import DEMONSTRATION_KEY, INSTANT_FLAG, Node
from swarm.sim.attack.forge import Forger, Liar
from swarm.sim.attack.truth import Truth
from swarm.sim.attack.words import Lie
from swarm.sim.boards.board import Board
from swarm.sim.invariants import Damaged
from swarm.sim.swarm import Swarm

_READY = 0x22
_PAUSES_US = ((2_000, 10_000), (5_000, 30_000), (20_000, 80_000))
_HOLDS_US = ((1_000, 15_000), (10_000, 120_000), (100_000, 600_000))
_POLICY_US = (40_000, 400_000)
_TAKEN_IN_US = (30_000, 80_000)  # the swarm has taken in that a member has rebooted
_HEARD_US = (20_000, 50_000)  # a member that has rebooted has spoken
_OFF_US = 2_000
_WARMUP_US = 120_000
_SPLIT_US = 350_000  # how long before its end it begins with the last two
_BURST = 5
_ASKS = 20  # more than a frame has room for echoes


class Attacker:
    """The attacker of one swarm, until until_us; tried counts what it has done, by kind.

    It takes the place of the swarm's weather, through which go the frames that it lets pass: truth is told of those.
    """

    def __init__(self, swarm: Swarm, truth: Truth, until_us: int, liar: bool) -> None:
        self.tried: Counter[str] = Counter()
        self.until_us = until_us
        self._swarm = swarm
        self._truth = truth
        self._kernel = swarm.kernel
        chance = self._chance = swarm.kernel.random("attacker")
        places = range(len(swarm.plan.ids))
        all_of_them = chance.random() < 0.6
        self._reach = {place for place in places if all_of_them or chance.random() < 0.6} or {chance.choice(places)}
        self._frames: list[tuple[bytes, Any]] = []
        self._known: dict[bytes, Any] = {}
        self._began: dict[bytes, int] = {}  # when each left its maker
        self._sessions: dict[int, int] = {}  # of each member, as heard
        self._forger = Forger(swarm.plan.ids, chance)
        self._liar = Liar(swarm.plan.ids, swarm.make_node(swarm.plan.ids[0], 1).frame.digest, chance) if liar else None
        self._foreign = self._other_swarms()
        self._pause_us = chance.choice(_PAUSES_US)
        self._hold_us = chance.choice(_HOLDS_US)
        self._siege: tuple[int, int] | None = None  # places of who hears nobody but the other, -1 for nobody at all
        self._choose_to_withhold()
        self._late = chance.random()  # share of what is withheld that comes later
        self._before_next = chance.random() < 0.3  # it comes just before the next frame of its sender
        self._held: dict[tuple[Board, Board], list[tuple[bytes, Any]]] = {}
        ways: list[Callable[[], None]] = [self._replay, self._forge, self._burst, self._play_other]
        self._ways = chance.sample(ways, chance.randint(1, len(ways)))
        self._greets = chance.random() < 0.6
        self._shadows = chance.random() < 0.2  # it puts a frame of an earlier boot in the place of the next one
        self._numbered: dict[tuple[int, int], tuple[bytes, Any]] = {}  # by member and sequence: the first recorded
        self._replaced: set[tuple[Board, int, int, int]] = set()
        self._carries = chance.random() < 0.2  # frames to places that they do not reach by themselves
        if liar:
            self._ways += [self._lie] * 3
        self._kernel.at(0, self._act)
        if chance.random() < 0.6 and until_us > 2 * _SPLIT_US:
            self._kernel.at(until_us - _SPLIT_US - chance.randint(0, _SPLIT_US // 2), self._split)

    def _choose_to_withhold(self) -> None:
        """Choose for a while which frames it spoils at their hearers: by both places and the frame."""
        chance = self._chance
        share = chance.choice((0.2, 0.5, 0.9, 1.0, 1.0))
        cut = {(a, b) for a in self._reach for b in self._reach if chance.random() < 0.4}
        lonely = chance.choice(sorted(self._reach))
        odd = chance.randrange(2)
        pick: Callable[[int, int, bytes], bool] = chance.choice((
            lambda sender, hearer, frame: False,
            lambda sender, hearer, frame: True,
            lambda sender, hearer, frame: (sender, hearer) in cut,
            lambda sender, hearer, frame: hearer == lonely,
            lambda sender, hearer, frame: frame[0] == _READY,
            lambda sender, hearer, frame: frame[1] & INSTANT_FLAG != 0,
            lambda sender, hearer, frame: frame[12] & 1 == odd,
            lambda sender, hearer, frame: (sender, hearer) in cut and frame[1] >> 4 != 0,
        ))  # fmt: skip
        self._picks = lambda sender, hearer, frame: pick(sender, hearer, frame) and chance.random() < share
        if self._kernel.now < self.until_us:
            self._kernel.at(self._kernel.now + chance.randint(*_POLICY_US), self._choose_to_withhold)

    def _split(self) -> None:
        """Cut the power of one member and, when the others have taken that in, of another; let a third miss the one
        and be the only one to hear of the other: so that two generations of one number begin apart."""
        chance = self._chance
        there = [board for board in self._swarm.boards if board.on and board.place in self._reach]
        ready = [board for board in there if board.ready_at is not None]
        if len(ready) < 3:
            return
        first, second, lonely = chance.sample(ready, 3)
        self.tried["split"] += 1
        self._siege = lonely.place, -1
        self._cycle(first)
        self._kernel.at(self._kernel.now + chance.randint(*_TAKEN_IN_US), self._split_further, second)

    def _split_further(self, second: Board) -> None:
        assert self._siege
        self._siege = self._siege[0], second.place
        self._cycle(second)
        self._kernel.at(self._kernel.now + self._chance.randint(*_HEARD_US), self._lift, -1, second.place)

    def _cycle(self, board: Board) -> None:
        board.power_off()
        self._kernel.at(self._kernel.now + _OFF_US, board.boot, _WARMUP_US)

    def _lift(self, lonely: int, second: int) -> None:
        """Let the third hear the others again, but nobody the second; and then everybody everybody."""
        self._siege = (lonely, second) if second >= 0 else None
        if self._siege:
            self._kernel.at(self._kernel.now + self._chance.randint(*_HEARD_US), self._lift, -1, -1)

    def _withholds(self, sender: int, hearer: int, frame: bytes) -> bool:
        """Whether a frame is spoilt on its way between these places."""
        if self._siege:
            return (hearer == self._siege[0]) != (sender == self._siege[1])
        return self._picks(sender, hearer, frame)

    def _other_swarms(self) -> list[bytes]:
        """What another swarm of this key, of the same members, says."""
        swarm = self._swarm
        node = Node("other", swarm.plan.ids, swarm.plan.ids[0], swarm.plan.required, DEMONSTRATION_KEY, 2000)
        node.start(0, 0)
        node.complete_local(0, 0)
        everybody = (1 << len(swarm.plan.ids)) - 1
        node.knowledge.bitmaps[:] = everybody.to_bytes(node.frame.width, "little") * 2
        buffer = bytearray(250)
        said = []
        for number in swarm.plan.ids:  # each of that swarm, in the name of the member with that id
            node.knowledge.me = node.machine.index(number)
            node.trickle.start(0)
            length = next(length for now in range(200) if (length := node.poll(now, now * 1000, buffer)))
            said.append(bytes(buffer[:length]))
        return said

    # What happens on the air

    def arrive(self, medium: Any, sender: Board, hearer: Board, sent: Any) -> None:
        """A frame is about to reach a hearer: stands in for the weather."""
        self._overhear(sender, sent)
        pair = sender, hearer
        if self._kernel.now < self.until_us:
            for held in self._held.pop(pair, ()):
                self._give(hearer, *held)
                self.tried["delayed"] += 1
            said = sent.payload
            if (hearer, said.number, said.session, said.sequence) in self._replaced:
                return
            if hearer.place in self._reach and self._withholds(sender.place, hearer.place, sent.frame):
                self.tried["withheld"] += 1
                self._hold(pair, sent.frame, sent.payload)
                return
        self._truth.direct = True
        self._swarm.weather.arrive(medium, sender, hearer, sent)
        self._truth.direct = False
        if self._shadows and hearer.place in self._reach and self._kernel.now < self.until_us:
            self._shadow(hearer, sent.payload)

    def _shadow(self, hearer: Board, said: Any) -> None:
        """Play a frame of an earlier boot with the sequence of the sender's next frame, and spoil that one."""
        old = self._numbered.get((said.number, said.sequence + 1))
        if old and old[1].session < said.session:
            self._give(hearer, *old)
            self._replaced.add((hearer, said.number, said.session, said.sequence + 1))
            self.tried["shadowed"] += 1

    def _overhear(self, sender: Board, sent: Any) -> None:
        if sender.place in self._reach and sent.frame not in self._known:
            self._known[sent.frame] = sent.payload
            self._began[sent.frame] = sent.start
            self._frames.append((sent.frame, sent.payload))
            self._numbered.setdefault((sender.number, sent.payload.sequence), (sent.frame, sent.payload))
            if self._carries:
                self._carry(sender, sent)
            self._sessions[sender.number] = max(sent.payload.session, self._sessions.get(sender.number, 0))

    def _carry(self, sender: Board, sent: Any) -> None:
        for board in self._swarm.boards:
            if board.place in self._reach and board is not sender and not sent.hearers >> board.place & 1:
                self._later(self._chance.randint(1, 3_000), board, sent.frame, sent.payload)
                self.tried["carried"] += 1

    def _hold(self, pair: tuple[Board, Board], frame: bytes, payload: Any) -> None:
        if self._chance.random() > self._late:
            return
        if self._before_next:
            self._held.setdefault(pair, []).append((frame, payload))
        else:
            self._later(self._chance.randint(*self._hold_us), pair[1], frame, payload)
            self.tried["delayed"] += 1

    def boots(self, board: Board) -> None:
        """A board has come up: it has heard nobody yet."""
        if self._greets and board.place in self._reach and self._frames and self._kernel.now < self.until_us:
            for frame, payload in self._chance.choices(self._frames, k=_BURST):
                self._later(self._chance.randint(0, 30_000), board, frame, payload)
                self.tried["replayed"] += 1

    def _later(self, after_us: int, target: Board, frame: bytes, payload: Any) -> None:
        when = self._kernel.now + after_us
        if when < self.until_us:
            self._kernel.at(when, self._give, target, frame, payload)

    def _give(self, target: Board, frame: bytes, payload: Any) -> None:
        """Play a frame to a board: it comes whole no sooner than its medium can bring what its maker has begun."""
        if not target.on or not target.links:
            return
        soonest = self._began.get(frame, 0) + target.links[0].airtime_us(len(frame))
        if self._kernel.now < soonest:
            self._kernel.at(soonest, self._give, target, frame, payload)
        else:
            target.hear(target.links[0], frame, payload)

    # What it does of its own accord

    def _act(self) -> None:
        if self._kernel.now >= self.until_us:
            return
        if self._frames:
            self._chance.choice(self._ways)()
        self._kernel.at(self._kernel.now + self._chance.randint(*self._pause_us), self._act)

    def _targets(self) -> list[Board]:
        there = [board for board in self._swarm.boards if board.on and board.place in self._reach]
        if not there or self._chance.random() < 0.3:
            return there
        return [self._chance.choice(there)]

    def _pick(self) -> tuple[bytes, Any]:
        """A recorded frame: any, or one of the last."""
        return self._chance.choice(self._frames[-20:] if self._chance.random() < 0.4 else self._frames)

    def _replay(self) -> None:
        frame, payload = self._pick()
        for target in self._targets():
            self._give(target, frame, payload)
            self.tried["replayed"] += 1

    def _burst(self) -> None:
        """Several frames at once, backwards or in no order."""
        start = self._chance.randrange(len(self._frames))
        some = self._frames[start : start + _BURST][::-1]
        if self._chance.random() < 0.5:
            self._chance.shuffle(some)
        for target in self._targets():
            for frame, payload in some:
                self._give(target, frame, payload)
            self.tried["replayed"] += len(some)

    def _forge(self) -> None:
        frame = self._forger.forge(self._pick()[0], self._pick()[0])
        payload = self._known.get(frame, Damaged)  # a change may have made a recorded frame again
        for target in self._targets():
            self._give(target, frame, payload)
            self.tried["forged"] += 1

    def _play_other(self) -> None:
        """A frame of another swarm with the same key; or with this swarm's digest written over it."""
        frame = self._chance.choice(self._foreign)
        if self._chance.random() < 0.3:
            frame = frame[:2] + self._frames[-1][0][2:6] + frame[6:]
        for target in self._targets():
            self._give(target, frame, Damaged)
            self.tried["foreign"] += 1

    def _lie(self) -> None:
        """A lie, or now and then many that ask for an answer."""
        assert self._liar
        asks = self._chance.random() < 0.1
        for target in self._targets():
            for _ in range(_ASKS if asks else 1):
                frame, valid = self._liar.ask(target) if asks else self._liar.lie(target, self._sessions)
                self._give(target, frame, Lie(valid))
                self.tried["lies"] += 1

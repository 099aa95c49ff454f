"""One run of the adversary campaign: earlier runs of the swarm, power cuts, the present run, and somebody hostile."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from swarm.device.library import Node, RemoteNode
from swarm.sim.attack.attacker import Attacker
from swarm.sim.attack.gatherer import FalseGatherer
from swarm.sim.attack.remote import RemoteTruth
from swarm.sim.attack.truth import Truth
from swarm.sim.boards.board import Board
from swarm.sim.boards.profiles import IDEAL
from swarm.sim.kernel import PERIOD
from swarm.sim.plan import Options
from swarm.sim.run import Run
from swarm.sim.swarm import NAME

OUTSIDER, LIAR, BABBLER, LOOPER, GATHERER = KINDS = ("outsider", "liar", "babbler", "looper", "gatherer")
_KIND_WEIGHTS = (70, 14, 8, 8, 6)
_STAGGER_US = 60_000  # boots of one run fall in this time
_WARMUP_US = 120_000
_OFF_US = (1_000, 80_000)
_IN_SERIES = 0.25  # share of the outsiders' swarms
_SERIES_US = 1_500_000  # how much longer the attack then lasts
_SHORT_MS = (100, 250)  # periods, of which an attack sees many
_REMOTE = 0.75  # share of the swarms that have them in which there are rounds and a gateway
_ROUND_MS = 10_000  # the digest's;
_MARKS = (1, 3)  # a round is shorter, so that an attack sees several
_BABBLE = 4  # frames in a shortest interval of Trickle
_UP_US = (100_000, 600_000)  # of a member that restarts for ever


def kind_of(seed: int) -> str:
    """Who is hostile in the run of that seed."""
    return random.Random(f"{seed}/adversary kind").choices(KINDS, _KIND_WEIGHTS)[0]


def options_of(seed: int, remote: bool = True) -> Options:
    """What that seed plays with; remote: the nodes know rounds and reports, where it has some."""
    chance = random.Random(f"{seed}/adversary options")
    babbles = kind_of(seed) == BABBLER
    if babbles:  # it does most harm to a node that has no other neighbour but one
        topologies = ("random", "grid")
    elif kind_of(seed) == GATHERER:  # reports without end leave a bus no room
        topologies = ("single", "random")
    else:
        topologies = ("single", "single", "random", "any")
    remote = remote and is_remote(seed)
    return Options(
        board=IDEAL,
        nodes=(2, 8),
        quorum=0,
        loss=chance.choice((0.0, 0.1) if babbles else (0.0, 0.0, 0.1, 0.3)),
        topology=chance.choice(topologies),
        hidden_wait_ms=chance.choice((0.0, 4.0)),
        stamp_us=chance.choice((1, 1000)),
        lead_ms=chance.choice((60, 200, 500)),
        period_ms=_period_ms(seed),
        round_ms=_ROUND_MS if remote else 0,
        gateway=remote,
    )


def _period_ms(seed: int) -> int:
    """Between the samples of a swarm that is attacked in a series; 0 of the others."""
    chance = random.Random(f"{seed}/adversary series")
    kind = kind_of(seed)
    if kind == GATHERER:
        return chance.choice(_SHORT_MS)
    return chance.choice((*_SHORT_MS, 1000)) if kind == OUTSIDER and chance.random() < _IN_SERIES else 0


def is_remote(seed: int) -> bool:
    """Whether the swarm of that seed has rounds and a gateway."""
    chance = random.Random(f"{seed}/adversary rounds")
    return kind_of(seed) == GATHERER or _period_ms(seed) in _SHORT_MS and chance.random() < _REMOTE


class Babbler(Node):
    """A member that has gone wrong: it speaks again and again, as fast as its medium lets it."""

    def poll(self, now, now_us, buffer):
        """Speak now, whatever Trickle says, and again soon."""
        self.trickle.start(now)
        self.trickle.due = now
        length = super().poll(now, now_us, buffer)
        self.trickle.due = now + self.trickle.imin_ms // _BABBLE & PERIOD - 1
        return length


_WRONG = {BABBLER: Babbler, GATHERER: FalseGatherer}


class AttackRun(Run):
    """A run of one seed. kind: who is hostile, one of KINDS; attacker: None where it is an insider that goes wrong.

    node_class stands in for Node, and trace is told of events, as in Run.
    """

    checks: Truth
    tail_us = 600_000

    def __init__(self, seed: int, node_class: type = Node, trace: Callable | None = None) -> None:
        remote = node_class is Node or issubclass(node_class, RemoteNode)
        options = options_of(seed, remote)
        if remote:  # a node that lacks what only such a swarm has is like any other elsewhere
            node_class = (RemoteNode if node_class is Node else node_class) if options.round_ms else Node
        super().__init__(options, seed, node_class, trace)

    def _build(self) -> None:
        chance = self._drawn = self.kernel.random("attack")
        plan = self.plan
        self.kind = kind_of(plan.seed)
        plan.faults = (self.kind,)  # what is stated of swarms that nothing befalls is not stated of this one
        self.insider_place = chance.randrange(len(plan.ids)) if self.kind in (BABBLER, LOOPER) else None
        if self.kind == GATHERER:
            self.insider_place = chance.randrange(1, len(plan.ids))  # the first one gathers in earnest
        self._marks = chance.randint(*_MARKS) if self.options.round_ms else 0
        if self.kind == LOOPER:
            # The others can do without it, or they would have to wait for it to stay.
            plan.required = max(1, min(plan.required, len(plan.ids) - 1))
        self.checks = (RemoteTruth if self.records else Truth)(self.kernel, plan, self.imin_ms)
        if self.records:
            self.records.checks = self.checks
        self.checks.liar = self.kind == LIAR
        self.attacker: Attacker | None = None
        plan.absent = set(range(len(plan.ids)))  # their boots are planned here
        super()._build()
        self.insider = None if self.insider_place is None else self.boards[self.insider_place]
        until_us = self._schedule(chance) + (_SERIES_US if self.beats else 0)
        plan.settled_us = until_us
        if self.kind in (OUTSIDER, LIAR):
            self.attacker = Attacker(self, self.checks, until_us, self.kind == LIAR)
            for medium in self.media:
                medium.weather = self.attacker
        elif self.kind in (BABBLER, GATHERER):
            self.checks.exempt = self.insider

    # What happens to the members

    def _schedule(self, chance: random.Random) -> int:
        """Plan all boots, losses of power and readiness; returns when the last has happened and the attacker ends."""
        start_us = 0
        on: set[int] = set()
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
            start_us, on = self._earlier_run(chance, start_us, on)
        return self._present_run(chance, start_us, on)

    def _earlier_run(self, chance: random.Random, start_us: int, on: set[int]) -> tuple[int, set[int]]:
        """A run that ends with a cut of power, of all members or of some; on: who is on already. Returns its end, and
        who is on then."""
        for board in self.boards:
            if board.place not in on and chance.random() < 0.9:
                ready = chance.random() < 0.85
                self._boot(board, start_us + chance.randint(0, _STAGGER_US), ready)
                on = on | {board.place}
        end_us = start_us + chance.randint(120_000, 350_000)
        staying = chance.random() < 0.3
        stay = {place for place in on if staying and chance.random() < 0.5}
        for board in self.boards:
            if board.place not in stay:
                self.kernel.at(end_us + chance.randint(0, 20_000), board.power_off)
        return end_us + 25_000, stay

    def _present_run(self, chance: random.Random, start_us: int, on: set[int]) -> int:
        """The run that the attack is about: as many become ready as are required, or fewer; some reboot."""
        count, required = len(self.boards), self.plan.required
        enough = self.kind == LOOPER or chance.random() < 0.5
        ready_count = chance.randint(required, count) if enough else chance.randint(0, required - 1)
        places = [place for place in range(count) if place != self.insider_place or self.kind != LOOPER]
        ready = set(chance.sample(places, min(ready_count, len(places))))
        end_us = start_us + chance.randint(100_000, 400_000)
        for board in self.boards:
            if board.place in on and (board.place in ready or chance.random() < 0.3):
                continue  # it has been on all the time; if it was ready, it is
            self.kernel.at(start_us, board.power_off)
            first_us = start_us + 1 + chance.randint(0, 2 * _STAGGER_US)
            if board.place in ready or chance.random() < 0.85:
                self._boot(board, first_us, board.place in ready)
        lost_us = start_us + chance.randint(100_000, 400_000)
        for _ in range(chance.choice((0, 0, 1, 2, 3, 4))):
            board = chance.choice(self.boards)
            lost_us += chance.choice((chance.randint(2_000, 60_000), chance.randint(50_000, 200_000)))
            back_us = lost_us + chance.randint(*_OFF_US)
            self.kernel.at(lost_us, board.power_off)
            end_us = max(end_us, self._boot(board, back_us, board.place in ready))
        if self.kind == LOOPER:
            self.kernel.at(start_us, self._loop, chance.randint(*_UP_US), chance.randint(*_OFF_US))
        return max(end_us, start_us + 2 * _STAGGER_US + _WARMUP_US) + chance.randint(0, 200_000)

    def _boot(self, board: Board, when_us: int, ready: bool) -> int:
        """Plan a boot; returns when it is over, readiness included."""
        warmup_us = self._drawn.randint(0, _WARMUP_US) if ready else None
        self.kernel.at(when_us, board.boot, warmup_us)
        return when_us + (warmup_us or 0)

    def _loop(self, up_us: int, off_us: int) -> None:
        """The insider restarts for ever, and becomes ready each time."""
        assert self.insider
        self.insider.power_off()
        self.insider.boot(up_us // 2)
        self.kernel.at(self.kernel.now + up_us, self.insider.power_off)
        self.kernel.at(self.kernel.now + up_us + off_us, self._loop, up_us, off_us)

    def make_member(self, board: Board) -> Any:
        """A member's node at a boot; that of the one that talks without end."""
        wrong = _WRONG.get(self.kind) if self.kind == BABBLER or self.records else None
        if wrong is None or board.place != self.insider_place:
            return super().make_member(board)
        proper, self._node_class = self._node_class, wrong
        try:
            return super().make_member(board)
        finally:
            self._node_class = proper

    def make_node(self, number: int, session: int, name: str = NAME) -> Any:
        """As in every run, but with rounds shorter than anybody may configure."""
        node = super().make_node(number, session, name)
        if self._marks:
            node.rounds.marks = self._marks
            node.rounds._look_us = self._marks * node.first_sample.mark_us // 12
        return node

    # What boards tell, and the end

    def booted(self, board: Board) -> None:
        """A board's node has been made."""
        super().booted(board)
        if self.attacker:
            self.attacker.boots(board)

    def _expected(self) -> list[Board]:
        """As in every run; but nothing is expected where somebody lies, nor of a member that restarts for ever."""
        if self.kind == LIAR:
            return []
        everybody = self.boards
        self.boards = [board for board in everybody if self.kind != LOOPER or board is not self.insider]
        try:
            return super()._expected()
        finally:
            self.boards = everybody

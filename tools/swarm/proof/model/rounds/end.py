"""The end of all faults: everybody speaks in turn, and within each round all must have heard of all."""

from __future__ import annotations

from swarm.proof.model.end import Continuation, continuations
from swarm.proof.model.properties import UNHEARD, Violation
from swarm.proof.model.rounds.cases import ADVANCES, DEAD, FOLLOWS, HEARS, SPEAKS, Cases, Step
from swarm.proof.model.state import ids

ROUNDS = 3  # in the first one who has booted learns of the rounds, the second is the first that is whole to it
_TURNS = 2  # to speak, at each place in a round
_REDUNDANCY = 1
_LINE = "in a line"


class Ends:
    """Lets the faults end in each way that continuations() has; members that are dead stay so.

    now: the members' states where it is or where it failed; steps: those since the faults ended; heading: says in which
    way they did.
    """

    def __init__(self, cases: Cases) -> None:
        self.now: list[int] = []
        self.steps: list[Step] = []
        self.heading = ""
        self._cases = cases
        self._first = 0  # who speaks first
        nodes = len(cases.members)
        self._ways: list[tuple[Continuation, set[tuple[int, ...]]]] = [
            (way, set()) for way in continuations(nodes, nodes)
        ]

    def judge(self, numbers: tuple[int, ...]) -> None:
        """From the beginning of a round on. Raises Violation if anybody is not heard in time."""
        for way, known in self._ways:
            if way.name.startswith(_LINE) and DEAD in numbers:
                continue  # it is broken
            self.heading = f"Then the faults end; {way.name}:"
            self.steps = []
            self._first = 0
            self.now = list(numbers)
            for count in range(ROUNDS):
                before = (count, *self.now)
                if before in known:
                    break
                self._round(way)
                self._check(count)
                for place, number in enumerate(self.now):
                    self._go_on(place, number)
                known.add(before)

    def _round(self, way: Continuation) -> None:
        """Let a round pass, up to its last place."""
        for phase in range(self._cases.members[0].phases):
            if phase:
                for place, number in enumerate(self.now):
                    self._go_on(place, number)
            for _ in range(_TURNS):
                self._turn(way)
                self._first += way.name.startswith(_LINE)

    def _go_on(self, place: int, number: int) -> None:
        if self._knows(number):
            self._do(Step(ADVANCES, place), self._cases.advance(number))

    def _turn(self, way: Continuation) -> None:
        """Everybody may speak once, unless it has heard enough that told nothing new. Where all hear all they do so in
        one order always, which is the worst that suppression can do. In a line who is in the middle could be silenced
        for ever by one end that has heard the other, if Trickle's moments were not random: another is the first each
        time."""
        cases = self._cases
        heard = [0] * len(self.now)
        for i in range(len(way.members)):
            place = way.members[(i + self._first) % len(way.members)]
            if not self._knows(self.now[place]) or heard[place] >= _REDUNDANCY:
                continue
            word = cases.speak(self.now[place])
            self._do(Step(SPEAKS, place, word), self.now[place])
            for hearer in way.hearers[place]:
                number = self.now[hearer]
                if self._knows(number):
                    after, differs = cases.hear(number, word, 0)
                    heard[hearer] += not differs
                    self._do(Step(HEARS, hearer, word), after)
                elif number != DEAD:
                    self._do(Step(FOLLOWS, hearer, word), cases.follow(number, word, 0))

    def _do(self, step: Step, after: int) -> None:
        self.now[step.place] = after
        self.steps.append(step)

    def _knows(self, number: int) -> bool:
        """Whether it is there, and knows of the rounds."""
        return self._cases.phases[number] >= 0

    def _check(self, count: int) -> None:
        """A round ends."""
        there = sum(1 << place for place, number in enumerate(self.now) if number != DEAD)
        for place, number in enumerate(self.now):
            if number == DEAD:
                continue
            where = self._cases.wheres[number]
            if there & ~where.heard:
                raise Violation(
                    UNHEARD, f"node {place + 1} has not heard {ids(there & ~where.heard)} in round {count + 1}"
                )
            dead = (1 << len(self.now)) - 1 & ~there
            if count + 1 == ROUNDS and where.lost != dead:
                raise Violation(UNHEARD, f"to node {place + 1} {ids(where.lost)} is lost, and {ids(dead)} dead")

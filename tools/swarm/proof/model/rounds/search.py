"""A search of all that can become of who is present, who is lost and who is back: breadth first, from power-up.

Members' clocks are within one place of each other, of which a round has two or three: one is in the next round before
another, or notices who is lost. A cut lets those of its sides drift apart, by rounds; when it has healed, one sets its
clock by the other. Frames are held by the medium, of which each may be heard by anybody, at any time, any number of
times or never, until it is two rounds old. Members die and boot as often as they like, and rounds go on for ever: the
search ends since nothing new comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from swarm.proof.model.properties import UNHEARD, Violation
from swarm.proof.model.rounds.cases import (
    ADVANCES,
    BEGINS,
    BOOTS,
    DEAD,
    DIES,
    FOLLOWS,
    HEALS,
    HEARS,
    PARTS,
    SPEAKS,
    TELLS,
    Cases,
    Step,
)
from swarm.proof.model.rounds.end import Ends
from swarm.proof.model.rounds.member import Member
from swarm.proof.model.state import ids
from swarm.proof.model.walk import Found, Walk

_OLD = 1  # rounds: a frame that is older than that is as good as one of that age


@dataclass(frozen=True)
class RoundBounds:
    """What a search explores.

    nodes; marks: of a round, 1 or 2; flight: frames that the medium holds at
    most, 0: each is heard at once or never; mortal: ids of those that may die;
    cut: ids of which each may be cut off from all others; apart: places by which those of both sides may then differ;
    tells: whether what has changed is said at once, and not at any later time; steps: as many at most, 0: all.
    """

    nodes: int
    marks: int = 2
    flight: int = 1
    mortal: tuple[int, ...] = ()
    cut: tuple[int, ...] = ()
    apart: int = 1
    tells: bool = True
    steps: int = 0

    def __str__(self) -> str:
        parts = [f"rounds of {self.nodes} nodes, {self.marks} mark{'s' * (self.marks > 1)} each"]
        parts.append(f"{self.flight} in flight" if self.flight else "heard at once or never")
        if self.mortal:
            parts.append(f"{_listed(self.mortal)} may die and boot")
        if self.cut:
            parts.append(f"{_listed(self.cut)} may be cut off, {self.apart} places apart")
        if not self.tells:
            parts.append("told late")
        if self.steps:
            parts.append(f"{self.steps} steps")
        return ", ".join(parts)


class Swarm(NamedTuple):
    """A state of the swarm: the numbers of its members' states, by how many rounds each is ahead of the last, the place
    of who is cut off, or -1, and the frames that are held, as (number, rounds ahead of the last)."""

    members: tuple[int, ...]
    ahead: tuple[int, ...]
    cut: int
    held: tuple[tuple[int, int], ...]


class RoundsSearch:
    """A search within bounds. classes: rounds_class, presence_class and frame_class, as of Member; report: called now
    and then with what has been found so far."""

    def __init__(
        self, bounds: RoundBounds, report: Callable[[Found], None] = lambda found: None, **classes: Any
    ) -> None:
        self._bounds = bounds
        self._report = report
        self._found = Found(bounds)
        self._cases = Cases(
            [Member(place, bounds.nodes, bounds.marks, bounds.tells, **classes) for place in range(bounds.nodes)]
        )
        self._phases = self._cases.members[0].phases
        self._all = range(bounds.nodes)
        self._ends = Ends(self._cases)
        self._walk: Walk[Swarm] = Walk()

    def run(self) -> Found:
        """Search until everything within the bounds has been met, or until the first violation."""
        found, walk = self._found, self._walk
        at = -1
        try:
            booted = tuple([self._cases.boot(place) for place in range(self._bounds.nodes)])
            walk.run(Swarm(booted, (0,) * len(booted), -1, ()), self._steps, self._note, self._bounds.steps)
            ends: set[tuple[int, ...]] = set()
            for at, swarm in enumerate(walk.order):  # noqa: B007 - a violation's trace leads there
                if swarm.members not in ends and self._may_end(swarm):
                    ends.add(swarm.members)
                    found.ends += 1
                    self._ends.judge(swarm.members)
        except Violation as violation:
            found.violation = violation
            found.trace = self._trace(at)
        self._note()
        return found

    def _note(self) -> None:
        found = self._found
        found.states = len(self._walk.order)
        found.transitions = self._walk.transitions
        found.depth = self._walk.depth
        found.node_states = len(self._cases.wheres) - 1
        found.frames = len(self._cases.said)
        self._report(found)

    # How far members are is said in places; -1 for one that knows of no round.

    def _places(self, swarm: Swarm) -> list[int]:
        phases, most = self._cases.phases, self._phases
        return [
            most * ahead + phases[number] if phases[number] >= 0 else -1
            for number, ahead in zip(swarm.members, swarm.ahead, strict=True)
        ]

    def _steps(self, swarm: Swarm) -> Iterator[tuple[Step, Swarm]]:
        """All that may happen, and the states after it."""
        cases, bounds = self._cases, self._bounds
        members = swarm.members
        places = self._places(swarm)
        said = swarm.held
        if not bounds.flight:
            said = tuple([
                (cases.speak(members[place]), swarm.ahead[place]) for place in self._all if places[place] >= 0
            ])  # fmt: skip
        for place in self._all:
            number = members[place]
            if place + 1 in bounds.mortal:
                if number == DEAD:
                    yield Step(BOOTS, place), self._with(swarm, place, cases.boot(place))
                else:
                    yield Step(DIES, place), self._level(self._with(swarm, place, DEAD))
            if place + 1 in bounds.cut and swarm.cut in (-1, place):
                yield (
                    Step(HEALS, place) if swarm.cut == place else Step(PARTS, place),
                    swarm._replace(cut=-1 if swarm.cut == place else place),
                )
            if places[place] >= 0:
                yield from self._steps_alone(swarm, places, place)
            if number != DEAD:
                yield from self._steps_listening(swarm, places, place, said)
        if max(places) < 0 and any(members):
            yield Step(BEGINS, 0), swarm._replace(members=tuple([number and cases.begin(number) for number in members]))

    def _steps_alone(self, swarm: Swarm, places: list[int], place: int) -> Iterator[tuple[Step, Swarm]]:
        cases, bounds = self._cases, self._bounds
        number = swarm.members[place]
        if self._may_advance(swarm, places, place):
            after = cases.advance(number)
            if cases.phases[after]:
                yield Step(ADVANCES, place), self._with(swarm, place, after)
            else:
                yield Step(ADVANCES, place), self._level(self._with(swarm, place, after, swarm.ahead[place] + 1))
        if not bounds.tells:
            yield Step(TELLS, place), self._with(swarm, place, cases.tell(number))
        if bounds.flight:
            said = (cases.speak(number), swarm.ahead[place])
            if said not in swarm.held:
                held = tuple(sorted((*swarm.held, said)))
                for lost in held if len(held) > bounds.flight else (None,):
                    yield Step(SPEAKS, place, said[0]), swarm._replace(held=tuple([one for one in held if one != lost]))

    def _steps_listening(
        self, swarm: Swarm, places: list[int], place: int, said: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[Step, Swarm]]:
        cases = self._cases
        number, mine = swarm.members[place], swarm.ahead[place]
        for word, rounds in said:
            sender = cases.said[word].sender
            if sender == place or self._is_cut(swarm, sender, place):
                continue
            if places[place] >= 0:
                after, _ = cases.hear(number, word, rounds - mine)
                if after != number:
                    yield Step(HEARS, place, word, rounds - mine), self._with(swarm, place, after)
            told = rounds * self._phases + cases.members[place].told_phase(cases.said[word])
            if self._may_follow(swarm, places, place, told):
                after = cases.follow(number, word, rounds - mine)
                yield Step(FOLLOWS, place, word, rounds - mine), self._level(self._with(swarm, place, after, rounds))

    def _is_cut(self, swarm: Swarm, one: int, other: int) -> bool:
        return swarm.cut >= 0 and (one == swarm.cut) != (other == swarm.cut)

    def _may_advance(self, swarm: Swarm, places: list[int], place: int) -> bool:
        """Whether its clock may go on: it must not leave others behind."""
        mine = places[place]
        for other in self._all:
            apart = mine + 1 - places[other]
            if apart > 1 and places[other] >= 0:
                drifts = apart > 2 or self._is_cut(swarm, place, other)
                if not drifts or apart > self._bounds.apart:
                    return False
        return True

    def _may_follow(self, swarm: Swarm, places: list[int], place: int, told: int) -> bool:
        """Whether it may set its clock to that place: those whom it hears are near that, and it is not, or has none."""
        if places[place] >= 0 and -1 <= places[place] - told <= 1:
            return False
        return all(
            -1 <= places[other] - told <= 1
            for other in self._all
            if other != place and places[other] >= 0 and not self._is_cut(swarm, place, other)
        )

    def _with(self, swarm: Swarm, place: int, number: int, ahead: int | None = None) -> Swarm:
        """The swarm with that member in another state, and in that round."""
        members, rounds = swarm.members, swarm.ahead
        if ahead is not None:
            rounds = (*rounds[:place], ahead, *rounds[place + 1 :])
        return Swarm((*members[:place], number, *members[place + 1 :]), rounds, swarm.cut, swarm.held)

    def _level(self, swarm: Swarm) -> Swarm:
        """The same, with rounds counted from the last member's, and without frames that are too old."""
        phases = self._cases.phases
        ahead = [there for number, there in zip(swarm.members, swarm.ahead, strict=True) if phases[number] >= 0]
        last = min(ahead) if ahead else 0
        rounds = [
            there - last if phases[number] >= 0 else 0
            for number, there in zip(swarm.members, swarm.ahead, strict=True)
        ]  # fmt: skip
        held = [(word, there - last) for word, there in swarm.held if ahead and there - last >= -_OLD]
        return Swarm(swarm.members, tuple(rounds), swarm.cut, tuple(held))

    def _may_end(self, swarm: Swarm) -> bool:
        """Whether the faults may end here: all are at the beginning of a round."""
        places = self._places(swarm)
        return swarm.cut < 0 and 0 in places and max(places) == 0

    def _trace(self, at: int) -> tuple[str, ...]:
        """The steps from the start to the violation, and what the members hold just before it."""
        walk, cases, failing = self._walk, self._cases, self._cases.doing
        way = walk.way(walk.at if at < 0 else at)
        lines = []
        for before, after in zip(way, way[1:], strict=False):
            step = next(step for step, there in self._steps(before) if there == after)
            lines.append(f"{len(lines) + 1}. {cases.words(step)}")
        members = way[-1].members if way else ()
        if at >= 0:
            lines.append(self._ends.heading)
            lines += [f"- {cases.words(step)}" for step in self._ends.steps]
            members = self._ends.now
        lines += [f"  {cases.where_words(place, number)}" for place, number in enumerate(members)]
        if not self._found.violation or self._found.violation.broken != UNHEARD:
            lines.append(f"then {cases.words(failing)}")
        return tuple(lines)


def _listed(members: tuple[int, ...]) -> str:
    return ids(sum(1 << member - 1 for member in members))

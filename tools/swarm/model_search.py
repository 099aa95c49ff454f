"""Breadth-first search through all that can happen to a few members of a swarm, within bounds.

The medium is a set of frames: each may be heard by any node at any moment, never, or again and again. That is every
loss, delay, order and repetition at once, and the work of whoever records and replays. A state of the swarm is the
members' states (model_node.State) and that set. From each the search takes every step that its bounds allow: a node
speaks, hears one frame, completes, lets its deadline pass, or reboots.

What a node does depends on its own state and on what happens to it. Each such pair is run on the real Node once and
remembered; the search combines what is remembered. Where the medium holds a limited number of frames, one is lost only
when it would hold one too many: with more to be heard, all can happen that can happen with fewer. No symmetry between
members is used: a machine takes readiness in by ascending id, and none once it has enough, so they are not quite alike.

Then, from each combination of members' states that was met, the faults end: everybody speaks in turn and hears what is
said, and within ROUNDS the swarm must have come to the truth. What the medium holds is lost there; had it been heard
first, that is another combination, which was met as well.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swarm.model_node import Member, Said, State, Violation, ids
from swarm.sim.device import BOOTSTRAPPED, TIMED_OUT, Node

STRANDED = "once the faults end, all agree on the truth and everybody who is ready concludes"
ROUNDS = 8  # everybody may speak once in each
_SETTLING = 3  # rounds after which the members of a settled swarm know each other
_REPORT = 1 << 14  # states from one report to the next

SPEAKS = "speaks"
HEARS = "hears"
COMPLETES = "completes"
EXPIRES = "lets its deadline pass"
REBOOTS = "reboots"


@dataclass(frozen=True)
class Bounds:
    """What a search explores.

    nodes, required, retry: the swarm, as for Node. speaks: frames that each life of a node may send; flight: frames
    that the medium holds at most, 0 for all; reboots: of all nodes together; deadlines: that may pass in each life;
    settled: None, or the ids that are ready in the swarm from which the search sets out, in which all know each other;
    frames and reboots count from there.
    """

    nodes: int
    required: int
    speaks: int
    reboots: int
    flight: int = 0
    deadlines: int = 0
    retry: bool = True
    settled: tuple[int, ...] | None = None

    def __str__(self) -> str:
        parts = [f"{self.nodes} nodes, required {self.required}", f"{self.speaks} frames a life"]
        if self.flight:
            parts.append(f"{self.flight} in flight")
        parts.append(f"{self.reboots} reboot{'s' * (self.reboots != 1)}")
        if self.deadlines:
            parts.append(f"{self.deadlines} deadline a life ({'retry' if self.retry else 'halt'})")
        if self.settled is not None:
            parts.append(f"from a settled swarm with {ids(sum(1 << i - 1 for i in self.settled))} ready")
        return ", ".join(parts)


@dataclass
class Found:
    """What a search has found. depth: steps from the start to the state that is furthest from it; ends: combinations
    of members' states in which the faults ended; rounds: the most that any of them took; node_states and frames: of
    single members; violation: None, or the first, with the shortest trace to it."""

    bounds: Bounds
    states: int = 0
    transitions: int = 0
    depth: int = 0
    ends: int = 0
    rounds: int = 0
    node_states: int = 0
    frames: int = 0
    violation: Violation | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.bounds}: {self.states} states, {self.transitions} transitions, depth {self.depth}, "
            f"{int(self.violation is not None)} violations, liveness checked from {self.ends} states, "
            f"which took {self.rounds} rounds at most"
        )


class Step(NamedTuple):
    """What a member does, its place, and the number of the frame that it speaks or hears, or None."""

    action: str
    place: int
    frame: int | None = None


class Truth(NamedTuple):
    """What _agrees() asks of a member's state."""

    bitmaps: int
    generation: int
    ready: bool
    concluded: bool


class Continuation(NamedTuple):
    """A swarm without faults: who speaks, in that order, and who hears it."""

    name: str
    members: tuple[int, ...]
    hearers: dict[int, tuple[int, ...]]


def continuations(nodes: int, required: int) -> list[Continuation]:
    """All hear all, speaking in either order; a line, which ends at each member once; and each of them gone for good,
    if the others suffice."""

    def together(name: str, members: Sequence[int]) -> Continuation:
        return Continuation(name, tuple(members), {i: tuple(j for j in members if j != i) for i in members})

    everybody = range(nodes)
    found = [together("all hear all", everybody), together("all hear all, the last speaks first", everybody[::-1])]
    if nodes > 2:
        for first in everybody:
            line = [(first + i) % nodes for i in everybody]
            name = "in a line " + " - ".join(str(i + 1) for i in line)
            near = {i: tuple(j for j in everybody if abs(line.index(i) - line.index(j)) == 1) for i in everybody}
            found.append(Continuation(name, tuple(everybody), near))
    if required < nodes:
        found += [together(f"node {gone + 1} is gone", [i for i in everybody if i != gone]) for gone in everybody]
    return found


class Search:
    """A search within bounds. node_class: Node, or one that breaks a rule on purpose; report: called now and then with
    what has been found so far."""

    def __init__(
        self, bounds: Bounds, node_class: type[Node] = Node, report: Callable[[Found], None] = lambda found: None
    ) -> None:
        tags: dict = {}
        self._bounds = bounds
        self._report = report
        self._members = [
            Member(place, bounds.nodes, bounds.required, bounds.retry, node_class, tags)
            for place in range(bounds.nodes)
        ]
        self._continuations = continuations(bounds.nodes, bounds.required)
        self._found = Found(bounds)
        self._doing = Step(SPEAKS, 0)  # what is being run on a Node
        self._spoken_before = [0] * bounds.nodes  # sequences from which the first life's frames count
        # A member's state, a frame and a set of frames each have a number.
        self._states: list[State] = []
        self._places: list[int] = []
        self._lives: list[int] = []
        self._truths: list[Truth] = []
        self._state_numbers: dict[tuple[int, State], int] = {}
        self._said: list[Said] = []
        self._said_numbers: dict[Said, int] = {}
        self._nets: list[int] = []  # bit sets of frames
        self._net_numbers: dict[int, int] = {}
        # What has been run, by those numbers.
        self._spoken: dict[tuple[int, bool], tuple[int, int | None]] = {}
        self._heard: dict[tuple[int, int], tuple[int, bool]] = {}
        self._alone: dict[int, list[tuple[Step, int]]] = {}
        self._listening: dict[tuple[int, int], list[tuple[Step, int]]] = {}
        self._sets: dict[tuple[int, int], list[int]] = {}
        self._after_boot: dict[tuple[int, int], int] = {}
        self._settling: list[dict[tuple[int, ...], int]] = [{} for _ in self._continuations]
        # Where it is, for the trace: the members' states, and what has been said since the faults ended.
        self._now: Sequence[int] = ()
        self._after_faults: list = []

    def run(self) -> Found:
        """Search until everything within the bounds has been met, or until the first violation."""
        found = self._found
        order: list[tuple[int, ...]] = []
        parents = array("L", [0])
        seen: set[tuple[int, ...]] = set()
        ends: dict[tuple[int, ...], int] = {}  # members' states, and where they were met first
        at = 0
        collecting = gc.isenabled()
        gc.disable()  # it would look through millions of tuples, of which none refers back to itself
        try:
            order.append(self._begin())
            seen.add(order[0])
            deeper = 1  # where the next depth begins
            while at < len(order):
                if at == deeper:
                    found.depth += 1
                    deeper = len(order)
                swarm = order[at]
                self._now = swarm[:-1]
                ends.setdefault(swarm[:-1], at)
                for _, after in self._steps(swarm):
                    found.transitions += 1
                    if after not in seen:
                        seen.add(after)
                        order.append(after)
                        parents.append(at)
                at += 1
                if not at % _REPORT:
                    self._note(at)
            for numbers, at in ends.items():  # noqa: B007, the trace is to that state
                self._end(numbers)
        except Violation as violation:
            found.violation = violation
            found.trace = self._trace(order, parents, at)
        finally:
            if collecting:
                gc.enable()
        self._note(len(order))
        return found

    def _note(self, states: int) -> None:
        found = self._found
        found.states = states
        found.node_states = len(self._states)
        found.frames = len(self._said)
        self._report(found)

    # Numbers

    def _state(self, place: int, state: State) -> int:
        key = (place, state)
        number = self._state_numbers.get(key)
        if number is None:
            number = self._state_numbers[key] = len(self._states)
            self._states.append(state)
            self._places.append(place)
            self._lives.append(state.life)
            member = self._members[place]
            concluded = member.value(state, "machine.state") in (BOOTSTRAPPED, TIMED_OUT)
            generation = member.value(state, "generation")
            self._truths.append(Truth(member.bitmaps(state), generation, member.ready(state), concluded))
        return number

    def _frame(self, said: Said) -> int:
        number = self._said_numbers.get(said)
        if number is None:
            number = self._said_numbers[said] = len(self._said)
            self._said.append(said)
        return number

    def _net(self, frames: int) -> int:
        number = self._net_numbers.get(frames)
        if number is None:
            number = self._net_numbers[frames] = len(self._nets)
            self._nets.append(frames)
        return number

    # Steps of one member, each run on a Node once

    def _speak(self, number: int, suppressed: bool = False) -> tuple[int, int | None]:
        """The state after it, and the frame or None."""
        key = (number, suppressed)
        done = self._spoken.get(key)
        if done is None:
            place = self._places[number]
            self._doing = Step(SPEAKS, place)
            state, said = self._members[place].speak(self._states[number], suppressed)
            done = self._spoken[key] = self._state(place, state), None if said is None else self._frame(said)
        return done

    def _hear(self, number: int, frame: int) -> tuple[int, bool]:
        """The state after it, and whether it told nothing new."""
        key = (number, frame)
        done = self._heard.get(key)
        if done is None:
            place = self._places[number]
            self._doing = Step(HEARS, place, frame)
            state, consistent = self._members[place].hear(self._states[number], self._said[frame])
            done = self._heard[key] = self._state(place, state), consistent
        return done

    def _steps_alone(self, number: int) -> list[tuple[Step, int]]:
        """What a member may do by itself: the step and the state after it."""
        steps = self._alone.get(number)
        if steps is not None:
            return steps
        steps = self._alone[number] = []
        place = self._places[number]
        member = self._members[place]
        state = self._states[number]
        before = self._spoken_before[place] if state.life == 1 else 0
        if member.value(state, "sequence") - before < self._bounds.speaks:
            after, frame = self._speak(number)
            if frame is not None:
                steps.append((Step(SPEAKS, place, frame), after))
        if not member.ready(state):
            self._doing = Step(COMPLETES, place)
            steps.append((self._doing, self._state(place, member.complete(state))))
        if state.expired < self._bounds.deadlines:
            self._doing = Step(EXPIRES, place)
            steps.append((self._doing, self._state(place, member.expire(state))))
        return steps

    def _steps_listening(self, number: int, net: int) -> list[tuple[Step, int]]:
        """What a member may hear with any effect: the step and the state after it."""
        key = (number, net)
        steps = self._listening.get(key)
        if steps is None:
            steps = self._listening[key] = []
            for frame in _bits(self._nets[net]):
                after, _ = self._hear(number, frame)
                if after != number:
                    steps.append((Step(HEARS, self._places[number], frame), after))
        return steps

    # Steps of the swarm: a tuple of its members' states and, last, the set of frames in flight, by their numbers

    def _begin(self) -> tuple[int, ...]:
        """The swarm from which the search sets out."""
        members = self._members
        numbers = [self._state(member.place, member.boot(1)) for member in members]
        if self._bounds.settled is not None:
            for place in (member - 1 for member in self._bounds.settled):
                numbers[place] = self._state(place, members[place].complete(self._states[numbers[place]]))
            for _ in range(_SETTLING):
                numbers = self._round(numbers, self._continuations[0])
            self._after_faults = []
            self._spoken_before = [
                member.value(self._states[number], "sequence") for member, number in zip(members, numbers, strict=True)
            ]
        return (*numbers, self._net(0))

    def _steps(self, swarm: tuple[int, ...]) -> Iterator[tuple[Step, tuple[int, ...]]]:
        net = swarm[-1]
        lives = self._lives
        reboots = self._bounds.nodes + self._bounds.reboots - sum(lives[number] for number in swarm[:-1])
        for place in range(len(swarm) - 1):
            number = swarm[place]
            before, behind = swarm[:place], swarm[place + 1 : -1]
            for step, after in self._steps_alone(number):
                members = (*before, after, *behind)
                if step.frame is None:
                    yield step, (*members, net)
                else:
                    for left in self._sent(net, step.frame):
                        yield step, (*members, left)
            for step, after in self._steps_listening(number, net):
                yield step, (*before, after, *behind, net)
            if reboots:
                self._doing = Step(REBOOTS, place)
                after = self._state(place, self._members[place].boot(lives[number] + 1))
                yield Step(REBOOTS, place), (*before, after, *behind, self._aged(net, place))

    def _sent(self, net: int, frame: int) -> list[int]:
        """The sets of frames that may be in flight after that frame was sent: one of too many is lost."""
        key = (net, frame)
        sets = self._sets.get(key)
        if sets is None:
            frames = self._nets[net] | 1 << frame
            if self._bounds.flight and frames.bit_count() > self._bounds.flight:
                sets = [self._net(frames & ~(1 << lost)) for lost in _bits(frames)]
            else:
                sets = [self._net(frames)]
            self._sets[key] = sets
        return sets

    def _aged(self, net: int, place: int) -> int:
        """The set of frames after a boot of that member."""
        key = (net, place)
        number = self._after_boot.get(key)
        if number is None:
            aged = 0
            for frame in _bits(self._nets[net]):
                said = self._said[frame]
                aged |= 1 << self._frame(said._replace(old=said.old | 1 << place))
            number = self._after_boot[key] = self._net(aged)
        return number

    # The end of the faults

    def _end(self, numbers: tuple[int, ...]) -> None:
        """Let the faults end in each way, and judge what the swarm comes to."""
        self._found.ends += 1
        for continuation, known in zip(self._continuations, self._settling, strict=True):
            taken = self._settle(numbers, continuation, known)
            self._found.rounds = max(self._found.rounds, taken)
        self._after_faults = []

    def _settle(self, numbers: tuple[int, ...], continuation: Continuation, known: dict[tuple[int, ...], int]) -> int:
        """Rounds that the members of the continuation take to agree; known: of the states that have been tried."""
        self._after_faults = [continuation.name]
        members = continuation.members
        left = list(numbers)
        path = []
        rounds = 0
        while not rounds:
            at = tuple([left[place] for place in members])
            rounds = known.get(at, 0)
            if rounds:
                break
            path.append(at)
            left = self._round(left, continuation)
            if self._agrees(left, members):
                rounds = 1
                known[path.pop()] = 1
            elif len(path) == ROUNDS:
                break
        if not rounds or rounds + len(path) > ROUNDS:
            raise Violation(STRANDED, f"not within {ROUNDS} rounds")
        for at in reversed(path):
            rounds += 1
            known[at] = rounds
        return rounds

    def _round(self, numbers: list[int], continuation: Continuation) -> list[int]:
        """Everybody may speak once, unless it has heard enough that told nothing new: all Trickle timers beat in one
        time, which is the worst that suppression can do."""
        numbers = self._now = list(numbers)
        heard = [0] * len(numbers)
        for place in continuation.members:
            numbers[place], frame = self._speak(numbers[place], heard[place] >= self._members[place].redundancy)
            if frame is not None:
                self._after_faults.append(Step(SPEAKS, place, frame))
                for hearer in continuation.hearers[place]:
                    numbers[hearer], consistent = self._hear(numbers[hearer], frame)
                    heard[hearer] += consistent
        return numbers

    def _agrees(self, numbers: list[int], members: tuple[int, ...]) -> bool:
        """Whether those members all know the truth about each other, and have concluded if they should have."""
        truths = [self._truths[numbers[place]] for place in members]
        generation = truths[0].generation
        present = ready = count = 0
        for place, truth in zip(members, truths, strict=True):
            present |= 0x101 << place
            ready |= (1 | truth.ready << 8) << place
            count += truth.ready
        enough = count >= self._bounds.required
        for truth in truths:
            if truth.bitmaps & present != ready or truth.generation != generation:
                return False
            if enough and truth.ready and not truth.concluded:
                return False
        return True

    # In words

    def _trace(self, order: list[tuple[int, ...]], parents: Sequence[int], at: int) -> tuple[str, ...]:
        """The steps from the start to the violation, and what the members hold just before it."""
        failing, after_faults, members = self._doing, self._after_faults, self._now
        path = []
        while 0 < at < len(order):
            path.append(at)
            at = parents[at]
        lines = []
        swarm = order[0] if order else ()
        for at in reversed(path):
            step = next(step for step, after in self._steps(swarm) if after == order[at])
            lines.append(f"{len(lines) + 1}. {self._words(step)}")
            swarm = order[at]
        if after_faults:
            lines.append(f"Then the faults end; {after_faults[0]}:")
            lines += [f"- {self._words(step)}" for step in after_faults[1:]]
        for place, number in enumerate(members):
            lines.append(f"  node {place + 1} is {self._members[place].words(self._states[number])}")
        if self._found.violation.broken != STRANDED:
            lines.append(f"then {self._words(failing)}")
        return tuple(lines)

    def _words(self, step: Step) -> str:
        frame = "" if step.frame is None else f" {self._said[step.frame].words()}"
        return f"node {step.place + 1} {step.action}{frame}"


def _bits(value: int) -> Iterator[int]:
    """Places of the bits that are set."""
    while value:
        lowest = value & -value
        yield lowest.bit_length() - 1
        value ^= lowest

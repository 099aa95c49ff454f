"""Breadth-first search through all that can happen to a few members of a swarm, within bounds.

The medium is a set of frames: each may be heard by any node at any moment, never, or again and again. That is every
loss, delay, order and repetition at once, and the work of whoever records and replays. A state of the swarm is the
members' states (state.State) and that set. From each the search takes every step that its bounds allow: a node
speaks, hears one frame, completes, lets its deadline pass, or reboots.

The search combines what memory.py remembers of single members. Where the medium holds a limited number of frames,
one is lost only when it would hold one too many: with more to be heard, all can happen that can happen with fewer. No
symmetry between members is used: a machine takes readiness in by ascending id, and none once it has enough, so they are
not quite alike.

Then, from each combination of members' states that was met, the faults end (end.py). What the medium holds is lost
there; had it been heard first, that is another combination, which was met as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from swarm.device.library import Node
from swarm.proof.model.end import STRANDED, Ends
from swarm.proof.model.memory import COMPLETES, EXPIRES, HEARS, REBOOTS, SPEAKS, Memory, Step
from swarm.proof.model.properties import Violation
from swarm.proof.model.state import ids
from swarm.proof.model.walk import Found, Walk

_SETTLING = 3  # rounds after which the members of a settled swarm know each other


@dataclass(frozen=True)
class Bounds:
    """What a search explores.

    nodes, required, retry: the swarm, as for Node. speaks: frames that each life of a node may send; flight: frames
    that the medium holds at most, 0 for all; reboots: of all nodes together; rebooting: the ids that may reboot, () for
    all; deadlines: that may pass in each life; settled: None, or the ids that are ready in the swarm from which the
    search sets out, in which all know each other; frames and reboots count from there.
    """

    nodes: int
    required: int
    speaks: int
    reboots: int
    flight: int = 0
    rebooting: tuple[int, ...] = ()
    deadlines: int = 0
    retry: bool = True
    settled: tuple[int, ...] | None = None

    def __str__(self) -> str:
        parts = [f"{self.nodes} nodes, required {self.required}", f"{self.speaks} frames a life"]
        if self.flight:
            parts.append(f"{self.flight} in flight")
        who = " of " + " and ".join(map(str, self.rebooting)) if self.rebooting else ""
        parts.append(f"{self.reboots} reboot{'s' * (self.reboots != 1)}{who}")
        if self.deadlines:
            parts.append(f"{self.deadlines} deadline a life ({'retry' if self.retry else 'halt'})")
        if self.settled is not None:
            parts.append(f"from a settled swarm with {ids(sum(1 << i - 1 for i in self.settled))} ready")
        return ", ".join(parts)


class Search:
    """A search within bounds. node_class: Node, or one that breaks a rule on purpose; report: called now and then with
    what has been found so far."""

    def __init__(
        self, bounds: Bounds, node_class: type[Node] = Node, report: Callable[[Found], None] = lambda found: None
    ) -> None:
        self._bounds = bounds
        self._report = report
        self._rebooting = bounds.rebooting or range(1, bounds.nodes + 1)
        self._memory = Memory(bounds.nodes, bounds.required, bounds.retry, node_class)
        self._ends = Ends(self._memory, bounds.required)
        self._found = Found(bounds)
        self._walk: Walk[tuple[int, ...]] = Walk()
        self._sent_before = [0] * bounds.nodes  # frames of first lives that do not count
        # Sets of frames have numbers too.
        self._nets: list[int] = []  # bit sets of frames
        self._net_numbers: dict[int, int] = {}
        # What has been worked out, by the numbers of states, frames and sets.
        self._alone: dict[int, list[tuple[Step, int]]] = {}
        self._listening: dict[tuple[int, int], list[tuple[Step, int]]] = {}
        self._sent: dict[tuple[int, int], list[int]] = {}
        self._aged: dict[tuple[int, int], int] = {}

    def run(self) -> Found:
        """Search until everything within the bounds has been met, or until the first violation."""
        found, walk = self._found, self._walk
        at = -1
        try:
            walk.run(self._begin(), self._steps, self._note)
            ends: dict[tuple[int, ...], int] = {}  # members' states, and where they were met first
            for where, swarm in enumerate(walk.order):
                ends.setdefault(swarm[:-1], where)
            for numbers, at in ends.items():  # noqa: B007 - a violation's trace leads there
                found.ends += 1
                found.rounds = max(found.rounds, self._ends.judge(numbers))
        except Violation as violation:
            found.violation = violation
            found.trace = self._trace(walk.at if at < 0 else at)
        self._note()
        return found

    def _note(self) -> None:
        found = self._found
        found.states = len(self._walk.order)
        found.transitions = self._walk.transitions
        found.depth = self._walk.depth
        found.node_states = len(self._memory.states)
        found.frames = len(self._memory.said)
        self._report(found)

    # A state of the swarm is a tuple of its members' states and, last, the set of frames in flight, by their numbers.

    def _begin(self) -> tuple[int, ...]:
        """The swarm from which the search sets out."""
        memory = self._memory
        numbers = [memory.boot(place, 1) for place in range(self._bounds.nodes)]
        if self._bounds.settled is not None:
            for member in self._bounds.settled:
                numbers[member - 1] = memory.complete(numbers[member - 1])
            numbers = self._ends.settle(tuple(numbers), _SETTLING)
            self._sent_before = [memory.sequence(number) for number in numbers]
        return (*numbers, self._net(0))

    def _steps(self, swarm: tuple[int, ...]) -> Iterator[tuple[Step, tuple[int, ...]]]:
        """All steps from a state of the swarm, and the states after them."""
        net = swarm[-1]
        truths = self._memory.truths
        reboots = self._bounds.nodes + self._bounds.reboots - sum([truths[number].life for number in swarm[:-1]])
        for place in range(len(swarm) - 1):
            number = swarm[place]
            before, behind = swarm[:place], swarm[place + 1 : -1]
            for step, after in self._steps_alone(number):
                members = (*before, after, *behind)
                if step.frame is None:
                    yield step, (*members, net)
                else:
                    for left in self._nets_with(net, step.frame):
                        yield step, (*members, left)
            for step, after in self._steps_listening(number, net):
                yield step, (*before, after, *behind, net)
            if reboots and place + 1 in self._rebooting:
                after = self._memory.boot(place, truths[number].life + 1)
                yield Step(REBOOTS, place), (*before, after, *behind, self._net_after_boot(net, place))

    def _steps_alone(self, number: int) -> list[tuple[Step, int]]:
        """What a member may do by itself, and the states after it."""
        steps = self._alone.get(number)
        if steps is None:
            memory = self._memory
            steps = []
            place = memory.places[number]
            state = memory.states[number]
            before = self._sent_before[place] if state.life == 1 else 0
            if memory.sequence(number) - before < self._bounds.speaks:
                after, frame = memory.speak(number)
                if frame is not None:
                    steps.append((Step(SPEAKS, place, frame), after))
            if not memory.truths[number].ready:
                steps.append((Step(COMPLETES, place), memory.complete(number)))
            if state.expired < self._bounds.deadlines:
                steps.append((Step(EXPIRES, place), memory.expire(number)))
            self._alone[number] = steps
        return steps

    def _steps_listening(self, number: int, net: int) -> list[tuple[Step, int]]:
        """What a member may hear with any effect, and the states after it."""
        key = (number, net)
        steps = self._listening.get(key)
        if steps is None:
            memory = self._memory
            heard = [(frame, memory.hear(number, frame)[0]) for frame in _bits(self._nets[net])]
            steps = [(Step(HEARS, memory.places[number], frame), after) for frame, after in heard if after != number]
            self._listening[key] = steps
        return steps

    # Frames in flight

    def _net(self, frames: int) -> int:
        """The number of a set of frames."""
        number = self._net_numbers.get(frames)
        if number is None:
            number = self._net_numbers[frames] = len(self._nets)
            self._nets.append(frames)
        return number

    def _nets_with(self, net: int, frame: int) -> list[int]:
        """The sets that there may be after that frame was sent: one of too many is lost."""
        key = (net, frame)
        nets = self._sent.get(key)
        if nets is None:
            frames = self._nets[net] | 1 << frame
            if self._bounds.flight and frames.bit_count() > self._bounds.flight:
                nets = [self._net(frames & ~(1 << lost)) for lost in _bits(frames)]
            else:
                nets = [self._net(frames)]
            self._sent[key] = nets
        return nets

    def _net_after_boot(self, net: int, place: int) -> int:
        """The set after a boot of that member: the same frames, which are old to it."""
        key = (net, place)
        number = self._aged.get(key)
        if number is None:
            frames = 0
            for frame in _bits(self._nets[net]):
                said = self._memory.said[frame]
                frames |= 1 << self._memory.frame(said._replace(old=said.old | 1 << place))
            number = self._aged[key] = self._net(frames)
        return number

    def _trace(self, at: int) -> tuple[str, ...]:
        """The steps from the start to the violation, and what the members hold just before it."""
        memory, ends, failing = self._memory, self._ends, self._memory.doing
        way = self._walk.way(at)
        members: Sequence[int] = way[-1][:-1] if way else ()
        lines = []
        for before, after in zip(way, way[1:], strict=False):
            step = next(step for step, there in self._steps(before) if there == after)
            lines.append(f"{len(lines) + 1}. {memory.words(step)}")
        if ends.heading and (self._found.ends or not way):
            members = ends.now
            lines.append(ends.heading)
            lines += [f"- {memory.words(step)}" for step in ends.said]
        lines += [f"  {memory.state_words(number)}" for number in members]
        if self._found.violation and self._found.violation.broken != STRANDED:
            lines.append(f"then {memory.words(failing)}")
        return tuple(lines)


def _bits(value: int) -> Iterator[int]:
    """Places of the bits that are set."""
    while value:
        lowest = value & -value
        yield lowest.bit_length() - 1
        value ^= lowest

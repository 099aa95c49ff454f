"""The end of all faults: everybody speaks in turn and hears what is said, and the swarm must come to the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swarm.proof.model.memory import SPEAKS, Memory, Step
from swarm.proof.model.properties import Violation

STRANDED = "once the faults end, all agree on the truth and everybody who is ready concludes"
ROUNDS = 16  # everybody may speak once in each, and most are silent in many; the longest way took 10


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


class Ends:
    """Lets the faults end in each way that continuations() has.

    now: the members' states where it is or where it failed; said: the steps of those who have spoken since the faults
    ended; heading: says in which way they did.
    """

    def __init__(self, memory: Memory, required: int) -> None:
        self.now: Sequence[int] = ()
        self.said: list[Step] = []
        self.heading = ""
        self._memory = memory
        self._required = required
        self._ways = [(way, {}) for way in continuations(len(memory.members), required)]

    def settle(self, numbers: tuple[int, ...], rounds: int) -> list[int]:
        """The members' states after that many rounds in which all hear all."""
        self._begin("First the swarm settles:")
        way, _ = self._ways[0]
        left = list(numbers)
        for _ in range(rounds):
            left = self._round(left, way)
        return left

    def judge(self, numbers: tuple[int, ...]) -> int:
        """The most rounds that the swarm took to agree. Raises Violation if it did not within ROUNDS."""
        return max(self._judge(numbers, way, known) for way, known in self._ways)

    def _begin(self, heading: str) -> None:
        self.heading = heading
        self.said = []

    def _judge(self, numbers: tuple[int, ...], way: Continuation, known: dict[tuple[int, ...], int]) -> int:
        """known: rounds from states that have been tried."""
        self._begin(f"Then the faults end; {way.name}:")
        left = list(numbers)
        path = []
        rounds = 0
        while not rounds:
            at = tuple([left[place] for place in way.members])
            rounds = known.get(at, 0)
            if rounds or len(path) == ROUNDS:
                break
            path.append(at)
            left = self._round(left, way)
            if self._agree(left, way.members):
                rounds = 1
                known[path.pop()] = 1
        if not rounds or rounds + len(path) > ROUNDS:
            raise Violation(STRANDED, f"not within {ROUNDS} rounds")
        for at in reversed(path):
            rounds += 1
            known[at] = rounds
        return rounds

    def _round(self, numbers: list[int], way: Continuation) -> list[int]:
        """Everybody may speak once, unless it has heard enough that told nothing new: all Trickle timers beat in one
        time, which is the worst that suppression can do."""
        memory = self._memory
        numbers = self.now = list(numbers)
        heard = [0] * len(numbers)
        for place in way.members:
            numbers[place], frame = memory.speak(numbers[place], heard[place] >= memory.members[place].redundancy)
            if frame is not None:
                self.said.append(Step(SPEAKS, place, frame))
                for hearer in way.hearers[place]:
                    numbers[hearer], consistent = memory.hear(numbers[hearer], frame)
                    heard[hearer] += consistent
        return numbers

    def _agree(self, numbers: list[int], members: tuple[int, ...]) -> bool:
        """Whether those members all know the truth about each other, and have concluded if they should have."""
        truths = [self._memory.truths[numbers[place]] for place in members]
        generation = truths[0].generation
        present = right = count = 0
        for place, truth in zip(members, truths, strict=True):
            present |= 0x101 << place
            right |= (1 | truth.ready << 8) << place
            count += truth.ready
        enough = count >= self._required
        for truth in truths:
            if truth.bitmaps & present != right or truth.generation != generation:
                return False
            if enough and truth.ready and not truth.concluded:
                return False
        return True

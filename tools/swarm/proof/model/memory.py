"""What the members of a model-checked swarm do, each case run on the real Node once and remembered.

A state of a member, and a frame, are known by a number here. What a member does depends on its own state and on what
happens to it, so all that is met by millions of states of a swarm is a few thousand such cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swarm.device.library import BOOTSTRAPPED, TIMED_OUT, Node
from swarm.proof.model.node import Member
from swarm.proof.model.state import Said, State

SPEAKS = "speaks"
HEARS = "hears"
COMPLETES = "completes"
EXPIRES = "lets its deadline pass"
REBOOTS = "reboots"


class Step(NamedTuple):
    """What a member does, its place, and the number of the frame that it speaks or hears, or None."""

    action: str
    place: int
    frame: int | None = None


class Truth(NamedTuple):
    """What a search asks of a member's state most often; concluded: or halted. bitmaps: as Member.bitmaps()."""

    life: int
    bitmaps: int
    generation: int
    ready: bool
    concluded: bool


class Memory:
    """All that is known of one swarm. Arguments as of Member.

    members; states, places and truths: by the number of a state; said: by the number of a frame; doing: the step that
    was last run on a Node, which is the one that raised a Violation.
    """

    def __init__(self, members: int, required: int, retry: bool, node_class: type[Node]) -> None:
        tags: dict = {}
        self.members = [Member(place, members, required, retry, node_class, tags) for place in range(members)]
        self.states: list[State] = []
        self.places: list[int] = []
        self.truths: list[Truth] = []
        self.said: list[Said] = []
        self.doing = Step(SPEAKS, 0)
        self._states: dict[tuple[int, State], int] = {}
        self._said: dict[Said, int] = {}
        self._spoken: dict[tuple[int, bool], tuple[int, int | None]] = {}
        self._heard: dict[tuple[int, int], tuple[int, bool]] = {}
        self._booted: dict[tuple[int, int], int] = {}

    def boot(self, place: int, life: int) -> int:
        """The state of that member when it has powered up for the life-th time."""
        key = (place, life)
        number = self._booted.get(key)
        if number is None:
            self.doing = Step(REBOOTS, place)
            number = self._booted[key] = self._state(place, self.members[place].boot(life))
        return number

    def complete(self, number: int) -> int:
        """The state after its own participation is complete."""
        return self._alone(COMPLETES, number, Member.complete)

    def expire(self, number: int) -> int:
        """The state after its deadline."""
        return self._alone(EXPIRES, number, Member.expire)

    def _alone(self, action: str, number: int, run: Callable[[Member, State], State]) -> int:
        place = self.places[number]
        self.doing = Step(action, place)
        return self._state(place, run(self.members[place], self.states[number]))

    def speak(self, number: int, suppressed: bool = False) -> tuple[int, int | None]:
        """The state after it may send a frame, and the frame or None; suppressed: as of Member.speak()."""
        key = (number, suppressed)
        done = self._spoken.get(key)
        if done is None:
            place = self.places[number]
            self.doing = Step(SPEAKS, place)
            state, said = self.members[place].speak(self.states[number], suppressed)
            done = self._spoken[key] = self._state(place, state), None if said is None else self.frame(said)
        return done

    def hear(self, number: int, frame: int) -> tuple[int, bool]:
        """The state after it has heard a frame, and whether that told nothing new."""
        key = (number, frame)
        done = self._heard.get(key)
        if done is None:
            place = self.places[number]
            self.doing = Step(HEARS, place, frame)
            state, consistent = self.members[place].hear(self.states[number], self.said[frame])
            done = self._heard[key] = self._state(place, state), consistent
        return done

    def frame(self, said: Said) -> int:
        """The number of a frame."""
        number = self._said.get(said)
        if number is None:
            number = self._said[said] = len(self.said)
            self.said.append(said)
        return number

    def _state(self, place: int, state: State) -> int:
        key = (place, state)
        number = self._states.get(key)
        if number is None:
            number = self._states[key] = len(self.states)
            self.states.append(state)
            self.places.append(place)
            member = self.members[place]
            concluded = member.value(state, "machine.state") in (BOOTSTRAPPED, TIMED_OUT)
            generation = member.generation(state)
            self.truths.append(Truth(state.life, member.bitmaps(state), generation, member.ready(state), concluded))
        return number

    def sequence(self, number: int) -> int:
        """How many frames its life has sent."""
        return self.members[self.places[number]].value(self.states[number], "sequence")

    def words(self, step: Step) -> str:
        """The step in words."""
        frame = "" if step.frame is None else f" {self.said[step.frame].words()}"
        return f"node {step.place + 1} {step.action}{frame}"

    def state_words(self, number: int) -> str:
        """A member and its state in words."""
        place = self.places[number]
        return f"node {place + 1} is {self.members[place].words(self.states[number])}"

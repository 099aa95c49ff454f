"""What the members of a model-checked swarm with rounds do, each case run on the real objects once and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swarm.proof.model.rounds.member import Member
from swarm.proof.model.rounds.where import Where, Word

SPEAKS = "speaks"
HEARS = "hears"
FOLLOWS = "sets its clock by"
ADVANCES = "comes to the next place in its round"
BEGINS = "takes its first sample"
TELLS = "says who is lost and who is back"
DIES = "dies"
BOOTS = "boots"
PARTS = "is cut off from the others"
HEALS = "is no longer cut off"

DEAD = 0  # the number of a member that is none
FAR = 2  # rounds: frames from further away are as those
_AHEADS = 2 * FAR + 1
_WORDS = 1 << 12


class Step(NamedTuple):
    """What happens to the member at a place, the number of the frame that it speaks or hears, or None, and in how many
    rounds ahead of the member that was said."""

    action: str
    place: int
    word: int | None = None
    ahead: int = 0


class Cases:
    """All that is known of the members.

    wheres and phases: by the number of a state, which is of one member alone; said: by the number of a frame; doing:
    the step that was last run on the real objects, which is the one that raised a Violation.
    """

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self.wheres = [Where(())]
        self.phases = [-1]
        self.said: list[Word] = []
        self.doing = Step(BOOTS, 0)
        self._places = [0]
        self._numbers: dict[tuple[int, Where], int] = {}
        self._words: dict[Word, int] = {}
        self._alone: dict[tuple[str, int], int] = {}
        self._heard: dict[int, tuple[int, bool]] = {}
        self._followed: dict[int, int] = {}
        self._spoken: dict[int, int] = {}

    def boot(self, place: int) -> int:
        """The state of that member after a boot."""
        self.doing = Step(BOOTS, place)
        return self._number(place, self.members[place].boot())

    def begin(self, number: int) -> int:
        """The state after the first sample."""
        return self._run(BEGINS, number, Member.begin)

    def advance(self, number: int) -> int:
        """The state at the next place."""
        return self._run(ADVANCES, number, Member.advance)

    def tell(self, number: int) -> int:
        """The state once it has said what has changed."""
        return self._run(TELLS, number, Member.tell)

    def _run(self, action: str, number: int, run: Callable[[Member, Where], Where]) -> int:
        after = self._alone.get((action, number))
        if after is None:
            place = self._places[number]
            self.doing = Step(action, place)
            after = self._number(place, run(self.members[place], self.wheres[number]))
            self._alone[action, number] = after
        return after

    def speak(self, number: int) -> int:
        """The number of the frame that it would send now."""
        word = self._spoken.get(number)
        if word is None:
            place = self._places[number]
            self.doing = Step(SPEAKS, place)
            said = self.members[place].speak(self.wheres[number])
            word = self._words.setdefault(said, len(self.said))
            if word == len(self.said):
                self.said.append(said)
            self._spoken[number] = word
        return word

    def hear(self, number: int, word: int, ahead: int) -> tuple[int, bool]:
        """The state after it has heard that frame, and whether the frame differed from what it knew."""
        ahead = max(-FAR, min(ahead, FAR))
        key = (number * _WORDS + word) * _AHEADS + ahead + FAR
        done = self._heard.get(key)
        if done is None:
            place = self._places[number]
            self.doing = Step(HEARS, place, word, ahead)
            where, differs = self.members[place].hear(self.wheres[number], self.said[word], ahead)
            done = self._heard[key] = self._number(place, where), differs
        return done

    def follow(self, number: int, word: int, ahead: int) -> int:
        """The state after it has set its clock by that frame."""
        ahead = max(-FAR, min(ahead, FAR))
        key = (number * _WORDS + word) * _AHEADS + ahead + FAR
        after = self._followed.get(key)
        if after is None:
            place = self._places[number]
            self.doing = Step(FOLLOWS, place, word, ahead)
            after = self._followed[key] = self._number(
                place, self.members[place].follow(self.wheres[number], self.said[word], ahead)
            )
        return after

    def _number(self, place: int, where: Where) -> int:
        number = self._numbers.setdefault((place, where), len(self.wheres))
        if number == len(self.wheres):
            self.wheres.append(where)
            self.phases.append(where.phase)
            self._places.append(place)
        return number

    def words(self, step: Step) -> str:
        """The step in words."""
        said = "" if step.word is None else " " + self.said[step.word].words(-step.ahead)
        return f"node {step.place + 1} {step.action}{said}"

    def where_words(self, place: int, number: int) -> str:
        """A member and its state in words."""
        return f"node {place + 1} is dead" if number == DEAD else self.members[place].words(self.wheres[number])

"""One member of a model-checked swarm with rounds: the real Rounds and Presence under a clock that the checker sets.

All that a member does is the same in each of its rounds, so it is always put into round _ROUND, and only how far others
are from there is said: that way a search meets all states, and ends though the rounds do not. Of how long somebody has
been silent it is only kept whether it has been at all: the counting itself has tests.
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from swarm.device.library import DEMONSTRATION_KEY, INSTANT_FLAG, Presence, RemoteNode, RoundFrame, Rounds
from swarm.proof.model.keeper import Keeper
from swarm.proof.model.properties import (
    BACK,
    COUNTED_SILENT,
    DIFFERS,
    EARLY,
    EXCEPTION,
    FALSE_LOSS,
    GROWS,
    JOINED,
    LATE_LOSS,
    OTHER_ROUND,
    REFUSED,
    RIGHTLY,
    ROUND,
    SETS_FALL,
    SILENCED,
    TOLD,
    Violation,
)
from swarm.proof.model.rounds.where import Clock, Where, Word
from swarm.proof.model.state import MOST, ids

_ROUND = 4  # in which every member is put
_ROUND_US = 12_000_000
_STEP_US = 3_000_000  # from one place in a round to the next: longer than until who was missing is lost
_NOW_US = 100_000_000
_HEARD = 3  # what a node has heard that told nothing new, before it is to forget that
_SAID = re.compile(r"(\d+)(?: \([^)]*\))?")


class Member:
    """The member at that place, from 0, of a swarm with the ids 1 to members and rounds of that many marks, 1 or 2.

    tells: it says at once what has changed, else when the checker has it tell(). rounds_class, presence_class and
    frame_class: of the library, or such as break a rule on purpose. Every step takes a Where and returns the one after
    it; it raises Violation when a property does not hold.
    """

    def __init__(
        self,
        place: int,
        members: int,
        marks: int,
        tells: bool,
        rounds_class: type[Rounds] = Rounds,
        presence_class: type[Presence] = Presence,
        frame_class: type[RoundFrame] = RoundFrame,
    ) -> None:
        if members > MOST:
            raise ValueError(f"{members} members: at most {MOST}")
        self.place = place
        self.phases = 1 + marks
        self._me = 1 << place
        self._everybody = (1 << members) - 1
        self._marks = marks
        self._tells = tells
        mark_us = _ROUND_US // marks
        node = RemoteNode(
            "model", range(1, members + 1), place + 1, members, DEMONSTRATION_KEY, 1, round_ms=_ROUND_US // 1000,
            period_ms=mark_us // 1000,
        )  # fmt: skip
        node.frame.__class__ = frame_class
        node.frame.old = None
        self._frame: Any = node.frame
        self._trickle = node.trickle
        self._clock = Clock(mark_us)
        self._rounds: Any = rounds_class(node.frame, self._clock, node.trickle, node.machine, _ROUND_US // 1000)
        self._said: list[str] = []
        board = SimpleNamespace(rounds=self._rounds, machine=node.machine, first_sample=self._clock)
        app = SimpleNamespace(node=board, say=self._said.append)
        self._presence: Any = presence_class(app, _ROUND_US // 1000)
        self._buffer = bytearray(250)
        self._keeper = Keeper(SimpleNamespace(rounds=self._rounds, presence=self._presence))
        self._sizes = self._keeper.sizes()
        self._level(0)
        self._fresh = self._keeper.save()

    def words(self, where: Where) -> str:
        """What it is in and what it knows."""
        if where.phase < 0:
            return f"node {self.place + 1} knows of no round"
        return (
            f"node {self.place + 1} is at place {where.phase + 1} of {self.phases} in its round, "
            f"has heard {ids(where.heard)}, in the one before {ids(where.before)}, has lost {ids(where.lost)}"
        )

    # Steps

    def boot(self) -> Where:
        """Power up."""
        return Where(self._fresh)

    def begin(self, where: Where) -> Where:
        """The first sample comes, with which rounds begin."""
        self._restore(where, 0, 0, first=True)
        self._call(self._rounds.advance, _NOW_US)
        return self._after(where, self._begun(where, 0, 0), first=True)

    def advance(self, where: Where) -> Where:
        """Its clock comes to the next place in its round, or to the next round."""
        over = where.phase + 1 == self.phases
        phase = 0 if over else where.phase + 1
        self._restore(where, int(over), phase)
        self._call(self._rounds.advance, _NOW_US + _STEP_US)
        truth = where
        if over:
            truth = self._begun(where, 1, phase)
        elif where.missing:
            truth = where._replace(lost=where.lost | where.missing & ~where.heard, missing=0, phase=phase)
        return self._after(where, truth._replace(phase=phase), ahead=int(over), passed_us=_STEP_US)

    def hear(self, where: Where, word: Word, ahead: int) -> tuple[Where, bool]:
        """It hears a frame of so many rounds ahead; the second value: and takes it for one that differs from its set.

        A frame from further than two rounds away is as one of two.
        """
        self._restore(where, 0, where.phase)
        differs = self._take(word, ahead)
        truth = where
        if not ahead:
            truth = where._replace(heard=where.heard | word.rightly, lost=where.lost & ~word.rightly)
            truth = where if truth == where else truth
        after = self._after(where, truth, broken=OTHER_ROUND if ahead else "")
        if differs and (ahead or word.named == where.heard):
            raise Violation(DIFFERS, f"to node {self.place + 1} {word.words(-ahead)} differs from {ids(where.heard)}")
        return after, differs

    def follow(self, where: Where, word: Word, ahead: int) -> Where:
        """It hears a frame of so many rounds ahead, by which it sets its clock, or learns of the rounds."""
        phase = self.told_phase(word)
        self._restore(where, ahead, phase)
        self._take(word, ahead)
        truth = self._begun(where, ahead, phase) if ahead or where.phase < 0 else where._replace(phase=phase)
        truth = truth._replace(heard=truth.heard | word.rightly, lost=truth.lost & ~word.rightly)
        return self._after(where, truth, ahead=ahead)

    def tell(self, where: Where) -> Where:
        """It says what has changed, where it does not do so at once."""
        self._restore(where, 0, where.phase)
        return self._after(where, self._tell(where))

    def speak(self, where: Where) -> Word:
        """The frame that it would send now."""
        self._restore(where, 0, where.phase)
        data = self._encode(type(self._frame).encode, self.place, where.phase, 0)
        at = self._frame.third
        return Word(self.place, data[at], where.heard, where.phase)

    def told_phase(self, word: Word) -> int:
        """Where in its round somebody is who has just learnt from that frame which mark is next."""
        return 2 if self._mark(word.phase) else 0

    # The real objects

    def _mark(self, phase: int) -> int:
        """Which mark of its round has passed."""
        return phase // 2 if self._marks > 1 else 0

    def _restore(self, where: Where, ahead: int, phase: int, first: bool = False) -> None:
        """Put the member into that state, its clock so many rounds ahead, at that place there."""
        self._keeper.restore(where.kept)
        self._trickle.heard = _HEARD
        number = 0 if first else _ROUND + ahead
        self._clock.mark = 1 + number * self._marks + self._mark(phase) if phase >= 0 else 0
        del self._said[:]

    def _call(self, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception as error:
            raise Violation(EXCEPTION, f"{error!r} in node {self.place + 1}'s {method.__name__}()") from error

    def _encode(self, encode: Any, sender: int, phase: int, ahead: int) -> bytes:
        """Its set in a frame, of somebody at that place of the round that is so many ahead."""
        frame = self._frame
        frame.ready = True
        frame.flags = INSTANT_FLAG
        frame.sender = sender
        frame.session = frame.sequence = frame.series = 1
        frame.generation = frame.offset_us = frame.echo_count = 0
        frame.mark = 1 + (_ROUND + ahead) * self._marks + self._mark(phase)
        everybody = bytes((self._everybody, self._everybody))
        return bytes(self._buffer[: self._call(encode, frame, self._buffer, everybody)])

    def _take(self, word: Word, ahead: int) -> bool:
        """Give it a frame; whether it finds that it differs from what it knew."""
        present = bytes(self._rounds.present)
        self._rounds.present[0] = word.named
        data = self._encode(RoundFrame.encode, word.sender, word.phase, ahead)
        self._rounds.present[:] = present
        if self._frame.decode(data, len(data)):
            raise Violation(REFUSED, f"node {self.place + 1} refuses {word.words(-ahead)}")
        return self._call(self._rounds.take, data, _NOW_US)

    # What should be

    def _begun(self, where: Where, ahead: int, phase: int) -> Where:
        """The truth once the round that is so many ahead has begun."""
        follows = ahead == 1 and where.phase >= 0
        missing = self._everybody & ~where.heard if where.whole and follows else 0
        return where._replace(
            phase=phase, heard=self._me, before=where.heard, whole=follows, missing=missing & ~where.lost
        )

    def _tell(self, truth: Where) -> Where:
        """Have it say what has changed, which must be the truth."""
        del self._said[:]
        self._call(self._presence.tick)
        words = [("lost ", truth.lost & ~truth.told), ("back ", truth.told & ~truth.lost)]
        expected = [(word, ids(members)) for word, members in words if members]
        said = [(line[:5], "{" + ", ".join(_SAID.findall(line[5:])) + "}") for line in self._said]
        if said != expected:
            raise Violation(TOLD, f"node {self.place + 1} says {self._said}, not {expected}")
        return truth._replace(told=truth.lost)

    def _after(
        self, before: Where, truth: Where, ahead: int = 0, passed_us: int = 0, first: bool = False, broken: str = ""
    ) -> Where:
        """The state now, checked: the real objects must hold the truth. broken: what is, if anything has changed."""
        me = f"node {self.place + 1}"
        rounds = self._rounds
        began = truth.phase >= 0 and (before.phase < 0 or ahead != 0)
        if truth.phase >= 0 and rounds.number != (0 if first else _ROUND + ahead):
            raise Violation(ROUND, f"{me} is in {rounds.number}, its clock in {0 if first else _ROUND + ahead}")
        if broken and self._keeper.save() != before.kept:
            raise Violation(broken, f"{me} knew {ids(before.heard)}, knows {ids(rounds.present[0])}")
        self._check_heard(me, before, truth, began)
        self._check_lost(me, before, truth)
        if began and self._trickle.heard:
            raise Violation(SILENCED, f"{me} begins a round silenced by {self._trickle.heard} frames of the last")
        if self._tells and truth is not before:
            truth = self._tell(truth)
        if self._keeper.sizes() != self._sizes:
            raise Violation(GROWS, f"{me}'s containers were of {self._sizes}, are of {self._keeper.sizes()}")
        if truth is before:
            return before
        self._level(passed_us)
        return truth._replace(kept=self._keeper.save())

    def _check_heard(self, me: str, before: Where, truth: Where, began: bool) -> None:
        present = self._rounds.present[0]
        if present & ~truth.heard:
            raise Violation(RIGHTLY, f"{me} has {ids(present & ~truth.heard)}")
        missing = truth.heard & ~present
        if missing:
            broken = SETS_FALL if not began and missing & before.heard else JOINED
            raise Violation(broken, f"{me} is without {ids(missing)}")
        if began:
            for member in range(len(self._rounds.silent)):
                if before.heard >> member & 1 and self._rounds.silent[member]:
                    raise Violation(COUNTED_SILENT, f"{me} had node {member + 1} in its set")

    def _check_lost(self, me: str, before: Where, truth: Where) -> None:
        wrongly = self._rounds.lost[0] & ~truth.lost
        if wrongly & truth.heard & before.lost:
            raise Violation(BACK, f"{me} has lost {ids(wrongly)}")
        if wrongly:
            known = wrongly & (truth.heard | truth.before)
            raise Violation(FALSE_LOSS if known else EARLY, f"{me} has lost {ids(wrongly)}")
        if truth.lost & ~self._rounds.lost[0]:
            raise Violation(LATE_LOSS, f"{me} has not lost {ids(truth.lost & ~self._rounds.lost[0])}")

    def _level(self, passed_us: int) -> None:
        """Make all that is the same to a member alike: rounds, instants, and how often or how long something was."""
        rounds, presence = self._rounds, self._presence
        rounds.number = _ROUND if rounds.number >= 0 else -1
        ago_us = min(_NOW_US + passed_us - rounds._began_us, _STEP_US)
        rounds._began_us = _NOW_US - ago_us if rounds.number >= 0 else 0
        for member in range(len(rounds.silent)):
            rounds.silent[member] = min(rounds.silent[member], 1)
        rounds.changes = int(rounds.changes != presence._changes)
        presence._changes = 0

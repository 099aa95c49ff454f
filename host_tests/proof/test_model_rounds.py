"""The model checker of rounds meets what it should, finds nothing wrong, and misses each rule that is taken out."""

import re

import pytest

from swarm.device.library import Presence, RoundFrame, Rounds
from swarm.proof.model import __main__ as check
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
    UNHEARD,
)
from swarm.proof.model.rounds.member import Member
from swarm.proof.model.rounds.search import RoundBounds, RoundsSearch


class Replacing(Rounds):
    """Takes a frame's set for its own."""

    def _join(self, buffer, at):
        for i in range(len(self.present)):
            self.present[i] = 0
        self.present[self._me >> 3] = 1 << (self._me & 7)
        Rounds._join(self, buffer, at)


class Forgetful(Rounds):
    """Empties its set before it looks who was in it."""

    def _begin(self, number, now_us):
        for i in range(len(self.present)):
            self.present[i] = 0
        Rounds._begin(self, number, now_us)


class Timeless(Rounds):
    """Takes the set of any round for that of its own."""

    def take(self, buffer, now_us):
        self._frame.mark = self.number * self.marks + 1
        return Rounds.take(self, buffer, now_us)


class Keeping(Rounds):
    """Begins a round with whom it has heard in the one before."""

    def _begin(self, number, now_us):
        known = bytes(self.present)
        Rounds._begin(self, number, now_us)
        for i in range(len(known)):
            self.present[i] |= known[i]


class Deaf(Rounds):
    """Hears of nobody but the sender."""

    def _join(self, buffer, at):
        alone = bytearray(buffer)
        alone[at] &= 1 << self._frame.sender
        Rounds._join(self, alone, at)


class Harsh(Rounds):
    """Takes for lost whoever is missing at the look, heard in the round before or not."""

    def _look(self):
        for i in range(len(self.silent)):
            self.silent[i] = i != self._me
        Rounds._look(self)


class Hasty(Rounds):
    """Looks who is lost as soon as a round begins."""

    def _begin(self, number, now_us):
        Rounds._begin(self, number, now_us)
        if not self._looked:
            self._look()


class Newcomer(Rounds):
    """Takes the round in which it has come for one that it has seen from its beginning."""

    def _begin(self, number, now_us):
        Rounds._begin(self, number, now_us)
        self._whole = True


class Tolerant(Rounds):
    """Waits for a second silent round."""

    def _look(self):
        self._looked = True


class Grudging(Rounds):
    """Keeps a member lost that is heard again."""

    def _join(self, buffer, at):
        lost = bytes(self.lost)
        Rounds._join(self, buffer, at)
        self.lost[:] = lost


class Discreet(Rounds):
    """Counts nobody who is back among the changes."""

    def _join(self, buffer, at):
        changes = self.changes
        Rounds._join(self, buffer, at)
        self.changes = changes


class Repetitive(Presence):
    """Forgets whom it has said to be lost."""

    def _tell(self, word, lost):
        Presence._tell(self, word, lost)
        for i in range(len(self._told)):
            self._told[i] = 0


class Silenced(Rounds):
    """Lets what was heard of the last round count in the next."""

    def _begin(self, number, now_us):
        heard = self._trickle.heard
        Rounds._begin(self, number, now_us)
        self._trickle.heard = heard


class Talkative(Rounds):
    """Takes each frame for one that differs."""

    def take(self, buffer, now_us):
        Rounds.take(self, buffer, now_us)
        return True


class Quiet(Rounds):
    """Takes no frame for one that differs, and so is silenced by who has not heard it."""

    def take(self, buffer, now_us):
        Rounds.take(self, buffer, now_us)
        return False


class Late(Rounds):
    """Takes a set without looking at the time."""

    def take(self, buffer, now_us):
        advance, self.__class__.advance = self.__class__.advance, lambda *_: None
        try:
            return Rounds.take(self, buffer, now_us)
        finally:
            self.__class__.advance = advance


class Modest(RoundFrame):
    """Tells of itself alone."""

    def encode(self, buffer, bitmaps):
        present = bytes(self.present)
        self.present[0] = 1 << self.sender
        length = RoundFrame.encode(self, buffer, bitmaps)
        self.present[:] = present
        return length


class Padded(RoundFrame):
    """Refuses whoever has heard all."""

    def _decode_fields(self, buffer):
        return 3 if buffer[self.third] == 3 else RoundFrame._decode_fields(self, buffer)


class Hoarder(Rounds):
    """Remembers each round."""

    def _begin(self, number, now_us):
        Rounds._begin(self, number, now_us)
        self.silent.append(0)


class Fragile(Rounds):
    """Fails when somebody is lost."""

    def _look(self):
        Rounds._look(self)
        if self.lost[0]:
            raise OverflowError


CLASSES = {"rounds_class": Rounds, "presence_class": Presence, "frame_class": RoundFrame}
PAIR = RoundBounds(nodes=2)
DEATH = RoundBounds(nodes=2, mortal=(1, 2))
CUT = RoundBounds(nodes=2, cut=(1,), apart=6)
LATE = RoundBounds(nodes=2, tells=False)
THREE = RoundBounds(nodes=3, marks=1, flight=0, steps=9)
RULES = (
    (Replacing, THREE, SETS_FALL),
    (Forgetful, PAIR, COUNTED_SILENT),
    (Timeless, PAIR, OTHER_ROUND),
    (Keeping, PAIR, RIGHTLY),
    (Deaf, THREE, JOINED),
    (Modest, THREE, JOINED),
    (Harsh, PAIR, FALSE_LOSS),
    (Hasty, PAIR, EARLY),
    (Newcomer, DEATH, EARLY),
    (Tolerant, PAIR, LATE_LOSS),
    (Grudging, PAIR, BACK),
    (Discreet, LATE, TOLD),
    (Repetitive, PAIR, TOLD),
    (Silenced, PAIR, SILENCED),
    (Talkative, PAIR, DIFFERS),
    (Quiet, PAIR, UNHEARD),
    (Late, CUT, ROUND),
    (Padded, PAIR, REFUSED),
    (Hoarder, PAIR, GROWS),
    (Fragile, PAIR, EXCEPTION),
)


def search(bounds, altered=Rounds):
    name = next(name for name, base in CLASSES.items() if issubclass(altered, base))
    return RoundsSearch(bounds, **{name: altered}).run()


@pytest.mark.parametrize("altered, bounds, broken", RULES, ids=[rule[0].__name__ for rule in RULES])
def test_a_rule_that_is_taken_out_is_missed(altered, bounds, broken):
    found = search(bounds, altered)
    assert found.violation, found
    assert found.violation.broken == broken, check.explain(found)


def test_the_shortest_way_to_a_violation_is_told():
    lines = check.explain(search(PAIR, Hasty)).splitlines()
    assert lines[0] == f"broken: {EARLY}: node 1 has lost {{2}}"
    assert lines[1] == "1. node 1 takes its first sample"
    assert lines[-3:] == [
        "  node 1 is at place 3 of 3 in its round, has heard {1}, in the one before {1}, has lost {}",
        "  node 2 is at place 3 of 3 in its round, has heard {2}, in the one before {2}, has lost {}",
        "then node 1 comes to the next place in its round",
    ]
    lines = check.explain(search(PAIR, Timeless)).splitlines()
    assert lines[-1] == "then node 2 hears node 1's word of 1 round before, that names {1}"


def test_a_swarm_that_does_not_hear_of_all_is_told_with_what_it_said():
    lines = check.explain(search(PAIR, Quiet)).splitlines()
    end = lines.index("Then the faults end; all hear all:")
    assert lines[end + 1] == "- node 1 speaks node 1's word of this round, that names {1}"
    assert lines[-2].startswith("  node 1 is at place 3 of 3 in its round, has heard {1}")


# Of the real objects: the least that a search within these bounds has to meet, and that it meets nothing wrong.


@pytest.mark.parametrize(
    "bounds, states, ends, depth",
    (
        (PAIR, 1800, 80, 27),
        (DEATH, 4000, 180, 24),
        (CUT, 15_000, 150, 30),
        (LATE, 11_000, 590, 38),
        pytest.param(
            RoundBounds(nodes=2, flight=2, mortal=(1,), cut=(1,), apart=4, steps=16),
            *(15_000, 100, 16),
            marks=pytest.mark.long,
        ),
        (RoundBounds(nodes=3, marks=1, flight=0, mortal=(3,), cut=(1,), apart=4, steps=9), 7000, 500, 9),
        (RoundBounds(nodes=3, mortal=(3,), steps=9), 2000, 60, 9),
    ),
    ids=str,
)
def test_the_real_objects_break_nothing(bounds, states, ends, depth):
    found = search(bounds)
    assert not found.violation, check.explain(found)
    assert (found.states >= states, found.ends >= ends, found.depth >= depth) == (True, True, True), found


def test_no_more_is_met_however_long_the_rounds_go_on():
    found = search(PAIR)
    again = search(RoundBounds(nodes=2, steps=found.depth + 1))
    assert (again.states, again.transitions) == (found.states, found.transitions)


def test_more_members_than_a_byte_holds_are_refused():
    with pytest.raises(ValueError, match="9 members: at most 8"):
        Member(0, 9, 2, True)


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr(check, "CONFIGURATIONS", (PAIR, CUT, LATE))
    assert check.main([]) == 0
    for line, bounds in zip(capsys.readouterr().out.splitlines(), (PAIR, CUT, LATE), strict=True):
        assert re.fullmatch(
            re.escape(str(bounds))
            + r": \d+ states, \d+ transitions, depth \d+, 0 violations, liveness checked from \d+ states",
            line,
        )


def test_the_full_check_covers_what_it_should():
    covered = [bounds for bounds in check.CONFIGURATIONS if isinstance(bounds, RoundBounds)]
    for nodes in (2, 3):
        some = [bounds for bounds in covered if bounds.nodes == nodes]
        assert any(bounds.mortal for bounds in some) and any(bounds.cut and bounds.apart > 3 for bounds in some)
        assert any(bounds.flight for bounds in some) and not all(bounds.steps for bounds in some)
    assert {bounds.tells for bounds in covered} == {False, True} and {bounds.marks for bounds in covered} == {1, 2}

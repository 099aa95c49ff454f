"""The agreed instant at its edges: looked at twice in one microsecond, held at 500 s, and compared on either side."""

from types import SimpleNamespace

import pytest

from faction import first_sample
from faction.first_sample import FirstSample
from faction.frame import FOLLOW_UP_FLAG, INSTANT_FLAG

PERIOD = 1 << 30
HELD_US = -500_000_000
TAKEN, AT_ONCE = 2, 6  # what offer() says differs


def knowing(remaining_us, now_us=0):
    first = FirstSample(500)
    assert first.offer(remaining_us, now_us)
    return first


def differs(first, theirs_us, now_us, exact):
    """What differs by a frame, a follow-up if that is exact, whose offset counts from now."""
    return first.compare(SimpleNamespace(offset_us=theirs_us, flags=FOLLOW_UP_FLAG * exact), now_us, now_us)


def test_a_new_agreement_knows_nothing_and_has_all_its_attributes():
    first = FirstSample(700)
    assert (first.lead_ms, first.known, first.passed) == (700, False, False)
    made = set(vars(first))
    first.offer(700_000, 5)
    first.advance(800_000)
    first.offer(3, 800_000)
    assert set(vars(first)) == made, "one made later takes memory then"


def test_the_limit_is_500_s():
    assert first_sample._LIMIT_US == 500_000_000


@pytest.mark.parametrize("now_us", (0, 17, PERIOD - 1000, PERIOD - 1))
def test_looking_twice_at_the_instant_itself_changes_nothing(now_us):
    first = knowing(1000, now_us)
    at = (now_us + 1000) % PERIOD
    for _ in range(3):
        first.advance(at)
        assert first.passed is True
        assert first.remaining_us(at) == 0
    first.advance((at + 1) % PERIOD)
    assert first.remaining_us((at + 1) % PERIOD) == -1


@pytest.mark.parametrize("remaining_us", (1, 2))
def test_just_before_the_instant_it_has_not_passed(remaining_us):
    first = knowing(1000)
    first.advance(1000 - remaining_us)
    assert first.passed is False
    first.advance(1000)
    assert first.passed is True


@pytest.mark.parametrize("late_us", (-1, 0, 1))
def test_around_500_s_it_is_held_and_stays_so(late_us):
    first = knowing(1000)
    first.advance(1000)
    at = 1000 + 500_000_000 + late_us
    first.advance(at)
    assert first.remaining_us(at) == max(-500_000_000 - late_us, HELD_US)
    for more_s in (1, 30, 36, 37, 499):
        first.advance((at + more_s * 1_000_000) % PERIOD)
        assert first.remaining_us((at + more_s * 1_000_000) % PERIOD) == HELD_US


@pytest.mark.parametrize("exact, apart_us", ((True, 1500), (False, 10_000)))
@pytest.mark.parametrize("mine_us", (100_000, 20_000, 1))
def test_the_tolerance_holds_on_both_sides_and_ends_there(exact, apart_us, mine_us):
    first = knowing(mine_us)
    assert differs(first, mine_us + apart_us, 0, exact) == 0
    assert differs(first, mine_us + apart_us + 1, 0, exact) == 1
    assert differs(first, mine_us - apart_us, 0, exact) == 0
    assert differs(first, mine_us - apart_us - 1, 0, exact) == 8


def test_an_instant_that_is_now_is_neither_ahead_nor_lacked():
    first = knowing(20_000)
    first.advance(20_000)
    for exact in (True, False):
        assert differs(first, 0, 40_000, exact) == 0, "theirs is not ahead"
        assert differs(first, -50_000, 20_000, exact) == 0, "mine is not ahead"


def test_who_knows_none_takes_any_and_who_knows_one_only_a_better():
    first = FirstSample(500)
    assert first.offer(50_000, 0) == TAKEN
    assert first.offer(50_000 - 200, 0) == 0
    assert first.offer(50_000 - 201, 0) == TAKEN
    assert first.remaining_us(0) == 50_000 - 201
    first.advance(60_000)
    assert first.offer(-500_000, 60_000) == 0, "what has passed is fixed"


@pytest.mark.parametrize("earlier_us, differs", ((201, TAKEN), (800, TAKEN), (801, AT_ONCE), (400_000, AT_ONCE)))
def test_an_instant_that_becomes_more_than_800_us_earlier_is_for_others_to_know_at_once(earlier_us, differs):
    first = knowing(500_000, PERIOD - 1000)
    assert first.offer(500_000 - earlier_us, PERIOD - 1000) == differs


def test_who_knows_none_lacks_it_also_where_it_cannot_tell_when_theirs_is():
    frame = SimpleNamespace(offset_us=5000, flags=FOLLOW_UP_FLAG)
    first = FirstSample(500)
    assert first.compare(frame, None, 0) == 8
    assert first.theirs_us is None and first.offer(first.theirs_us, 0) == 0 and not first.known
    assert first.compare(frame, PERIOD - 300, 200) == 8
    assert first.theirs_us == 4500
    knows = knowing(900_000)
    assert knows.compare(frame, None, 0) == 0
    assert knows.theirs_us is None and knows.offer(None, 0) == 0 and knows.remaining_us(0) == 900_000


# What this node's frames tell


def put(first, sequence, now_us, flags=0):
    """The flags and the offset of this node's frame of that sequence."""
    frame = SimpleNamespace(flags=flags, sequence=sequence, offset_us=None)
    first.put(frame, now_us)
    return frame.flags, frame.offset_us


ITSELF, FOLLOWS = INSTANT_FLAG, INSTANT_FLAG | FOLLOW_UP_FLAG


def test_a_frame_counts_from_the_one_before_if_that_is_known_to_have_left():
    first = knowing(500_000, 1000)
    assert put(first, 1, 1000, flags=5) == (ITSELF | 5, 500_000)
    assert put(first, 2, 2000) == (ITSELF, 499_000), "nobody has told when the first left"
    first.left(2, 2700)
    assert put(first, 3, 4000, flags=1) == (FOLLOWS | 1, 498_300)
    assert put(first, 5, 4000) == (ITSELF, 497_000), "the one before has not been heard of"
    first.left(3, 4100)
    assert put(first, 4, 5000) == (ITSELF, 496_000), "every fourth counts from itself"


def test_of_several_reports_the_earliest_counts_and_any_of_the_next_frame():
    first = knowing(500_000)
    for left_us, counts_us in ((100, 100), (90, 90), (95, 90), (PERIOD - 5, PERIOD - 5)):
        first.left(1, left_us)
        assert put(first, 2, 200) == (FOLLOWS, 500_000 - (counts_us if counts_us < PERIOD // 2 else -5))
    first.left(2, 300)
    assert put(first, 3, 400) == (FOLLOWS, 499_700)


@pytest.mark.parametrize("age_us, kind", ((-1, ITSELF), (0, FOLLOWS), (3_999_999, FOLLOWS), (4_000_000, ITSELF)))
def test_a_transmission_is_counted_from_for_4_s(age_us, kind):
    first = knowing(50_000_000)
    first.left(1, 10)
    assert put(first, 2, 10 + age_us)[0] == kind

"""The agreed instant at its edges: looked at twice in one microsecond, held at 500 s, and compared on either side."""

import pytest

from faction import first_sample
from faction.first_sample import FirstSample

PERIOD = 1 << 30
HELD_US = -500_000_000


def knowing(remaining_us, now_us=0):
    first = FirstSample(500)
    assert first.offer(remaining_us, now_us)
    return first


def test_a_new_agreement_knows_nothing_and_has_all_its_attributes():
    first = FirstSample(700)
    assert (first.lead_ms, first.known, first.passed) == (700, False, False)
    made = set(vars(first))
    first.propose(5)
    first.advance(800_000)
    first.offer(3, 800_000)
    assert set(vars(first)) == made, "one made later takes memory then"


def test_the_limit_is_500_s():
    assert first_sample.LIMIT_US == 500_000_000


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
    assert first.differs(mine_us + apart_us, 0, exact) == 0
    assert first.differs(mine_us + apart_us + 1, 0, exact) == 1
    assert first.differs(mine_us - apart_us, 0, exact) == 0
    assert first.differs(mine_us - apart_us - 1, 0, exact) == -1


def test_an_instant_that_is_now_is_neither_ahead_nor_lacked():
    first = knowing(20_000)
    first.advance(20_000)
    for exact in (True, False):
        assert first.differs(0, 40_000, exact) == 0, "theirs is not ahead"
        assert first.differs(-50_000, 20_000, exact) == 0, "mine is not ahead"


def test_who_knows_none_takes_any_and_who_knows_one_only_a_better():
    first = FirstSample(500)
    assert first.offer(50_000, 0) is True
    assert first.offer(50_000 - 200, 0) is False
    assert first.offer(50_000 - 201, 0) is True
    assert first.remaining_us(0) == 50_000 - 201
    first.advance(60_000)
    assert first.offer(-500_000, 60_000) is False, "what has passed is fixed"

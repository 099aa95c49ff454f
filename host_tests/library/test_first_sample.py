"""first_sample.py: which instant is agreed, and how long it can be told from another."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction.first_sample import FirstSample
from faction.frame import FOLLOW_UP_FLAG

PERIOD = 1 << 30
LIMIT_US = 500_000_000


def knowing(remaining_us, now_us=0):
    """An agreement on the instant remaining_us from now_us."""
    first = FirstSample(500)
    assert first.offer(remaining_us, now_us)
    return first


def test_at_first_there_is_no_instant():
    first = FirstSample(500)
    first.advance(10)
    assert not first.known
    assert not first.passed


@pytest.mark.parametrize("now_us", (0, 1, PERIOD - 1, PERIOD - 250_000))
def test_a_proposal_is_lead_ms_ahead(now_us):
    first = FirstSample(500)
    first.offer(first.lead_ms * 1000, now_us)
    assert first.known
    assert not first.passed
    assert first.remaining_us(now_us) == 500_000
    for passed in (1, 250_000, 499_999):
        first.advance((now_us + passed) % PERIOD)
        assert first.remaining_us((now_us + passed) % PERIOD) == 500_000 - passed
        assert not first.passed
    first.advance((now_us + 500_000) % PERIOD)
    assert first.passed
    assert first.remaining_us((now_us + 500_007) % PERIOD) == -7


@pytest.mark.parametrize("earlier_us, taken", ((-1000, False), (0, False), (200, False), (201, True), (400_000, True)))
def test_an_instant_is_taken_when_it_is_more_than_200_us_earlier(earlier_us, taken):
    first = knowing(500_000)
    assert bool(first.offer(500_000 - earlier_us, 0)) == taken
    assert first.remaining_us(0) == (500_000 - earlier_us if taken else 500_000)


def test_an_instant_that_has_passed_is_fixed():
    first = knowing(1000)
    first.advance(1000)
    for theirs_us in (-LIMIT_US, -100_000, 0, 100_000):
        assert not first.offer(theirs_us, 1000)
    assert first.remaining_us(1500) == -500


def test_any_first_instant_is_taken_also_one_that_has_passed():
    for theirs_us in (-LIMIT_US, -1, 0, 1, LIMIT_US):
        first = FirstSample(500)
        assert first.offer(theirs_us, 77)
        assert first.known
        assert first.passed == (theirs_us <= 0)
        assert first.remaining_us(77) == theirs_us


@pytest.mark.parametrize("now_us", (0, PERIOD - 1000, PERIOD // 2))
def test_held_at_minus_500_s_however_often_ticks_us_wraps(now_us):
    first = knowing(1000, now_us)
    for second in range(0, 3 * 1074, 30):
        at = (now_us + 1000 + second * 1_000_000) % PERIOD
        first.advance(at)
        assert first.remaining_us(at) == -min(second * 1_000_000, LIMIT_US)
        assert first.passed == (second >= 0)


@pytest.mark.parametrize("pause_s", (31, 37, 100, 499))
def test_a_pause_does_not_bring_a_passed_instant_back(pause_s):
    first = knowing(1000)
    for second in (0, 499, 499 + pause_s, 499 + 2 * pause_s):
        at = (1000 + second * 1_000_000) % PERIOD
        first.advance(at)
        assert first.remaining_us(at) == -min(second * 1_000_000, LIMIT_US)


def differs(first, theirs_us, now_us, exact):
    """What differs by a frame, a follow-up if that is exact, whose offset counts from now."""
    return first.compare(SimpleNamespace(offset_us=theirs_us, flags=FOLLOW_UP_FLAG * exact), now_us, now_us)


THEIRS, NEITHER, OURS = 1, 0, 8  # whose node has not heard the better instant


@pytest.mark.parametrize(
    "later_us, lacking",
    ((-49_000, OURS), (-1, OURS), (0, NEITHER), (1, THEIRS), (100_000, THEIRS)),
)
@pytest.mark.parametrize("exact, tolerance_us", ((False, 10_000), (True, 1500)))
def test_instants_further_apart_than_they_are_exact_differ(later_us, lacking, exact, tolerance_us):
    first = knowing(50_000)
    for within_us in (-tolerance_us, 0, tolerance_us):
        assert differs(first, 50_000 + within_us, 0, exact) == NEITHER
    beyond_us = later_us and later_us + (tolerance_us if later_us > 0 else -tolerance_us)
    assert differs(first, 50_000 + beyond_us, 0, exact) == lacking


@pytest.mark.parametrize(
    "theirs_us, lacking", ((-LIMIT_US, NEITHER), (-1, NEITHER), (0, NEITHER), (1, THEIRS), (LIMIT_US, THEIRS))
)
def test_past_ones_own_instant_only_one_still_ahead_differs(theirs_us, lacking):
    first = knowing(1000)
    first.advance(10_000)
    assert differs(first, theirs_us, 10_000, True) == lacking


@pytest.mark.parametrize("passed_us, lacking", ((0, OURS), (999, OURS), (1000, NEITHER), (5000, NEITHER)))
def test_an_earlier_instant_matters_only_while_ones_own_is_ahead(passed_us, lacking):
    first = knowing(1000)
    assert differs(first, -LIMIT_US, passed_us, True) == lacking


@given(st.integers(0, PERIOD - 1), st.lists(st.integers(-LIMIT_US, LIMIT_US), min_size=1, max_size=8))
def test_of_many_offers_none_is_more_than_200_us_better_than_what_was_agreed(now_us, offers):
    first = FirstSample(500)
    for theirs_us in offers:
        first.offer(theirs_us, now_us)
    assert not first.offer(min(offers), now_us)
    assert first.remaining_us(now_us) in offers
    if not first.passed:
        assert first.remaining_us(now_us) - min(offers) <= 200

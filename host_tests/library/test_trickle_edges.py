"""The Trickle timer at its edges: what a new one says, lengths that are no power of two, and what it answers."""

import pytest

from faction.trickle import Trickle


def test_a_new_timer_has_heard_nothing_and_its_attributes_are_all_there():
    trickle = Trickle(16, 2048, 2, 1)
    assert (trickle.interval_ms, trickle.heard, trickle.due) == (16, 0, 0)
    assert trickle.repeat is False
    assert (trickle.imin_ms, trickle.imax_ms, trickle.redundancy) == (16, 2048, 2)
    made = set(vars(trickle))
    trickle.start(5)
    for now in range(5, 100):
        trickle.reset(now, False)
        trickle.poll(now)
    assert set(vars(trickle)) == made, "one made later takes memory then"


@pytest.mark.parametrize("interval_ms", (2, 3, 5, 23, 70))
def test_every_moment_of_the_second_half_comes_and_no_other(interval_ms):
    trickle = Trickle(interval_ms, interval_ms, 2, 12345)
    trickle.start(0)
    half = interval_ms // 2
    intervals = 1 + 20 * (interval_ms - half)
    _, *spoken = [now % interval_ms for now in range(interval_ms * intervals) if trickle.poll(now)]
    assert set(spoken) == set(range(half, interval_ms))
    assert len(spoken) == intervals - 1, "one moment an interval"


def test_the_answers_are_truth_values():
    trickle = Trickle(16, 32, 1, 1)
    trickle.start(0)
    answers = [trickle.poll(now) for now in range(49)]
    assert all(isinstance(answer, bool) for answer in answers)
    assert answers.count(True) == 2


def test_a_timer_that_was_reset_ends_its_interval_from_there():
    trickle = Trickle(16, 2048, 2, 3)
    trickle.start(0)
    for now in range(100):
        trickle.poll(now)
    assert trickle.interval_ms == 64
    trickle.reset(100)
    assert [trickle.interval_ms for now in range(100, 116) if not trickle.poll(now)][-1] == 16
    trickle.poll(116)
    assert trickle.interval_ms == 32


def test_a_reset_leaves_an_interval_alone_that_is_shorter_than_a_shortest_that_has_grown():
    trickle = Trickle(16, 2048, 2, 3)
    trickle.start(0)
    trickle.imin_ms = 40
    due = trickle.due
    trickle.reset(5)
    assert (trickle.interval_ms, trickle.due) == (16, due)
    for now in range(100):
        trickle.poll(now)
    assert trickle.interval_ms == 64
    trickle.reset(100)
    assert trickle.interval_ms == 40


@pytest.mark.parametrize("imin_ms", (16, 17, 70))
def test_an_interval_that_is_repeated_is_as_long_and_only_once(imin_ms):
    trickle = Trickle(imin_ms, 2048, 2, 3)
    trickle.start(0)
    trickle.repeat = True
    lengths = []
    for now in range(5 * imin_ms + 2):
        trickle.poll(now)
        lengths.append(trickle.interval_ms)
    expected = [imin_ms] * (2 * imin_ms) + [2 * imin_ms] * (2 * imin_ms) + [4 * imin_ms] * (imin_ms + 2)
    assert lengths == expected
    assert trickle.repeat is False


@pytest.mark.parametrize("imin_ms, imax_ms", ((20, 2048), (16, 2048), (70, 2048), (3, 50), (3000, 3000)))
def test_the_shortest_interval_is_for_five_nodes_in_range_and_grows_as_their_number(imin_ms, imax_ms):
    trickle = Trickle(imin_ms, imax_ms, 2, 3)
    for met in range(1, 681):
        trickle.meet(680)
        assert trickle.imin_ms == max(imin_ms, min(imin_ms * met // 5, imax_ms)), met
    assert trickle.imin_ms == imax_ms


def test_no_more_nodes_are_met_than_there_are():
    trickle = Trickle(16, 2048, 2, 3)
    for _ in range(200):
        trickle.meet(80)
    assert trickle.imin_ms == 16 * 80 // 5

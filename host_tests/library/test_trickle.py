"""trickle.py against RFC 6206."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction.trickle import Trickle

PERIOD = 1 << 30


def timer(imin=16, imax=2048, seed=1, now=0):
    trickle = Trickle(imin, imax, 1, seed)
    trickle.start(now)
    return trickle


def moments(trickle, now, ms):
    """[milliseconds from now] at which poll() says that it is the moment to speak."""
    return [passed for passed in range(ms) if trickle.poll((now + passed) % PERIOD)]


@given(st.integers(1, PERIOD - 1), st.integers(0, PERIOD - 1))
def test_one_moment_in_each_doubling_interval_after_the_first_in_its_second_half(seed, now):
    trickle = timer(16, 128, seed=seed, now=now)
    begin, interval = 0, 16
    for at in moments(trickle, now, 16 + 32 + 64 + 4 * 128):
        assert begin + (interval // 2 if begin else 0) <= at < begin + interval
        begin += interval
        interval = min(2 * interval, 128)
    assert begin == 16 + 32 + 64 + 4 * 128


@pytest.mark.parametrize("imin, imax", ((1, 1), (1, 3), (5, 7), (16, 2048), (70, 2048), (2048, 2048), (3000, 3000)))
def test_intervals_begin_at_imin_double_and_end_at_imax(imin, imax):
    trickle = timer(imin, imax)
    seen, now = [trickle.interval_ms], 0
    for now in range(4 * imax + 2 * imin):
        trickle.poll(now)
        if trickle.interval_ms != seen[-1]:
            seen.append(trickle.interval_ms)
    expected = [imin]
    while expected[-1] < imax:
        expected.append(min(2 * expected[-1], imax))
    assert seen == expected


def test_what_is_heard_counts_for_one_interval():
    trickle = timer()
    moments(trickle, 0, 16)
    trickle.heard = 3
    assert moments(trickle, 16, 33) and trickle.heard == 0
    trickle.heard = 3
    trickle.start(60)
    assert trickle.heard == 0


def spread(make, ms):
    """The moments to speak of timers of many seeds that make(seed) has just given news: {milliseconds since}."""
    return {moments(make(seed), 1000, ms)[0] for seed in range(1, 400)}


def settled(seed=1):
    """A timer whose interval is far above the shortest, which has spoken in it."""
    trickle = timer(seed=seed)
    moments(trickle, 0, 1000)
    assert trickle.interval_ms == 512
    return trickle


def test_after_news_a_node_speaks_anywhere_in_a_shortest_interval():
    def told(seed):
        trickle = settled(seed)
        trickle.reset(1000)
        assert (trickle.interval_ms, trickle.heard) == (16, 0)
        return trickle

    assert spread(told, 16) == set(range(16)), "there is no half in which it only listens"


@pytest.mark.parametrize("haste, within", ((0, 16), (1, 8), (3, 2), (4, 1), (5, 1), (30, 1)))
def test_who_is_in_haste_speaks_in_the_first_part_of_it(haste, within):
    def hurried(seed):
        trickle = settled(seed)
        trickle.start(1000, haste)
        return trickle

    assert spread(hurried, 16) == set(range(within))
    trickle = hurried(1)
    moments(trickle, 1000, 17)
    assert trickle.interval_ms == 32, "the interval is as long as any other"


def test_news_leave_a_shortest_interval_alone_in_which_a_node_has_yet_to_speak():
    for seed in range(1, 60):
        trickle = timer(seed=seed)
        due = trickle.due
        for now in range(due + 1):
            trickle.heard = 3
            trickle.reset(now)
            assert (trickle.due, trickle.interval_ms) == (due, 16)
            assert trickle.heard == 0, "what was heard before the news told nothing of them"


def test_what_is_no_news_leaves_what_was_heard_as_it_is():
    trickle = timer()
    trickle.heard = 3
    trickle.reset(0, False)
    assert trickle.heard == 3


def test_news_begin_a_new_shortest_interval_in_which_a_node_has_spoken():
    trickle = timer(seed=5)
    (spoken,) = moments(trickle, 0, 16)
    trickle.reset(spoken + 1)
    assert spoken + 1 <= trickle.due < spoken + 17
    assert trickle.due == moments(trickle, 0, 40)[0]


@pytest.mark.parametrize("wrap", (0, PERIOD - 1, PERIOD - 12, PERIOD - 1015))
def test_without_news_half_of_imin_lies_between_two_frames(wrap):
    gaps = set()
    for seed in range(1, 400):
        trickle = timer(seed=seed, now=wrap)
        spoken = moments(trickle, wrap, 1000)[-1]
        trickle.reset((wrap + spoken + 1) % PERIOD, False)
        assert trickle.interval_ms == 16
        gaps.add(1 + moments(trickle, wrap + spoken + 1, 20)[0])
    assert gaps == set(range(8, 17)), "and no more than the rest of it"


@pytest.mark.parametrize("wrap", (0, PERIOD - 5, PERIOD // 2))
def test_long_after_a_frame_the_next_need_not_wait(wrap):
    for after in (8, 100, PERIOD // 2 - 20, PERIOD // 2 + 20):
        found = set()
        for seed in range(1, 100):
            trickle = timer(seed=seed, now=wrap)
            (spoken,) = moments(trickle, wrap, 16)
            now = (wrap + spoken + after) % PERIOD
            trickle.reset(now, False)
            found.add(moments(trickle, now, 17)[0])
        assert found == set(range(16)), after


def test_start_begins_again_even_in_the_shortest_interval():
    trickle = timer()
    trickle.heard = 1
    trickle.start(5)
    assert trickle.heard == 0
    assert 5 <= trickle.due < 5 + 16


def test_a_late_poll_still_speaks_once_and_then_goes_on_from_the_end():
    trickle = timer(16, 2048)
    assert trickle.poll(20)
    assert not trickle.poll(20)
    assert trickle.interval_ms == 32
    assert 16 + 16 <= trickle.due < 16 + 32, "the interval began at the end of the one before"


def test_after_a_long_pause_the_next_interval_begins_now():
    trickle = timer(16, 2048)
    assert trickle.poll(5000)
    assert not trickle.poll(5000)
    assert 5000 + 16 <= trickle.due < 5000 + 32
    assert not trickle.poll(5000), "and does not catch up"


def test_a_pause_of_half_the_next_interval_is_the_limit():
    for late, begin in ((15, 16), (16, 32)):
        trickle = timer(16, 2048)
        assert trickle.poll(15)
        trickle.poll(16 + late)
        assert begin + 16 <= trickle.due < begin + 32


def test_due_is_when_poll_has_something_to_do():
    trickle = timer(seed=77)
    for now in range(3000):
        before = trickle.due, trickle.interval_ms
        said = trickle.poll(now)
        assert said or (trickle.due, trickle.interval_ms) == before or now == before[0]
        if now < before[0]:
            assert not said


@pytest.mark.parametrize("before", (0, 1, 7, 15, 16, 40, 500))
def test_ticks_wrap(before):
    now = PERIOD - before
    early, late = timer(seed=9), timer(seed=9, now=now % PERIOD)
    assert moments(early, 0, 5000) == moments(late, now, 5000)


def _step(bits):
    """One xorshift step as a function of the state, from the timer itself."""
    trickle = Trickle(1, 1, 1, bits)
    trickle.start(0)
    return trickle._random


def test_random_numbers_run_through_the_whole_period():
    # The step is linear over GF(2): its columns are the steps of single bits. Its order is found by powers of them.
    columns = [_step(1 << bit) for bit in range(30)]

    def apply(matrix, vector):
        result = 0
        for bit in range(30):
            if vector >> bit & 1:
                result ^= matrix[bit]
        return result

    def power(exponent):
        result, square = [1 << bit for bit in range(30)], columns
        while exponent:
            if exponent & 1:
                result = [apply(square, column) for column in result]
            square = [apply(square, column) for column in square]
            exponent >>= 1
        return result

    identity = [1 << bit for bit in range(30)]
    assert apply(columns, 0x2A5A5A5A) == _step(0x2A5A5A5A)
    assert power(PERIOD - 1) == identity
    for prime in (3, 7, 11, 31, 151, 331):
        assert power((PERIOD - 1) // prime) != identity, f"the period divides (2^30 - 1) / {prime}"


@given(st.integers(1, PERIOD - 1))
def test_every_draw_fits_a_31_bit_small_int(seed):
    trickle = Trickle(16, 2048, 2, seed)
    for _ in range(50):
        trickle.start(0)
        assert 0 < trickle._random < PERIOD


def test_moments_are_spread_evenly():
    trickle = timer(64, 64, seed=12345)
    counts = [0] * 32
    for at in moments(trickle, 64, 64 * 4000)[1:]:
        counts[at % 64 - 32] += 1
    assert all(75 <= count <= 180 for count in counts), counts


def test_an_interval_is_repeated_once_when_asked():
    timer = Trickle(16, 2048, 2, 7)
    timer.start(0)
    lengths = []
    for now in range(1, 300):
        end = timer._end
        timer.poll(now)
        if timer._end != end:
            lengths.append(timer.interval_ms)
            timer.repeat = len(lengths) == 1
    assert lengths == [32, 32, 64, 128, 256]

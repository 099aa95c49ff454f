"""trickle.py against RFC 6206."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction.trickle import Trickle

PERIOD = 1 << 30


def timer(imin=16, imax=2048, k=2, seed=1, now=0):
    trickle = Trickle(imin, imax, k, seed)
    trickle.start(now)
    return trickle


def moments(trickle, now, ms):
    """[(milliseconds from now, suppressed)] at which poll() says that it is the moment to speak."""
    found = []
    for passed in range(ms):
        if trickle.poll((now + passed) % PERIOD):
            found.append((passed, trickle.suppressed()))
    return found


@given(st.integers(1, PERIOD - 1), st.integers(0, PERIOD - 1))
def test_one_moment_in_the_second_half_of_each_doubling_interval(seed, now):
    trickle = timer(16, 128, seed=seed, now=now)
    begin, interval = 0, 16
    for at, _ in moments(trickle, now, 16 + 32 + 64 + 4 * 128):
        assert begin + interval // 2 <= at < begin + interval
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


def test_k_consistent_frames_of_this_interval_make_it_silent():
    for heard in range(5):
        trickle = timer(k=2)
        for _ in range(heard):
            trickle.consistent()
        assert moments(trickle, 0, 16)[0][1] == (heard >= 2)
        assert moments(trickle, 16, 33)[0][1] is False, "the next interval counts from 0"


def test_heard_after_the_moment_counts_no_more_in_the_next_interval():
    trickle = timer()
    assert len(moments(trickle, 0, 16)) == 1
    for _ in range(3):
        trickle.consistent()
    assert [suppressed for _, suppressed in moments(trickle, 16, 33)] == [False]


def test_consistent_frames_never_overflow():
    trickle = timer()
    for _ in range(1000):
        trickle.consistent()
    assert trickle.heard == 2


def test_reset_begins_a_shortest_interval_at_once():
    trickle = timer()
    moments(trickle, 0, 700)
    assert trickle.interval_ms == 512
    trickle.consistent()
    trickle.consistent()
    trickle.reset(700)
    assert (trickle.interval_ms, trickle.heard) == (16, 0)
    assert 8 <= moments(trickle, 700, 16)[0][0] < 16


def test_reset_in_the_shortest_interval_does_nothing():
    trickle = timer()
    trickle.consistent()
    due = trickle.due
    for now in range(16):
        trickle.reset(now)
    assert (trickle.due, trickle.heard) == (due, 1)
    assert len(moments(trickle, 0, 16)) == 1
    trickle.reset(15)
    assert moments(trickle, 16, 8) == [], "one moment an interval, whatever is reset"


def test_start_begins_again_even_in_the_shortest_interval():
    trickle = timer()
    trickle.consistent()
    trickle.start(5)
    assert trickle.heard == 0
    assert 5 + 8 <= trickle.due < 5 + 16


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
    assert trickle._draw() == trickle._random
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
        assert 0 < trickle._draw() < PERIOD


def test_moments_are_spread_evenly():
    trickle = timer(64, 64, seed=12345)
    counts = [0] * 32
    for at, _ in moments(trickle, 0, 64 * 4000):
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

"""The ticks functions of 32-bit boards on CPython: they wrap at 2^30, and ticks_add refuses too large a step."""

import time

PERIOD = 1 << 30
HALF = PERIOD // 2
NAMES = ("ticks_ms", "ticks_us", "ticks_add", "ticks_diff", "sleep_ms", "sleep_us")


def ticks_ms():
    """Milliseconds of a steady clock, modulo 2^30."""
    return time.monotonic_ns() // 1_000_000 % PERIOD


def ticks_us():
    """Microseconds of a steady clock, modulo 2^30."""
    return time.monotonic_ns() // 1_000 % PERIOD


def ticks_add(ticks, delta):
    """ticks moved on by delta, modulo 2^30. OverflowError when delta is half the period or more, either way."""
    if not -HALF < delta < HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) % PERIOD


def ticks_diff(end, start):
    """Signed distance from start to end, from -2^29 to 2^29 - 1."""
    return (end - start + HALF) % PERIOD - HALF


def sleep_ms(duration):
    """Sleep for duration milliseconds."""
    time.sleep(max(0, duration) / 1_000)


def sleep_us(duration):
    """Sleep for duration microseconds."""
    time.sleep(max(0, duration) / 1_000_000)

"""`time` of a virtual board: its own clock, with its own offset and drift, and ticks that wrap at 2**30."""

import _chip
import utime
from utime import gmtime, localtime, mktime, time, time_ns  # noqa: F401 - part of the module

_PERIOD = 1 << 30
_HALF = _PERIOD >> 1
_MASK = _PERIOD - 1


def ticks_ms():
    """Milliseconds by this board's clock, modulo 2**30."""
    return _chip.local_us() // 1000 & _MASK


def ticks_us():
    """Microseconds by this board's clock, modulo 2**30."""
    return _chip.local_us() & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    """ticks + delta, wrapped; OverflowError when delta is half the period or more."""
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & _MASK


def ticks_diff(end, start):
    """Signed distance from start to end."""
    return ((end - start + _HALF) & _MASK) - _HALF


def sleep_us(us):
    """Wait `us` microseconds of this board's clock; interrupts happen meanwhile.

    As on an RP2040 (v1.28.0, ports/rp2/mphalport.c, mp_hal_delay_us): above 1000 us in whole milliseconds, and what an
    interrupt has woken waits for what is left in whole milliseconds, so that it may sleep 1 ms too long; then awake,
    where this board leaves its processor to the others.
    """
    end_us = _chip.local_us() + us
    if us > 1000:
        start = _chip.local_us() // 1000
        left = us // 1000
        while left > 0:
            utime.sleep_us(left * 1000)  # an alarm of the launcher ends it early
            left = us // 1000 - (_chip.local_us() // 1000 - start)
    while True:
        left_us = end_us - _chip.local_us()
        if left_us <= 0:
            return
        utime.sleep_us(left_us)  # here, too


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1000000))

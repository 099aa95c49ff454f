"""Signs of life: the board's timer, one pattern of the LED for each state, and the chip's watchdog."""

from time import ticks_diff, ticks_ms

import board
import machine
from micropython import const, stack_use

import faction

# Sixteen slots of 64 ms, the first in the lowest bit.
STATES = (0x0001, 0x0101, 0x5555, 0xFFFF, 0x0F0F)  # Initial, Pinging, Collecting, Bootstrapped, TimedOut
FAILED = const(0x0015)  # no node runs, or the application has an error
_SLOT_MS = const(64)
_SLOTS = const(16)

_CALL_MS = const(8000)  # for a call of the user's code; an RP2040's watchdog knows no more than 8388
_NEVER_MS = const(1_000_000_000)  # eleven days, and a node feeds it; more than a stack, too
_CLEAR = const(0x3000)  # behind an RP2040's watchdog: where to write what is to be cleared in its first register
_ENABLE = const(0x4000_0000)  # in that

_registers = getattr(board, "WATCHDOG", None)  # None: it cannot be stopped, or is not to be
# Bytes of stack: on an RP2040 a file operation is 900 deeper than the prompt it comes from, a sleep 440 (measured).
_DEPTH = 640 if _registers else _NEVER_MS
_watchdog = None  # once it is there, it is fed whether a node runs or not

_timer = None  # begun once a boot: on 1.28.0 an ESP32's clock stops at the 256th since it has power (micropython#19162)
_function = None  # what it calls
_beaten = ticks_ms()  # when it did last
slow = False  # the node has nothing to hurry for: each second call is left out
_left_out = False  # the last one was
_least = _NEVER_MS  # bytes of stack when calm() has been called from the callback, at its shallowest


class Signs:
    """Shows one pattern on the board's LED, where there is one, and feeds the watchdog, once there is one."""

    def __init__(self):
        self._pin = None if board.LED is None else machine.Pin(board.LED, machine.Pin.OUT)
        self.pattern = 0

    def tick(self, now):
        """Show the pattern at tick now; returns in how many milliseconds to call it again."""
        if self._pin:
            self._pin.value(self.pattern >> (now // _SLOT_MS) % _SLOTS & 1)
        if _watchdog:
            _watchdog.feed()
        return _SLOT_MS - now % _SLOT_MS


def watch(timeout):
    """Have the chip reset the board when neither this nor tick() is called for that many ms, from now on and for good.

    1: while a call of the user's code runs, for which there are 8 s; 0: it is back. Nothing else ends a callback that
    hangs: at an idle prompt Ctrl-C is a key, and a Pico's USB waits for callbacks.
    """
    global _watchdog, _registers
    if _registers is None and (_watchdog or timeout <= 1):
        return
    if timeout or not _registers:
        _watchdog = machine.WDT(timeout=timeout if timeout > 1 else _CALL_MS if timeout else _NEVER_MS)
    else:
        machine.mem32[_registers + _CLEAR] = _ENABLE
    if timeout > 1:
        _registers = None


def beat(function):
    """Have function() called by the timer every faction.PERIOD_MS, half as often while it is slow, in place of what it
    called; None: nothing."""
    global _function, _least, slow
    slow = False
    _function = function
    _least = _NEVER_MS
    if not _timer:
        _begin()


def _begin():
    global _timer, _beaten
    _timer = machine.Timer(board.TIMER)
    _timer.init(mode=machine.Timer.PERIODIC, period=faction.PERIOD_MS, callback=_beat)
    _beaten = ticks_ms()


def _beat(_):
    global _beaten, _left_out
    _left_out = slow and not _left_out
    if _left_out:
        return
    _beaten = ticks_ms()
    if _function:
        _function()


def calm():
    """Whether the foreground is not in the middle of a file operation, as far as the depth of the stack tells: on an
    RP2040 callbacks run within those (rp2_flash.c), and what one writes then is lost, though it reads back.

    Always call it from the same place of the timer's callback.
    """
    global _least
    depth = stack_use()
    _least = min(_least, depth)
    return depth - _least <= _DEPTH


def stolen(ms):
    """Whether the timer has not called for that many ms, since somebody else has taken it: it is the node's again."""
    late = ticks_diff(ticks_ms(), _beaten) > ms
    if late:
        _begin()
    return late

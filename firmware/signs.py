"""Signs of life: one pattern of the LED for each state, and the watchdog."""

import board
import machine
from micropython import const

# Sixteen slots of 64 ms, the first in the lowest bit.
STATES = (0x0001, 0x0101, 0x5555, 0xFFFF, 0x0F0F)  # Initial, Pinging, Collecting, Bootstrapped, TimedOut
FAILED = const(0x0015)  # no node runs, or the application has an error
SLOT_MS = const(64)
_SLOTS = const(16)

_watchdog = None  # cannot be stopped: from its start on it is fed whether a node runs or not


class Signs:
    """Shows one pattern on the board's LED, where there is one, and feeds the watchdog, once there is one."""

    def __init__(self):
        self._pin = None if board.LED is None else machine.Pin(board.LED, machine.Pin.OUT)
        self.pattern = 0

    def tick(self, now):
        """Show the pattern at tick now; call it every few milliseconds."""
        if self._pin:
            self._pin.value(self.pattern >> (now // SLOT_MS) % _SLOTS & 1)
        if _watchdog:
            _watchdog.feed()


def start_watchdog(timeout_ms):
    """Have the board reset when nothing has called tick() for that long; a second call changes nothing."""
    global _watchdog
    if not _watchdog:
        _watchdog = machine.WDT(timeout=timeout_ms)

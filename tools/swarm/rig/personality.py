"""True time, and what makes one virtual board unlike another: its clock and its sensor, both from seed and number."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

_WRAP_US = 1 << 30  # of ticks_us; ticks_ms wraps at 1000 times that, which is a wrap of ticks_us too
_DRIFT_PPB = 50_000


def true_us() -> int:
    """True time: microseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True)
class Clock:
    """A board's clock: local microseconds = offset_us + elapsed * (1 + ppb / 10**9), since true time base_us."""

    base_us: int
    offset_us: int
    ppb: int

    def local_us(self, true: int) -> int:
        """Unwrapped local microseconds at a true time."""
        elapsed = true - self.base_us
        return self.offset_us + elapsed + elapsed * self.ppb // 10**9

    def true_of_ticks_ms(self, ticks_ms: int, near_us: int) -> int:
        """True time at which ticks_ms had this value, of all such times the one nearest to true time near_us."""
        near_ms = self.local_us(near_us) // 1000
        distance = (ticks_ms - near_ms + (1 << 29)) % (1 << 30) - (1 << 29)
        local = (near_ms + distance) * 1000 - self.offset_us
        return self.base_us + local - local * self.ppb // 10**9


def make_clock(seed: int, node: int, boot: int, now_us: int) -> Clock:
    """A board's clock for one boot: up to 50 ppm off; in some boots the ticks wrap within the first six seconds."""
    crystal = random.Random(f"crystal/{seed}/{node}")
    ppb = crystal.randint(-_DRIFT_PPB, _DRIFT_PPB)
    chance = random.Random(f"clock/{seed}/{node}/{boot}")
    wrap = chance.random()
    before_us = chance.randint(0, 6_000_000)
    if wrap < 0.25:  # ticks_ms and ticks_us wrap
        offset = _WRAP_US * 1000 - before_us
    elif wrap < 0.5:  # only ticks_us does
        offset = _WRAP_US * chance.randint(1, 999) - before_us
    else:
        offset = chance.randrange(_WRAP_US * 1000)
    return Clock(now_us, offset, ppb)


@dataclass(frozen=True)
class Sensor:
    """How a board's temperature sensor settles after power-on, in thousandths of a degree and milliseconds."""

    ambient_mc: int
    rise_mc: int
    tau_ms: int


def make_sensor(seed: int, node: int) -> Sensor:
    """A sensor that gives steady readings 0.1 to 1.5 seconds after power-on."""
    chance = random.Random(f"sensor/{seed}/{node}")
    return Sensor(chance.randint(18_000, 28_000), chance.randint(5_000, 40_000), chance.randint(60, 800))

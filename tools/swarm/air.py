"""What happens to a message in the air: the medium's decisions, without sockets or clocks.

Every decision about a message on a directed link comes from the seed, the two addresses and how many messages the
sender has sent, and from nothing else. So the same seed loses the same messages whatever the order of arrival, and one
more or one less receiver changes nothing for the others.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

BROADCAST = b"\xff" * 6

# A message at ESP-NOW's default rate of 1 Mbit/s: the long preamble, then 43 bytes of headers and checksum around it.
PREAMBLE_US = 192
OVERHEAD_BYTES = 43
BIT_US = 1

REORDER_US = (3_000, 15_000)  # how much later than the others a reordered message comes
DUPLICATE_US = (200, 5_000)  # how much later the second copy comes


def airtime_us(length: int) -> int:
    """Microseconds that a message of `length` bytes occupies the channel."""
    return PREAMBLE_US + (OVERHEAD_BYTES + length) * 8 * BIT_US


@dataclass
class Weather:
    """How bad the air is. Probabilities are per directed link and message; times are in milliseconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay_ms: float = 0.0  # every message comes up to this much later than its air time

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise ValueError(f"{field.name} {value!r} is not a number")
            if field.name == "delay_ms":
                if not 0 <= value <= 10_000:
                    raise ValueError(f"delay_ms {value} is outside 0 ... 10000")
            elif not 0 <= value <= 1:
                raise ValueError(f"{field.name} {value} is outside 0 ... 1, the share of messages")


@dataclass(frozen=True)
class Copy:
    """One arrival of a message: how long after it left the channel, and its bytes, perhaps corrupted."""

    after_us: int
    message: bytes


def arrivals(seed: int, weather: Weather, source: bytes, target: bytes, number: int, message: bytes) -> list[Copy]:
    """The copies of the `number`-th message from source that reach target; none when it is lost."""
    chance = random.Random(f"{seed}/{source.hex()}/{target.hex()}/{number}")
    # Always draw everything, in one order, so that changing one rate leaves the other decisions as they were.
    lost = chance.random() < weather.loss
    doubled = chance.random() < weather.duplicate
    late = chance.random() < weather.reorder
    broken = chance.random() < weather.corrupt
    after_us = int(chance.random() * weather.delay_ms * 1000)
    late_us = chance.randint(*REORDER_US)
    second_us = chance.randint(*DUPLICATE_US)
    bit = chance.randrange(len(message) * 8) if message else 0
    if lost:
        return []
    if broken and message:
        changed = bytearray(message)
        changed[bit // 8] ^= 1 << bit % 8
        message = bytes(changed)
    after_us += late_us if late else 0
    copies = [Copy(after_us, message)]
    if doubled:
        copies.append(Copy(after_us + second_us, message))
    return copies

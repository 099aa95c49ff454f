"""What happens to a message in the air: the medium's decisions, without sockets or clocks.

Every decision about a message on a directed link comes from the seed, the two addresses and how many messages the
sender has sent, and from nothing else. So the same seed loses the same messages whatever the order of arrival, and one
more or one less receiver changes nothing for the others.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from hashlib import blake2b

BROADCAST = b"\xff" * 6

# A message at ESP-NOW's default rate of 1 Mbit/s: the long preamble, then 43 bytes of headers and checksum around it.
PREAMBLE_US = 192
OVERHEAD_BYTES = 43
BIT_US = 1

REORDER_US = (3_000, 15_000)  # how much later than the others a reordered message comes
DUPLICATE_US = (200, 5_000)  # how much later the second copy comes


_DRAWS = struct.Struct("<8I")
_DRAW_RANGE = 1 << 32


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


def _between(limits: tuple[int, int], draw: float) -> int:
    low, high = limits
    return low + int(draw * (high - low))


def arrivals(seed: int, weather: Weather, source: bytes, target: bytes, number: int, message: bytes) -> list[Copy]:
    """The copies of the `number`-th message from source that reach target; none when it is lost."""
    # A hash rather than a random generator, which takes several times as long; each decision has its own part of it, so
    # that changing one rate leaves the others as they were.
    key = source + target + number.to_bytes(8, "little") + str(seed).encode()
    draws = _DRAWS.unpack(blake2b(key, digest_size=_DRAWS.size).digest())
    lost, doubled, late, broken, delay, later, second, bit = (draw / _DRAW_RANGE for draw in draws)
    if lost < weather.loss:
        return []
    after_us = int(delay * weather.delay_ms * 1000)
    if broken < weather.corrupt and message:
        changed = bytearray(message)
        at = int(bit * 8 * len(message))
        changed[at // 8] ^= 1 << at % 8
        message = bytes(changed)
    if late < weather.reorder:
        after_us += _between(REORDER_US, later)
    copies = [Copy(after_us, message)]
    if doubled < weather.duplicate:
        copies.append(Copy(after_us + _between(DUPLICATE_US, second), message))
    return copies

"""An hour at a radio that everybody may send to, on the runtime that executes this file; prints one JSON line about it.

Arguments: the minutes, how many addresses strangers have, MicroPython's version, the folder of the device's shims.

A member of a swarm of 20 is heard each 100 ms and the ring is read each 4 ms while something waits in it. In between
come strangers' packets, each from another address, of every length that ESP-NOW has, and one in sixteen is still being
written when it is seen. The radio is the shim of MicroPython's C, as cruel as that. Parts are a minute long; the heap
is collected between them.
"""

import gc
import json
import sys

MINUTES, STRANGERS, VERSION = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class _Os:
    """In place of an os that a runtime without an environment has not."""

    @staticmethod
    def getenv(name):
        return VERSION if name == "SWARM_ESPNOW" else None


_os, sys.modules["os"] = sys.modules.get("os"), _Os
if sys.implementation.name == "cpython":
    import time

    sys.modules.setdefault("utime", time)
sys.path.insert(0, sys.argv[4])
import _chip  # noqa: E402
import _espnow  # noqa: E402, F401 - the link's
import network  # noqa: E402, F401

del sys.path[0]  # its time is a virtual board's
sys.modules["os"] = _os
from faction.frame import DEMONSTRATION_KEY  # noqa: E402
from faction.links import espnow as link_module  # noqa: E402
from faction.node import Node  # noqa: E402

MEMBERS = 20
LONGEST = 1470  # of ESP-NOW's second version
OURS_MS, LOOK_MS = 100, 4
LATE_US = 300  # longer than the link waits for what is half written
PERIOD = 1 << 30
MEMBER = b"\x02\xfa\xc7\x10\x00\x02"
MARK = b"member"


class Clock:
    """Time that goes on when it is told to, and when somebody waits."""

    def __init__(self):
        self.us = 1_000_000

    def ticks_us(self):
        """As time.ticks_us, in place of it."""
        return self.us & PERIOD - 1

    def ticks_ms(self):
        """As time.ticks_ms, in place of it."""
        return self.us // 1000 & PERIOD - 1

    def sleep(self, us):
        """As time.sleep_us, in place of it."""
        self.us += us

    def now(self):
        """Microseconds, without an end."""
        return self.us


clock = Clock()
_chip.true_us = _chip.local_us = clock.now
link_module.ticks_us, link_module.ticks_ms, link_module.sleep_us = clock.ticks_us, clock.ticks_ms, clock.sleep
link = link_module.EspNowLink({"channel": 6, "members": list(range(MEMBERS))}, None)
radio = link._radio
radio._ring_size = radio._rxbuf
node = Node("demo", list(range(MEMBERS)), 0, MEMBERS, DEMONSTRATION_KEY, 7)
node.start(clock.ticks_ms(), clock.ticks_us())
buffer = link.receive_buffer()
foreign = bytearray(8 + LONGEST)
foreign[0] = _chip.RECEIVED
foreign[1] = 2
ours = bytes((_chip.RECEIVED,)) + MEMBER + b"\xd8" + MARK + bytes(40)
spread_ms = MINUTES * 60_000 / STRANGERS
said = {"strangers": 0, "sent": 0, "heard": 0, "longest_ms": 0, "most_addresses": 0, "heap": []}
heard_us = clock.us
stranger_us = clock.us
minute = 0
seed = 7


def draw(below):
    """A pseudo-random number."""
    global seed
    seed = (seed * 171 + 11213) % 53125
    return seed % below


def stranger():
    """One more packet, from an address that nobody has had."""
    said["strangers"] += 1
    number = said["strangers"]
    foreign[2:7] = b"\x00\x00" + number.to_bytes(3, "big")
    length = 1 + number % LONGEST
    radio.write_us = 0 if draw(16) else LATE_US
    radio._interrupt(foreign, 0, 8 + length)
    radio.write_us = 0


def look():
    """What the runner does at a tick, as long as something comes."""
    global heard_us
    for _ in range(32):
        length = link.receive(buffer)
        if not length:
            break
        node.receive(buffer, length, clock.ticks_ms(), clock.ticks_us(), link.sent_us)
        if buffer[: len(MARK)] == MARK:
            said["heard"] += 1
            heard_us = clock.us
    said["longest_ms"] = max(said["longest_ms"], (clock.us - heard_us) // 1000)
    said["most_addresses"] = max(said["most_addresses"], len(radio.peers_table))


def more():
    """Do a minute; returns whether there are any left, and prints the figures when there are not."""
    global minute, stranger_us
    said["heap"].append(gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0)
    end_us = clock.us + 60_000_000
    while clock.us < end_us:
        radio._interrupt(ours, 0, len(ours))
        said["sent"] += 1
        next_us = clock.us + OURS_MS * 1000
        while clock.us < next_us:
            while stranger_us <= clock.us and said["strangers"] < STRANGERS:
                stranger()
                stranger_us += int(2000 * spread_ms * draw(1000)) // 1000
            look()
            clock.us += LOOK_MS * 1000 if radio._ring or stranger_us < next_us else next_us - clock.us
    minute += 1
    gc.collect()  # on the 32-bit runtime once this call has come back
    if minute < MINUTES:
        return True
    said["error"] = None if link.error is None else repr(link.error)
    said["counters"] = link.counters()
    print(json.dumps(said))
    return False


if sys.platform != "webassembly":
    while more():
        pass

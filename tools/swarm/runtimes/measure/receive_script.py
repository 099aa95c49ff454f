"""Prints what receiving a 46-byte frame costs on this runtime: how many times a plain XOR loop over 16 bytes.

Each frame timed is checked, accepted, and brings one bit that is new. Of each the best of several rounds counts, since
whatever else the machine does only makes it slower.
"""

from time import ticks_diff, ticks_us

from faction.core import Faction
from faction.description import digest
from faction.frame import Frame
from faction.node import Node

MEMBERS = list(range(1, 51))  # 50 members and no echo: 46 bytes
KEY = bytes(range(16))
SESSION = 5
ROUNDS = 60
XORS = 20  # about as long as a frame takes


def frames():
    """A proof of the sender, then a frame for each bit that it can tell: participation, then others' readiness."""
    machine = Faction(2, MEMBERS, 50)
    codec = Frame(digest("speed", machine.ids, 50), machine, KEY)
    codec.sender, codec.session = machine.index(2), SESSION
    bitmaps = bytearray(2 * codec.width)
    made = []
    for bit in range(2 * len(MEMBERS)):
        at, bit = divmod(bit, len(MEMBERS))
        if at and not bit:
            continue  # the receiver is not ready, and would begin a new generation
        bitmaps[at * codec.width + (bit >> 3)] |= 1 << (bit & 7)
        codec.sequence += 1
        codec.echo_count = 0
        buffer = bytearray(codec.max_length)
        if not made:
            codec.put_echo(buffer, True, 1, SESSION)
        made.append(buffer[: codec.encode(buffer, bitmaps)])
    return made


def xor(target, other):
    """A plain loop over 16 bytes."""
    for i in range(16):
        target[i] ^= other[i]


def time_receive(made, best):
    """Receive all frames, and note in best, by frame, the microseconds that it took if they are fewer than before."""
    node = Node("speed", MEMBERS, 1, 50, KEY, SESSION)
    node.start(0, 0)
    node.receive(made[0], len(made[0]), 1, 1000, 0)
    for i in range(1, len(made)):
        start = ticks_us()
        node.receive(made[i], 46, 2, 2000, 1000)
        best[i] = min(best[i], ticks_diff(ticks_us(), start))
    assert node.counters[0] == len(made), "a frame was not accepted"
    assert node.machine.pinging_count == 50 and node.machine.collecting_count == 49, "a frame was not merged"


def time_xor():
    """Microseconds for XORS loops."""
    target, other = bytearray(16), bytes(16)
    start = ticks_us()
    for _ in range(XORS):
        xor(target, other)
    return ticks_diff(ticks_us(), start)


made = frames()
assert all(len(frame) == 46 for frame in made[1:])
receive_us = [1 << 29] * len(made)
xor_us = 1 << 29
for _ in range(ROUNDS):
    time_receive(made, receive_us)
    for _ in range(4):
        xor_us = min(xor_us, time_xor())
print(sum(receive_us[1:]) / (len(made) - 1) / (xor_us / XORS))

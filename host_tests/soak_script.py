"""24 simulated hours of two nodes on the runtime that executes this file; prints one JSON line about them.

The clocks start an hour before ticks_ms wraps; ticks_us wraps every 18 minutes. Frames are lost one in ten; now and
then comes a flood of recorded and damaged ones. Each part, 15 minutes, must not take a byte of memory: nothing is
collected during one, so even garbage would show.
"""

import gc
import json
import sys
from time import ticks_add

from faction.core import BOOTSTRAPPED
from faction.node import Node

MEMBERS = list(range(1, 31))
KEY = bytes(range(16))
PART_MS = 15 * 60 * 1000
PARTS = 96
STEP_MS = 512  # as a runner would, a node is called now and then though it has nothing to do
BEFORE_WRAP_MS = 60 * 60 * 1000
FLOOD = 100  # frames
MAX = (1 << 30) - 1


class World:
    """Two nodes, the air between them, their clock and a random source; all of it without memory once made."""

    def __init__(self, seed):
        self.nodes = [Node("soak", MEMBERS, i + 1, 2, KEY, 9) for i in range(2)]
        self.buffers = [bytearray(250) for _ in self.nodes]
        self.recorded = bytearray(250)
        self.recorded_length = 0
        self.now = MAX + 1 - BEFORE_WRAP_MS
        self.now_us = MAX - 5_000_000
        self.random = seed
        self.polls = self.frames = self.lost = self.flooded = self.samples = self.wraps = self.us_wraps = 0
        for node in self.nodes:
            node.start(self.now, self.now_us)

    def draw(self, below):
        """A pseudo-random number (a linear congruence that stays within 31 bits)."""
        self.random = (self.random * 171 + 11213) % 53125
        return self.random % below

    def advance(self, ms):
        before, before_us = self.now, self.now_us
        self.now = ticks_add(before, ms)
        self.now_us = ticks_add(before_us, ms * 1000)
        self.wraps += self.now < before
        self.us_wraps += self.now_us < before_us

    def step(self):
        """Go on to when the next node has something to do; returns the milliseconds that passed."""
        ms = STEP_MS
        for node in self.nodes:
            ms = min(ms, max(1, node.wait_ms(self.now, self.now_us)))
        self.advance(ms)
        for i in range(2):
            self.poll(i)
        return ms

    def poll(self, i):
        node = self.nodes[i]
        length = node.poll(self.now, self.now_us, self.buffers[i])
        self.polls += 1
        if node.sample_due:
            node.take_sample(self.now_us)
            self.samples += 1
        if not length:
            return
        self.frames += 1
        if not self.draw(10):
            self.lost += 1
            return
        self.hear(1 - i, self.buffers[i], length)
        if not self.draw(50):
            self.recorded_length = length
            for at in range(length):
                self.recorded[at] = self.buffers[i][at]

    def hear(self, i, buffer, length):
        self.nodes[i].receive(buffer, length, self.now, self.now_us, ticks_add(self.now_us, -900))

    def flood(self):
        """Frames recorded earlier, as they were, damaged, and cut short, a millisecond apart."""
        for k in range(FLOOD):
            at = self.draw(self.recorded_length)
            damage = 1 << (k & 7) if k & 1 else 0
            self.recorded[at] ^= damage
            for i in range(2):
                self.hear(i, self.recorded, self.recorded_length - (k % 5 == 4))
            self.recorded[at] ^= damage
            self.flooded += 2
            self.advance(1)


def run(world, ms):
    """Let ms milliseconds pass."""
    while ms > 0:
        ms -= world.step()


seed = int(sys.argv[1])
world = World(seed)
run(world, 5000)
for node in world.nodes:
    node.complete_local(world.now, world.now_us)
run(world, 120_000)  # by then every method has been called, and every table has its size
while not world.recorded_length:
    run(world, 1000)
world.flood()
parts = 0
taken = 0
gc.collect()


def more():
    """Do a part; returns whether there are any left, and prints the figures when there are not."""
    global parts, taken
    before = gc.mem_alloc()
    run(world, PART_MS)
    if parts % 2:
        world.flood()
    taken += gc.mem_alloc() - before
    parts += 1
    if parts < PARTS:
        return True
    said = {
        name: getattr(world, name) for name in ("polls", "frames", "lost", "flooded", "samples", "wraps", "us_wraps")
    }
    said["bytes"] = taken
    said["bootstrapped"] = [node.machine.state == BOOTSTRAPPED for node in world.nodes]
    said["counters"] = [list(node.counters) for node in world.nodes]
    said["conflicts"] = [node.conflict for node in world.nodes]
    said["alike"] = world.nodes[0].bitmaps == world.nodes[1].bitmaps
    print(json.dumps(said))
    return False


if sys.platform != "webassembly":
    while more():
        pass

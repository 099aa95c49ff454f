"""Attacks nodes with random frames at random times and folds all that they do into a digest.

Arguments: a seed, how many steps, and the folder of board_ticks. Prints `STEP DIGEST` every 1000 steps, over everything
since the first step, and at the end a JSON line of what was seen. Whatever differs between two runtimes shows in the
next digest.
"""

import json
import sys
from binascii import hexlify
from hashlib import sha256
from struct import pack_into

import board_ticks  # noqa: F401 - before the library asks for ticks
from hostile import Attacker, Random, Watch

PRINTED = 1000
PART = 50  # steps between two collections on wasm
LIFE = 100  # steps that a node lives, on average

random = Random(int(sys.argv[1]))
steps = int(sys.argv[2])


class Record:
    """The running digest, and what has been seen."""

    def __init__(self):
        self.hash = sha256()
        self.number = bytearray(4)
        self.states = [0] * 5
        self.counters = [0] * 16
        self.samples = self.conflicts = self.nodes = self.wraps = 0
        self.generation = 0

    def fold(self, value):
        """A number, bytes, or None."""
        if value is None:
            value = b"None"
        if isinstance(value, (int, bool)):  # a bool is no int on MicroPython
            pack_into("<i", self.number, 0, value)
            value = self.number
        self.hash.update(value)

    def digest(self):
        """The digest so far, in hexadecimal."""
        said = self.hash.digest()
        self.hash = sha256(said)  # MicroPython's cannot go on once it has said its digest
        return hexlify(said).decode()[:16]

    def bury(self, attacker):
        """Count what a node's life came to."""
        node = attacker.node
        for i in range(len(self.counters)):
            self.counters[i] += node.counters[i]
        self.conflicts += node.conflict
        self.wraps += attacker.now < 1 << 29
        self.nodes += 1


record = Record()
attacker = Attacker(random)
watch = Watch(attacker.node)
step = 0


def live():
    """One step: something happens to the node, and time passes."""
    kind = random.below(32)
    node = attacker.node
    if kind < 18:
        attacker.forge()
        if not random.below(4):
            attacker.record(attacker.buffer, attacker.length)
    elif kind < 21:
        attacker.misshape()
    elif kind < 24:
        attacker.damage()
    elif kind < 26:
        attacker.babble()
    elif kind < 28:
        attacker.replay()
    if kind < 28:
        attacker.hear()
    elif kind == 28:
        node.complete_local(attacker.now, attacker.now_us)
    fold()
    attacker.wait()
    if random.below(8):
        length = attacker.poll()
        if length:
            record.fold(attacker.buffer[:length])
            if not random.below(4):
                attacker.record(attacker.buffer, length)
    else:
        node.tick(attacker.now, attacker.now_us)
    if node.sample_due and random.below(4):
        record.samples += 1
        record.fold(node.take_sample(attacker.now_us))
    fold()


def fold():
    """All that the node remembers, what it counts, and when it wants to be called."""
    node = attacker.node
    for i in range(len(watch.names)):
        record.fold(watch.value(i))
    record.fold(node.counters)
    record.fold(node.machine.outcome_count)
    record.fold(node.wait_ms(attacker.now, attacker.now_us))
    record.states[node.machine.state] += 1
    record.generation = max(record.generation, node.knowledge.generation)


def more():
    """Do some steps; returns whether there are any left."""
    global attacker, watch, step
    for _ in range(PART):
        live()
        step += 1
        if not random.below(LIFE):
            record.bury(attacker)
            attacker = Attacker(random)
            watch = Watch(attacker.node)
        if step % PRINTED == 0:
            print(step, record.digest())
    if step < steps:
        return True
    record.bury(attacker)
    said = {name: getattr(record, name) for name in ("states", "counters", "samples", "conflicts", "nodes", "wraps")}
    said["generation"] = record.generation
    print(json.dumps(said))
    return False


if sys.platform != "webassembly":
    while more():
        pass

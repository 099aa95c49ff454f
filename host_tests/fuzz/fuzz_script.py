"""Throws frames at nodes that must change nothing: noise, forgeries, cuts, recordings; some of them over a serial line.

Arguments: a seed, how many frames, and the folder of board_ticks. After each frame everything that the node remembers
must be as before, counters apart, and no batch may take a byte of memory (on CPython, keep objects). Between the
batches the node lives on, among members who have the key and say anything. Prints a JSON line with the totals and what
failed first.
"""

import gc
import json
import sys

import board_ticks  # noqa: F401 - before the library asks for ticks
from hostile import Attacker, Random, Watch
from serial_line import SerialLine

BATCH = 100  # frames heard between two looks at the heap
LIVES = 4  # batches that a node goes through, on average
SERIAL = 5  # of so many batches one comes over the serial line
DAYS = 12  # steps that a node lives between two batches
REPLAYED, STALE, OWN = 7, 8, 10  # counters

random = Random(int(sys.argv[1]))
frames = int(sys.argv[2])
buffers = [bytearray(250) for _ in range(BATCH)]
lengths = [0] * BATCH
short = bytearray(40)  # of which a longer length is given
spent = bytearray(250)  # a recording that the node has recognised as one, which it must from then on
if hasattr(gc, "mem_alloc"):
    allocated = gc.mem_alloc  # bytes
    SLACK = 0
else:
    allocated = sys.getallocatedblocks  # objects
    SLACK = BATCH // 4  # of them a batch leaves a few: numbers that are too large to be shared


class Totals:
    """What has been seen, and how the first failure read."""

    def __init__(self):
        self.frames = self.exceptions = self.changes = self.grown = 0
        self.serial = self.lost = self.lives = 0
        self.counters = [0] * 16
        self.first = None

    def blame(self, what, buffer, length):
        """Keep the first failure in words."""
        if self.first is None:
            self.first = f"{what}: frame {self.frames}: length {length} of {list(buffer)}"


totals = Totals()


class Target:
    """A node under attack, and what is needed for it."""

    def __init__(self):
        self.attacker = Attacker(random)
        self.watch = Watch(self.attacker.node)
        self.line = SerialLine(random, len(self.attacker.ids))
        self.spent_length = 0
        self.batch = []

    def live(self):
        """Some authentic frames, right and wrong ones, and some time: nothing of it may raise."""
        attacker = self.attacker
        node = attacker.node
        for day in range(DAYS):
            (attacker.forge, attacker.misshape)[random.below(8) == 0]()
            attacker.hear()
            if not random.below(4):
                attacker.record(attacker.buffer, attacker.length)
            if not random.below(16):
                node.complete_local(attacker.now, attacker.now_us)
            attacker.wait()
            length = attacker.poll()
            if length and not random.below(4):
                attacker.record(attacker.buffer, length)
            if day == DAYS // 2 and attacker.recorded_length:
                self._spend()
        node.tick(attacker.now, attacker.now_us)

    def _spend(self):
        attacker = self.attacker
        counters = attacker.node.counters
        attacker.replay()
        attacker.hear()
        before = counters[REPLAYED] + counters[STALE] + counters[OWN]
        attacker.hear()
        if counters[REPLAYED] + counters[STALE] + counters[OWN] > before:
            spent[:] = attacker.buffer
            self.spent_length = attacker.length

    def prepare(self):
        """Make a batch of frames, of which the node must believe none."""
        attacker = self.attacker
        for i in range(BATCH):
            kind = random.below(8)
            if kind == 0 and self.spent_length:
                buffers[i][:] = spent
                lengths[i] = self.spent_length
                continue
            (attacker.babble if kind < 3 else attacker.damage)()
            buffers[i][:] = attacker.buffer
            # Now and then a length that the buffer does not have.
            lengths[i] = attacker.length if random.below(64) else (-1, 251, 1 << 20)[random.below(3)]
        short[:] = buffers[0][: len(short)]
        self.watch.save()

    def attack(self):
        """Let the node hear the batch, without taking memory."""
        i = 0
        while i < BATCH:
            self.hear(buffers[i], lengths[i])
            i += 1
        self.hear(short, lengths[0])

    def attack_serially(self):
        """Let the node hear what the link makes of the batch among noise, without taking memory."""
        line = self.line
        while line.more():
            length = self._receive()
            if length:
                line.check(length)
                self.hear(line.buffer, length)
                totals.serial += 1

    def _receive(self):
        try:
            return self.line.link.receive(self.line.buffer)
        except Exception as error:
            self.failed(error, self.line.buffer, 0)
            return 0

    def hear(self, buffer, length):
        """One frame."""
        attacker = self.attacker
        try:
            attacker.node.receive(buffer, length, attacker.now, attacker.now_us, attacker.now_us)
        except Exception as error:
            self.failed(error, buffer, length)
        at = self.watch.changed()
        if at >= 0:
            self.changed(at, buffer, length)
        totals.frames += 1

    def failed(self, error, buffer, length):
        """An exception has come out of the library."""
        totals.exceptions += 1
        totals.blame(repr(error), buffer, length)

    def changed(self, at, buffer, length):
        """The node remembers something else than before."""
        totals.changes += 1
        totals.blame(f"{self.watch.names[at]} has changed", buffer, length)
        self.watch.save()

    def bury(self):
        """Count what the node has counted."""
        totals.lives += 1
        for i in range(15):
            totals.counters[i] += self.attacker.node.counters[i]


target = Target()


def more():
    """A batch; returns whether there are any left, and prints the totals when there are not."""
    global target
    if not random.below(LIVES):
        target.bury()
        target = Target()
    target.live()
    target.prepare()
    attack = target.attack
    if not random.below(SERIAL):
        target.line.fill(buffers, lengths)
        attack = target.attack_serially
    gc.collect()
    gc.disable()
    before = allocated()
    attack()
    grown = allocated() - before
    totals.grown += grown if grown > SLACK else 0
    gc.enable()
    totals.lost += target.line.lost()
    if totals.frames < frames:
        return True
    target.bury()
    names = ("frames", "exceptions", "changes", "grown", "serial", "lost", "lives", "counters", "first")
    print(json.dumps({name: getattr(totals, name) for name in names}))
    return False


if sys.platform != "webassembly":
    while more():
        pass

"""What the fuzz targets of device code share: their input read as a script, a clock, and a node that is watched.

Runs on CPython and MicroPython. A target raises for whatever must not be.
"""

import gc

from hostile import MAX, NAME, Watch

from faction.core import Faction
from faction.frame import DEMONSTRATION_KEY, Frame
from faction.node import Node

SIZES = (2, 1, 9, 20)  # members of the node's swarm
SESSION = 5  # of the node, so that a member can prove its own by an echo
_RECEIVED = (0,)  # of the counters
_OLD = (7, 8)  # replayed and stale, of a session that is known to be live: else such a frame counts as received, too
_TAG = 8
_ROOM = 300  # more than any frame
_LOOK_US = 20
sealed_frames = 0  # that nodes have heard with a right tag
# Bytes in use, where the runtime tells.
allocated = gc.mem_alloc if hasattr(gc, "mem_alloc") else lambda: 0


class Script:
    """Fuzz input, read as numbers and pieces; beyond its end everything is 0."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def more(self):
        """Whether anything is left."""
        return self._at < len(self._data)

    def byte(self):
        """The next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def piece(self, count):
        """The next count bytes, or what is left of them."""
        at = self._at
        self._at += count
        return self._data[at : self._at]


class Clock:
    """Ticks that soon wrap. They go on when told, and a little at each look: a loop that waits for a tick ends."""

    def __init__(self):
        self.true_us = (MAX + 1) * 1000 - 2_000_000  # without an end
        self.wait(0)

    def wait(self, us):
        """Let that many microseconds pass."""
        self.true_us += us
        self.us = self.true_us & MAX
        self.ms = self.true_us // 1000 & MAX

    def ticks_us(self):
        """As time.ticks_us, in place of it."""
        self.wait(_LOOK_US)
        return self.us

    def ticks_ms(self):
        """As time.ticks_ms, in place of it."""
        return self.ms


class Subject:
    """A node that hears whatever a target gives it. choice: a byte, which decides its swarm and its settings."""

    refused = (1, 2, 3, 4, 5, 6, 15)  # the counters of frames of which nothing is used

    def __init__(self, choice, clock):
        members = SIZES[choice & 3]
        ids = [3 + 7 * i for i in range(members)]
        self.clock = clock
        self.node = self.make_node(choice, ids)
        ids, required = list(self.node.machine.ids), self.node.machine.required_count
        machine = Faction(ids[0], ids, required)
        self.codec = Frame(self.node.frame.digest, machine, DEMONSTRATION_KEY)
        self.buffer = bytearray(_ROOM)
        self._watch = Watch(self.node)
        self.node.start(clock.ms, clock.us)
        self.node.frame._cmac.compute(self.buffer, 0)  # the first tag makes the cipher, and takes memory for it

    def make_node(self, choice, ids):
        """Its node, the first of these ids."""
        return Node(
            NAME,
            ids,
            ids[0],
            1 + (choice >> 2 & 3) % len(ids),
            DEMONSTRATION_KEY,
            SESSION,
            deadline_ms=3000,
            retry=choice & 16 == 0,
            linger_ms=2000 if choice & 32 else 0,
            period_ms=(0, 250, 3_600_000, 1000)[choice >> 6],
        )

    def seal(self, piece):
        """Make a frame of what a fuzzer gives, the swarm's digest and a right tag, in buffer; returns its length."""
        message = bytes(piece[:2]) + self.codec.digest + bytes(piece[2:])
        message = message[: self.codec.max_length - _TAG]
        length = len(message)
        self.buffer[:length] = message
        self._put_tag(self.buffer, length)
        return length + _TAG

    def _put_tag(self, buffer, length):
        self.codec._cmac.compute(buffer, length)
        for i in range(_TAG):
            buffer[length + i] = self.codec._cmac.tag[i]

    def _is_sealed(self, buffer, length):
        """Whether a frame of this swarm ends with a right tag, found out without the library's own comparison."""
        length -= _TAG
        if not 26 <= length <= self.codec.max_length - _TAG or length + _TAG > len(buffer):
            return False
        if bytes(buffer[2:6]) != self.codec.digest:
            return False
        self.codec._cmac.compute(buffer, length)
        return bytes(buffer[length : length + _TAG]) == bytes(self.codec._cmac.tag[:_TAG])

    def hear(self, buffer, length, sent_us):
        """Have the node hear a frame: it counts it, takes no memory, and changes only where the tag is right."""
        global sealed_frames
        node = self.node
        sealed = self._is_sealed(buffer, length)
        sealed_frames += sealed
        heard = self._heard()
        node.tick(self.clock.ms, self.clock.us)  # what time changes is no frame's doing
        self._watch.save()
        before = allocated()
        node.receive(buffer, length, self.clock.ms, self.clock.us, sent_us)
        taken = allocated() - before
        assert not taken, f"a frame takes {taken} bytes of memory"
        received, refused, old = [now - heard[i] for i, now in enumerate(self._heard())]
        assert received + refused + (old and not received) == (not node.conflict or received), "a frame counts once"
        changed = self._watch.changed()
        assert sealed or changed < 0, f"a frame without a right tag changes {self._watch.names[changed]}"

    def _heard(self):
        return [sum([self.node.counters[i] for i in which]) for which in (_RECEIVED, self.refused, _OLD)]

    def live(self, ms, ready):
        """Let time pass, and the node say what it has to, which must be a frame; ready: complete its participation."""
        clock = self.clock
        node = self.node
        clock.wait(ms * 1000)
        if ready:
            node.complete_local(clock.ms, clock.us)
        length = node.poll(clock.ms, clock.us, self.buffer)
        if length:
            verdict = self.codec.decode(self.buffer, length)
            assert verdict == 0, f"the node sends a frame of verdict {verdict}"
            node.left(clock.us)
        if node.sample_due:
            node.take_sample(clock.us)
        machine = node.machine
        assert 0 < machine.state < 5, machine.state
        assert node.wait_ms(clock.ms, clock.us) >= 0
        assert (machine.pinging_count, machine.collecting_count) == (_bits(machine.pinging), _bits(machine.collecting))
        for numbers in (node.sessions.heard, node.counters):
            for number in numbers:
                assert number <= MAX, f"{number} takes memory on a 32-bit board"


def _bits(bitmap):
    return sum([byte >> i & 1 for byte in bitmap for i in range(8)])

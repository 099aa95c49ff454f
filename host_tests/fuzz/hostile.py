"""What attacks a node: frames from a seed, the same on every runtime, and a watch over what a node remembers.

Numbers stay below 2^30, since ticks_add and small ints of a 32-bit board end there.
"""

from array import array
from time import ticks_add, ticks_diff

from faction.core import Faction
from faction.frame import (
    BOOTSTRAPPED_FLAG,
    DEMONSTRATION_KEY,
    FOLLOW_UP_FLAG,
    INSTANT_FLAG,
    TIMED_OUT_FLAG,
)
from faction.node import Node

MAX = (1 << 30) - 1
NAME = "hostile"
SIZES = (1, 2, 3, 5, 8, 9, 20, 33)  # members of a swarm: bitmaps with and without padding, and several bytes long
# How far an instant may be from the node's own: around what differs, and what is taken for earlier.
EDGES_US = (0, 0, 0, -200, -201, 500, 501, -500, -501)
OFFSET_US = 500_000_000  # a frame with more counts as one without
_TAG = 8


class Random:
    """The xorshift of faction.trickle: 2^30 - 1 numbers from a seed of 1 ... 2^30 - 1."""

    def __init__(self, seed):
        self._x = seed

    def draw(self):
        """The next number, 1 ... 2^30 - 1."""
        x = self._x
        x ^= (x & (MAX >> 7)) << 7
        x ^= x >> 9
        x ^= (x & (MAX >> 10)) << 10
        self._x = x
        return x

    def below(self, limit):
        """A number from 0 ... limit - 1."""
        return self.draw() % limit

    def fill(self, buffer, start, stop):
        """Random bytes into a part of buffer."""
        for i in range(start, stop):
            buffer[i] = self.draw() >> 11 & 255


class Attacker:
    """A node to attack, `node`, in a swarm of random size and settings, on a clock that soon wraps; and who speaks to
    it: members with the key, a jammer, and one who records."""

    def __init__(self, random):
        self.random = random
        members = SIZES[random.below(len(SIZES))]
        self.ids = [3 + 7 * i for i in range(members)]
        required = 1 + random.below(members)
        self.me = random.below(members)
        self.node = Node(
            NAME,
            self.ids,
            self.ids[self.me],
            required,
            DEMONSTRATION_KEY,
            1 + random.below(5),
            deadline_ms=(500, 60_000)[random.below(2)],
            retry=random.below(4) > 0,
            linger_ms=(0, 3000)[random.below(2)],
            period_ms=(0, 0, 500, 3_600_000)[random.below(4)],
        )
        machine = Faction(self.ids[0], self.ids, required)
        self.codec = type(self.node.frame)(self.node.frame.digest, machine, DEMONSTRATION_KEY)
        self.buffer = bytearray(250)
        self.length = 0
        self.transit_us = 0  # how long the frame in buffer has been on its way
        self.recorded = bytearray(250)
        self.recorded_length = 0
        self._sessions = [1 + random.below(3) for _ in self.ids]
        self._sequences = [0 for _ in self.ids]
        self._stamps = [0 for _ in self.ids]  # when each member's last frame began to be sent
        self._bitmaps = bytearray(2 * self.codec.width)
        self._calm = 1 << 2 * random.below(4)  # of so many frames one says other bits than the node: else all conclude
        self.now = MAX - random.below(4000)
        self.now_us = MAX - random.below(4_000_000)
        self.node.start(self.now, self.now_us)

    def poll(self):
        """Let the node say what it has to, into buffer, and mostly tell it when that left; returns its length."""
        length = self.node.poll(self.now, self.now_us, self.buffer)
        if length and self.random.below(4):
            self.node.left(ticks_add(self.now_us, self.random.below(3000)))
        return length

    def wait(self):
        """Let a random time pass: mostly some milliseconds, now and then minutes."""
        ms = self.random.below(40)
        kind = self.random.below(256)
        if kind < 32:
            ms = self.random.below(3000)
        elif kind == 255:
            ms = self.random.below(500_000)
        self.now = ticks_add(self.now, ms)
        self.now_us = ticks_add(self.now_us, ms * 1000 + self.random.below(1000))

    def hear(self):
        """Let the node hear the frame in buffer."""
        self.node.receive(self.buffer, self.length, self.now, self.now_us, self._sent_us())

    def record(self, buffer, length):
        """Keep a frame for replay()."""
        self.recorded[:length] = buffer[:length]
        self.recorded_length = length

    def replay(self):
        """Put the recorded frame into buffer, as it was."""
        self.buffer[:] = self.recorded
        self.length = self.recorded_length

    def forge(self):
        """Put an authentic frame into buffer: of a member with the key, who may say what no honest one would."""
        codec = self.codec
        random = self.random
        sender = random.below(len(self.ids))
        if sender == self.me and random.below(32):  # a second board with the node's own id silences it for good
            sender = (sender + 1) % len(self.ids)
        codec.sender = sender
        self.transit_us = random.below(3000)
        self._number(sender)
        self._flags()
        self._say_bits()
        self._echo()
        if hasattr(codec, "mark"):
            self._mark()
        self.length = codec.encode(self.buffer, self._bitmaps)

    def _number(self, sender):
        random = self.random
        codec = self.codec
        if not random.below(16):
            self._sessions[sender] += 1
            self._sequences[sender] = 0
        kind = random.below(32)
        self._sequences[sender] += kind > 2
        codec.session = self._sessions[sender]
        codec.sequence = max(1, self._sequences[sender])
        codec.generation = self.node.knowledge.generation
        if kind == 3:
            codec.session = max(1, codec.session - 1)
        elif kind == 4:
            codec.session = random.draw() if not random.below(16) else codec.session
        elif kind == 5:
            codec.sequence = random.draw()
        elif kind == 6:
            codec.generation += 1
        elif kind == 7:
            codec.generation = max(0, codec.generation - 1)
        elif kind == 8 and not random.below(16):
            codec.generation = random.draw() if random.below(4) else MAX
        codec.generation = min(codec.generation, MAX)

    def _flags(self):
        random = self.random
        codec = self.codec
        codec.ready = random.below(2) > 0
        codec.flags = random.below(8) & (BOOTSTRAPPED_FLAG | TIMED_OUT_FLAG)
        codec.offset_us = 0
        if not random.below(4 * self._calm):
            codec.flags |= INSTANT_FLAG
            codec.offset_us = random.draw() - (1 << 29) if not random.below(4) else random.below(1_000_000) - 300_000
        elif self.node.first_sample.known:
            codec.flags |= INSTANT_FLAG
            codec.offset_us = self.node.first_sample.remaining_us(self.now_us) + self.transit_us
            if random.below(2):
                codec.flags |= FOLLOW_UP_FLAG
                codec.offset_us += ticks_diff(self._sent_us(), self._stamps[codec.sender])
            codec.offset_us += EDGES_US[random.below(len(EDGES_US))]
            codec.offset_us = max(-OFFSET_US, min(OFFSET_US, codec.offset_us))
        self._stamps[codec.sender] = self._sent_us()

    def _sent_us(self):
        """When the frame in buffer began to be sent."""
        return ticks_add(self.now_us, -self.transit_us)

    def _say_bits(self):
        """What the node itself says, with some bits more and some fewer; now and then anything."""
        width = self.codec.width
        random = self.random
        kind = 0 if random.below(self._calm) else random.below(4)
        for i in range(width):
            heard = self.node.knowledge.bitmaps[i]
            ready = self.node.knowledge.bitmaps[width + i]
            if kind == 1:
                heard |= 1 << random.below(8)
                ready |= 1 << random.below(8)
            elif kind == 2:
                heard = random.below(256)
                ready &= random.below(256)
            elif kind == 3:
                ready = random.below(256)
            heard |= ready
            if i == width - 1:
                mask = (1 << (len(self.ids) - 1) % 8 + 1) - 1
                heard &= mask
                ready &= mask
            self._bitmaps[i] = heard
            self._bitmaps[width + i] = ready

    def _echo(self):
        random = self.random
        codec = self.codec
        codec.echo_count = 0
        for _ in range(random.below(9) if not random.below(4) else random.below(2)):
            live = random.below(2)
            if random.below(4):
                codec.put_echo(self.buffer, live, self.ids[self.me], self.node.session)
            else:
                member = random.below(len(self.ids))
                codec.put_echo(self.buffer, live, self.ids[member], self._sessions[member])

    def misshape(self):
        """Put a frame into buffer that has a right tag and something in it which nobody with the key would send."""
        if not self.random.below(16):
            self.report()
            return
        self.forge()
        message = self.length - _TAG
        at = (0, 1, 2, 6, 11, 15, 19, 23, 24 + self.random.below(message - 24))[self.random.below(9)]
        self.buffer[at] ^= 1 << self.random.below(8)
        if not self.random.below(4):
            message = max(26, message - self.random.below(8))
        self.codec._cmac.compute(self.buffer, message)
        for i in range(_TAG):
            self.buffer[message + i] = self.codec._cmac.tag[i]
        self.length = message + _TAG

    def report(self):
        """Put a report into buffer, of a member and with a right tag: this node's swarm has nobody who gathers. Some
        are as long as one, some have all that a frame about readiness has but for the kind."""
        random = self.random
        self.forge()
        self.buffer[0] = 0x23
        message = self.length - _TAG
        if random.below(2):
            self.buffer[1] = 0
            message = 16 + 16 * (1 + random.below(min(14, (self.codec.max_length - _TAG) // 16 - 1)))
            random.fill(self.buffer, 16, message)
        self.codec._cmac.compute(self.buffer, message)
        for i in range(_TAG):
            self.buffer[message + i] = self.codec._cmac.tag[i]
        self.length = message + _TAG

    def damage(self):
        """Put into buffer what noise, or somebody without the key, makes of an authentic frame."""
        random = self.random
        self.forge()
        kind = random.below(8)
        if kind == 0:
            self.length = random.below(self.length)
        elif kind == 1:
            longer = min(250, self.length + 1 + random.below(20))
            random.fill(self.buffer, self.length, longer)
            self.length = longer
        elif kind == 2:
            self.buffer[self.length - 1 - random.below(_TAG)] ^= 1 + random.below(255)
        elif kind == 3:
            start = random.below(self.length)
            other = self.buffer[start] ^ 1 + random.below(255)
            random.fill(self.buffer, start, min(self.length, start + 1 + random.below(16)))
            self.buffer[start] = other
        elif kind == 4:
            self.buffer[0] ^= 0x30  # of the version before
        else:
            self.buffer[random.below(self.length)] ^= 1 << random.below(8)

    def _mark(self):
        """Of a series: mostly the node's own mark, or one near it."""
        random = self.random
        self.codec.echo_count = min(self.codec.echo_count, 7)  # it takes the place of one
        self.codec.series = random.below(3)
        self.codec.mark = random.below(1 << 30)
        if random.below(8):
            self.codec.mark = min(max(self.node.first_sample.mark + random.below(5) - 2, 0), MAX)

    def babble(self):
        """Put random bytes into buffer, of any length, some with the beginning of a frame of this swarm; or a
        report, which is as meaningless here."""
        random = self.random
        kind = random.below(5)
        if kind == 4:
            self.report()
            return
        if kind == 0:
            self.forge()
            random.fill(self.buffer, random.below(24), 250)
        else:
            random.fill(self.buffer, 0, 250)
        if kind == 1:
            for i in range(250):
                self.buffer[i] = (0, 255)[self.buffer[i] & 1]
        self.length = random.below(251)


# What a node remembers, by the part that does.
_PARTS = {
    "machine": ("state", "pinging", "collecting", "pinging_count", "collecting_count", "completed"),
    "trickle": ("imin_ms", "interval_ms", "heard", "due", "repeat", "_end", "_spoken", "_random", "near"),
    "first_sample": ("known", "passed", "done", "_old", "_instant_us", "_left", "_left_us"),
    "knowledge": ("bitmaps", "generation", "ready", "doubts", "_doubted"),
    "sessions": ("heard", "live"),
    "echoes": ("owed", "urgent", "_first"),
}
# Of its swarm's clock, where it has one.
_SERIES = (
    "series", "mark", "beat", "sampled", "missed", "moves", "moved_us", "soon_us", "_last", "_beat_us", "_lead_us",
    "_taken_us", "_spoke_us", "_may_speak", "_witness", "_witness_us", "_told", "_alone", "_mean", "_heard", "_aim_us",
)  # fmt: skip
_NODE = (
    "session",
    "sequence",
    "conflict",
    "sample_due",
    "sampled_late",
    "deadline",
    "_timed_out",
    "_started",
    "_busy",
    "_linger_end",
    "_concluded",
    "_silent",
    "_asks",
)


class Watch:
    """What a node remembers, counters apart: `names` and, in `holders`, whose they are."""

    def __init__(self, node):
        self.names = list(_NODE)
        self.holders = [node] * len(_NODE)
        for part, names in _PARTS.items():
            self.names += names
            self.holders += [getattr(node, part)] * len(names)
        if hasattr(node.first_sample, "mark"):
            self.names += _SERIES
            self.holders += [node.first_sample] * len(_SERIES)
        self._values = []

    def save(self):
        """Remember it as it is now."""
        self._values = [_copy(name, self.value(i)) for i, name in enumerate(self.names)]

    def value(self, i):
        """The i-th thing that the node remembers."""
        return getattr(self.holders[i], self.names[i])

    def changed(self):
        """Position of the first thing that is not as it was saved, or -1. Takes no memory."""
        i = len(self.names)
        while i:
            i -= 1
            if getattr(self.holders[i], self.names[i]) != self._values[i]:
                return i
        return -1


def _copy(name, value):
    if isinstance(value, bytearray):
        return bytearray(value)
    if isinstance(value, array):
        return array({"members": "H", "_numbers": "i"}.get(name, "I"), value)
    return value

"""What a node knows of its swarm: who takes part and who is ready, in the present generation (PROTOCOL.md).

Within a generation bits are only added, so that order, repetition and path do not matter. What a member's reboot has
made wrong goes with a new generation, in which everybody says again what it knows of itself.
Some loops count down with while: a for keeps three more words, and a function of more than 11 takes heap for its frame.
"""

from micropython import const

# Of core.py: a state and commands.
_BOOTSTRAPPED = const(3)
_PARTICIPATION_OBSERVED = const(0)
_READY_OBSERVED = const(1)
_LOCAL_PARTICIPATION_COMPLETED = const(2)

_BITMAPS = const(24)  # where a frame's bitmaps begin
_LAST = const(0x3FFFFFFF)  # generation

# What differs by a frame.
_LACKS = const(1)  # it lacks something that this node has
_CLAIMS = const(2)  # it claims to have more


class Knowledge:
    """What a node knows, and its machine, which is told of it.

    machine: a core.Faction; frame: the codec, of which the decoded frame is compared and taken in.

    Attributes to read: machine, me (this node's position in the ids), ready (this node is), bitmaps (participation and
    readiness side by side, as in a frame), generation, doubts (somebody has rebooted).

    An interrupt leaves the bitmaps whole but for this node's own bits, and the generation, since a step that changes
    more than one thing changes last what would have it done again; add_own() and feed_again() mend the rest.
    """

    def __init__(self, machine, frame):
        self.machine = machine
        self._frame = frame
        self._width = frame.width
        self.me = machine.index(machine.peer_id)
        self.ready = False
        self.bitmaps = frame.known = bytearray(2 * frame.width)
        self.generation = 0
        self.doubts = False
        self._doubted = bytearray(frame.width)  # rebooted, and not heard to be ready since
        self._news = 0  # the first byte of the bitmaps in which the frame claims more

    # Of this node itself

    def add_own(self):
        """Know what this node is itself."""
        at = self.me >> 3
        self.bitmaps[at] |= 1 << (self.me & 7)
        if self.ready:
            self.bitmaps[self._width + at] |= 1 << (self.me & 7)

    def complete(self):
        """This node has become ready."""
        self.ready = True
        self.add_own()
        self.machine.process(_LOCAL_PARTICIPATION_COMPLETED)

    # Of the decoded frame in buffer

    def compare(self, buffer):
        """Whether the frame lacks something that this node has, 1, or claims to have more, 2; 3: both, 0: neither."""
        differs = self.generation - self._frame.generation
        self._news = 0
        if differs:
            return _LACKS if differs > 0 else _CLAIMS
        if self._frame.same:
            return 0
        mine = self.bitmaps
        for i in range(len(mine)):
            if buffer[_BITMAPS + i] != mine[i]:
                if mine[i] & ~buffer[_BITMAPS + i]:
                    differs |= _LACKS
                if differs < _CLAIMS and buffer[_BITMAPS + i] & ~mine[i]:
                    differs |= _CLAIMS
                    self._news = i
        return differs

    def contradicts(self, buffer):
        """Whether the frame still carries readiness of an earlier boot: this node's own, or that of a member which
        has not said itself since its reboot that it is ready. If so a new generation begins; of a member each reboot
        counts once."""
        found = not self.ready and buffer[_BITMAPS + self._width + (self.me >> 3)] >> (self.me & 7) & 1
        i = self._width if self.doubts else 0
        while i and not found:
            i -= 1
            found = self._stale(buffer, i)
        if found:
            self._new_generation()
            i = self._width
            while i:
                i -= 1
                self._doubted[i] &= ~self._stale(buffer, i)
        return found

    def _stale(self, buffer, i):
        """Byte i of the readiness that the frame has of doubted members other than its sender."""
        stale = buffer[_BITMAPS + self._width + i] & self._doubted[i]
        if i == self._frame.sender >> 3:
            stale &= ~(1 << (self._frame.sender & 7))
        return stale

    def merge(self, buffer):
        """Take every bit that is new to this node, as far as compare() has found any."""
        mine = self.bitmaps
        for i in range(self._news, len(mine)):
            bits = buffer[_BITMAPS + i] & ~mine[i]
            if bits:
                self._feed(i, bits)
                mine[i] |= bits

    # Of members, by their positions

    def doubt(self, i):
        """The member at that position has rebooted: doubt it until it says itself that it is ready, as the frame may.
        If it was ready and is not, a new generation begins."""
        bit = 1 << (i & 7)
        self.doubts = True
        if self._frame.ready:
            self._doubted[i >> 3] &= ~bit
        else:
            self._doubted[i >> 3] |= bit
            if self.bitmaps[self._width + (i >> 3)] & bit:
                self._new_generation()

    # Generations

    def _new_generation(self):
        self.start_over(min(self.generation + 1, _LAST))

    def start_over(self, generation):
        """Keep nothing but this node's own bits; a machine that has not concluded is given up for a fresh one."""
        self._frame.same = False
        for i in range(len(self.bitmaps)):
            self.bitmaps[i] = 0
        self.add_own()
        if self.machine.state < _BOOTSTRAPPED:
            self.feed_again()
        self.generation = generation

    def feed_again(self):
        """A fresh machine, fed with what the node knows: itself first, as at its start."""
        self.machine.reset()
        self.machine.process(_PARTICIPATION_OBSERVED, self.machine.peer_id)
        for i in range(len(self.bitmaps)):
            if self.bitmaps[i]:
                self._feed(i, self.bitmaps[i])
        if self.ready:
            self.machine.process(_LOCAL_PARTICIPATION_COMPLETED)

    def _feed(self, at, bits):
        """Tell the machine, while it listens, of the set bits of byte `at` of the bitmaps but this node's own."""
        command = _PARTICIPATION_OBSERVED
        if at >= self._width:
            command = _READY_OBSERVED
            at -= self._width
        at *= 8
        while bits:
            if bits & 1 and at != self.me and self.machine.state < _BOOTSTRAPPED:
                self.machine.process(command, self.machine.ids[at])
            bits >>= 1
            at += 1

"""The records that a node holds for reports.py: a ring of bytes, the oldest of which gives way, and whose of which beat
have been gathered.

A record as in a frame: its length (a byte), its member's id, the number of its series, its beat, the session of its
member, microseconds from the beat to the sample (little-endian, 2, 2, 4, 4 and 4 bytes), and the JSON of its value.
"""

from array import array

from micropython import const

ENTRY = const(17)  # bytes of a record besides its value
BEAT = const(6)  # bytes of a beat in a frame besides its bitmap: its series and its number
_IDENTITY = const(8)  # bytes that tell a record from others: member, series and beat
_SIZE = const(1024)
_MASK = const(1023)
_BEATS = const(4)  # of so many at most it is known whose records have been gathered
_ROOM = const(96)  # bytes of a frame that may take

# States of a record.
UNTOLD = const(0)
TOLD = const(1)  # by somebody, since this node last could speak
_DEAD = const(0x80)  # it is of no more use


def number(buffer, at):
    """Four bytes of a buffer as a number; of one that would not keep small the highest bits are left out."""
    return buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | (buffer[at + 3] & 0x3F) << 24


class Records:
    """Records, in the order in which they came.

    machine: knows the members; width: bytes of a bitmap of them; keeps: nothing gives way to what comes.
    """

    def __init__(self, machine, width, keeps):
        self._machine = machine
        self._width = width
        self.keeps = keeps
        self._ring = bytearray(_SIZE)
        self._first = self._used = 0
        self.beats = max(min(_ROOM // (BEAT + width), _BEATS), 1)
        self._serieses = array("H", bytes(2 * self.beats))
        self._numbers = array("i", [-1] * self.beats)
        self._gathered = bytearray(self.beats * width)
        self._next = 0  # the beat that gives way to another

    # The ring

    def clear(self):
        """Hold nothing."""
        self._used = 0

    def keep(self, text, at, state):
        """Hold the record at that offset of text; whether there was room."""
        ring = self._ring
        size = text[at]
        while self._used + size + 1 > _SIZE:
            if self.keeps:
                return False
            self._drop()
        start = self._first + self._used
        ring[start & _MASK] = size
        ring[(start + 1) & _MASK] = state
        for i in range(1, size):
            ring[(start + 1 + i) & _MASK] = text[at + i]
        self._used += size + 1
        return True

    def find(self, text, at):
        """Where the state is of the record that is at that offset of text, -1: it is not held."""
        ring = self._ring
        held = 0
        while held < self._used:
            start = self._first + held
            i = _IDENTITY
            while i and ring[(start + 1 + i) & _MASK] == text[at + i]:
                i -= 1
            if not i:
                return (start + 1) & _MASK
            held += ring[start & _MASK] + 1
        return -1

    def tell(self, state):
        """Somebody tells the record whose state is there."""
        self._ring[state] |= TOLD

    def untold(self):
        """Whether one is of use and untold; if none is, all are to be told again from now on."""
        ring = self._ring
        held = 0
        while held < self._used:
            if not ring[(self._first + held + 1) & _MASK]:
                return True
            held += ring[(self._first + held) & _MASK] + 1
        held = 0
        while held < self._used:
            ring[(self._first + held + 1) & _MASK] &= _DEAD
            held += ring[(self._first + held) & _MASK] + 1
        return False

    def put(self, text, at):
        """Tell those that are untold: put as many into text as there is room for from that offset on. Returns where
        they end, negative if there are more."""
        ring = self._ring
        held = 0
        while held < self._used:
            start = self._first + held
            size = ring[start & _MASK]
            if not ring[(start + 1) & _MASK]:
                if at + size > len(text):
                    return -at
                ring[(start + 1) & _MASK] = TOLD
                text[at] = size
                for i in range(1, size):
                    text[at + i] = ring[(start + 1 + i) & _MASK]
                at += size
            held += size + 1
        return at

    def bury(self, asked):
        """There is no more use for those that have been gathered or are too old for that, nor for answers to what was
        asked before."""
        ring = self._ring
        held = 0
        while held < self._used:
            start = self._first + held
            series = ring[(start + 4) & _MASK] | ring[(start + 5) & _MASK] << 8
            n = ring[(start + 6) & _MASK] | ring[(start + 7) & _MASK] << 8 | ring[(start + 8) & _MASK] << 16
            n |= (ring[(start + 9) & _MASK] & 0x3F) << 24
            member = ring[(start + 2) & _MASK] | ring[(start + 3) & _MASK] << 8
            slot = self.beat(series, n, False)
            if n < asked if not series else slot < -1 or self.is_gathered(slot, self._machine.index(member)):
                ring[(start + 1) & _MASK] = _DEAD
            held += ring[start & _MASK] + 1
        while self._used and ring[(self._first + 1) & _MASK] & _DEAD:
            self._drop()

    def take(self):
        """The oldest record, as bytes, which is held no more then; None: there is none. Takes memory."""
        if not self._used:
            return None
        record = bytearray(self._ring[self._first])
        for i in range(1, len(record)):
            record[i] = self._ring[(self._first + 1 + i) & _MASK]
        self._drop()
        return record

    def _drop(self):
        size = self._ring[self._first] + 1
        self._used -= size
        self._first = (self._first + size) & _MASK

    # Whose have been gathered

    def beat(self, series, n, make):
        """Where it is kept whose records of that beat have been gathered; make: if need be in another's place, but for
        a beat before all those of its series. -1: nowhere, -2: it is such a beat."""
        earlier = 0
        for i in range(self.beats):
            if self._serieses[i] == series:
                if self._numbers[i] == n:
                    return i
                earlier += n < self._numbers[i]
        if earlier == self.beats:
            return -2
        if not make:
            return -1
        slot = self._next
        self._next = (slot + 1) % self.beats
        self._numbers[slot] = n
        self._serieses[slot] = series
        for i in range(slot * self._width, (slot + 1) * self._width):
            self._gathered[i] = 0
        return slot

    def is_gathered(self, slot, member):
        """Whether the record of a beat, kept at slot, of the member at that position is known to have been gathered."""
        return slot >= 0 and self._gathered[slot * self._width + (member >> 3)] >> (member & 7) & 1

    def gather(self, slot, member):
        """Note that it has been."""
        self._gathered[slot * self._width + (member >> 3)] |= 1 << (member & 7)

    def merge(self, text, at):
        """Join what a frame says of a beat at that offset of its text. 1: it lacks what is known here, 2: it knows
        more, 3: both."""
        slot = self.beat(text[at] | text[at + 1] << 8, number(text, at + 2), True)
        differs = 0
        if slot >= 0:
            at += BEAT
            for i in range(slot * self._width, (slot + 1) * self._width):
                if self._gathered[i] & ~text[at]:
                    differs |= 1
                if text[at] & ~self._gathered[i]:
                    differs |= 2
                    self._gathered[i] |= text[at]
                at += 1
        return differs

    def put_beats(self, text, at):
        """Put all that is known into text, from that offset on; returns of how many beats."""
        count = 0
        for slot in range(self.beats):
            n = self._numbers[slot]
            if n >= 0:
                text[at] = self._serieses[slot] & 255
                text[at + 1] = self._serieses[slot] >> 8
                for i in range(4):
                    text[at + 2 + i] = n >> 8 * i & 255
                at += BEAT
                for i in range(slot * self._width, (slot + 1) * self._width):
                    text[at] = self._gathered[i]
                    at += 1
                count += 1
        return count

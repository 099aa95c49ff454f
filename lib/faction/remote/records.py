"""The records that a node holds for reports.py: a ring of bytes, the oldest of which gives way, and whose of which beat
have been gathered.

A record as in a frame: its length (a byte), its member's id, the number of its series, its beat, the session of its
member, microseconds from the beat to the sample (little-endian, 2, 2, 4, 4 and 4 bytes), and the JSON of its value. An
answer has series 0, the question's number, kind and asker (2 bytes each), place, and a piece.
"""

from array import array
from struct import pack_into

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
HERE = const(2)  # gathered: it is at its end
_DEAD = const(0x80)  # it is of no more use


def number(buffer, at):
    """Four bytes of a buffer as a number; of one that would not keep small the highest bits are left out."""
    return buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16 | (buffer[at + 3] & 0x3F) << 24


class Records:
    """Records, in the order in which they came.

    machine: knows the members; width: bytes of a bitmap of them; keeps: what has been gathered gives way to nothing.
    """

    def __init__(self, machine, width, keeps):
        self._machine = machine
        self._width = width
        self.keeps = keeps
        self._ring = bytearray(_SIZE)
        self._first = self._used = 0
        self._at = self._left = 0  # while they are gone through: where one begins, and bytes from there on
        self.beats = max(min(_ROOM // (BEAT + width), _BEATS), 1)
        self.series = 0
        self._numbers = array("i", [-1] * self.beats)
        self._gathered = bytearray(self.beats * width)

    # The ring

    def clear(self):
        """Hold nothing."""
        self._used = 0

    def keep(self, text, at, state):
        """Hold the record at that offset of text; whether there was room."""
        while self._used + text[at] + 1 > _SIZE:
            if self.keeps and self._ring[(self._first + 1) & _MASK] & HERE:
                return False
            self._drop()
        self._at = self._first + self._used
        self._ring[self._at & _MASK] = text[at]
        self._ring[(self._at + 1) & _MASK] = state
        i = text[at]
        while i > 1:
            i -= 1
            self._ring[(self._at + 1 + i) & _MASK] = text[at + i]
        self._used += text[at] + 1
        return True

    def find(self, text, at):
        """Where the state is of the record that is at that offset of text, -1: it is not held."""
        more = self._go(True)
        while more:
            i = _IDENTITY
            while i and self._ring[(self._at + 1 + i) & _MASK] == text[at + i]:
                i -= 1
            if not i and self._byte(1) < _DEAD:
                return (self._at + 1) & _MASK
            more = self._go(False)
        return -1

    def tell(self, state):
        """Somebody tells the record whose state is there."""
        self._ring[state] |= TOLD

    def untold(self):
        """Whether one is of use and untold; if none is, all are to be told again from now on."""
        more = self._go(True)
        while more:
            if not self._byte(1):
                return True
            more = self._go(False)
        more = self._go(True)
        while more:
            self._ring[(self._at + 1) & _MASK] &= _DEAD | HERE
            more = self._go(False)
        return False

    def put(self, text, at):
        """Tell those that are untold: put as many into text as there is room for from that offset on. Returns where
        they end, negative if there are more."""
        more = self._go(True)
        while more:
            if not self._byte(1):
                if at + self._byte(0) > len(text):
                    return -at
                self._ring[(self._at + 1) & _MASK] = TOLD
                text[at] = i = self._byte(0)
                at += i
                while i > 1:
                    i -= 1
                    text[at - self._byte(0) + i] = self._byte(1 + i)
            more = self._go(False)
        return at

    def bury(self, asked):
        """There is no more use for those that have been gathered or are too old for that, nor for answers to another
        question than that."""
        more = self._go(True)
        while more:
            if not self._byte(1) & HERE and self._is_useless(asked):
                self._ring[(self._at + 1) & _MASK] = _DEAD
            more = self._go(False)
        self._drop_dead()

    def _drop_dead(self):
        while self._used and self._ring[(self._first + 1) & _MASK] & _DEAD:
            self._drop()

    def _is_useless(self, asked):
        if not self._short(4):  # an answer
            return asked is not None and (self._number(6) != asked.number or self._short(12) != asked.asker)
        if self._short(4) != self.series:
            return True
        slot = self.beat(self._number(6), False)
        return slot < -1 or self.is_gathered(slot, self._machine.index(self._short(2)))

    def _short(self, i):
        return self._byte(i) | self._byte(i + 1) << 8

    def _number(self, i):
        return self._short(i) | self._byte(i + 2) << 16 | (self._byte(i + 3) & 0x3F) << 24

    def take(self):
        """The oldest record that has been gathered, as bytes; it is held no more then. None: there is none. Takes
        memory."""
        more = self._go(True)
        while more and not self._byte(1) & HERE:
            more = self._go(False)
        if not more:
            return None
        record = bytearray(self._byte(0))
        for i in range(1, len(record)):
            record[i] = self._byte(1 + i)
        self._ring[(self._at + 1) & _MASK] = _DEAD
        self._drop_dead()
        return record

    def _go(self, first):
        """Go to the first record, or on from one to the next; whether there is one."""
        if first:
            self._at = self._first
            self._left = self._used
        else:
            self._left -= self._ring[self._at] + 1
            self._at = (self._at + self._ring[self._at] + 1) & _MASK
        return self._left > 0

    def _byte(self, i):
        return self._ring[(self._at + i) & _MASK]

    def _drop(self):
        size = self._ring[self._first] + 1
        self._used -= size
        self._first = (self._first + size) & _MASK

    # Whose have been gathered

    def follow(self, series):
        """It is about that series: nothing is known of it if it is another, and what is held of others is of no use."""
        if series != self.series:
            self.series = series
            for i in range(self.beats):
                self._numbers[i] = -1
            self.bury(None)

    def beat(self, n, make):
        """Where it is kept whose records of that beat have been gathered; make: if need be, in the place of the
        earliest, but for a beat before all. -1: nowhere, -2: it is such a beat."""
        earliest = 0
        for i in range(self.beats):
            if self._numbers[i] == n:
                return i
            if self._numbers[i] < self._numbers[earliest]:
                earliest = i
        if n < self._numbers[earliest]:
            return -2
        return self._make(earliest, n) if make else -1

    def _make(self, slot, n):
        self._numbers[slot] = n
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
        more, 3: both, 0: neither, or it is of another series."""
        if text[at] | text[at + 1] << 8 != self.series:
            return 0
        slot = self.beat(number(text, at + 2), True)
        return self._merge(text, at + BEAT, slot * self._width) if slot >= 0 else 0

    def _merge(self, text, at, i):
        differs = 0
        end = i + self._width
        while i < end:
            if self._gathered[i] & ~text[at]:
                differs |= 1
            if text[at] & ~self._gathered[i]:
                differs |= 2
                self._gathered[i] |= text[at]
            i += 1
            at += 1
        return differs

    def put_beats(self, text, at):
        """Put all that is known into text, from that offset on; returns of how many beats."""
        count = slot = 0
        while slot < self.beats:
            if self._numbers[slot] >= 0:
                self._put_beat(text, at, slot)
                at += BEAT + self._width
                count += 1
            slot += 1
        return count

    def _put_beat(self, text, at, slot):
        pack_into("<H", text, at, self.series)
        pack_into("<i", text, at + 2, self._numbers[slot])
        at += BEAT
        slot *= self._width
        for i in range(self._width):
            text[at + i] = self._gathered[slot + i]

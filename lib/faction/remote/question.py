"""What a gatherer asks one member after the other: the latest question spreads, and its answer comes back like a record
(reports.py).

In a frame it is a number, the ids of whom it is for and of who asks, a kind and a place (little-endian, 4, 2, 2, 2 and
4 bytes). Kinds and places are the application's.
"""

from struct import pack_into, unpack_from
from time import ticks_diff

from micropython import const

from faction.remote.records import number

LENGTH = const(14)
_PATIENCE_MS = const(150)  # so long an answer may take before somebody repeats what was asked
_LAST = const((1 << 30) - 1)  # number, which nobody but an insider comes to
_POLITE_MS = const(1000)  # so long a gatherer gives way to another's question


class Question:
    """The latest question that a node knows of: that with the highest number, of equal ones that of the asker with the
    higher id.

    me: the node's id. Attributes to read: number and asker (of the latest question, 0: there was none), wanted (this
    node is to answer it), waits (this node has asked, and has no answer yet).
    """

    def __init__(self, me):
        self._me = me
        self.number = 0
        self.wanted = self.waits = False
        self._bytes = bytearray(LENGTH)
        self.asker = 0
        self._own = bytearray(LENGTH)  # what this node asks, or has asked last
        self._passes = False  # others are to be told of it
        self._since_ms = 0  # it was heard then
        self._patience_ms = 0
        self._yielded_ms = 0  # this node's own gave way then

    def ask(self, member_id, kind, place):
        """Ask that member."""
        pack_into("<HHHI", self._own, 4, member_id, self._me, kind, place)
        self.waits = True
        self._say()

    def _say(self):
        """Have this node's own be the latest."""
        if self.number < _LAST:
            self.number += 1
        self.asker = self._me
        pack_into("14s", self._bytes, 0, self._own)
        pack_into("<I", self._bytes, 0, self.number)
        self.wanted = self._passes = False

    def cease(self):
        """Ask nobody any more: there is no use for the last answer."""
        self.ask(self._me, 0, 0)
        self.waits = False

    def get(self):
        """Kind and place of the question that this node is to answer, once. Takes memory."""
        self.wanted = False
        return unpack_from("<HI", self._bytes, 8)

    def take(self, text, at, sender, now):
        """Take the question at that offset of a frame's text; sender: its id. 2: it is later than the one that was
        known, 1: its asker does not know the latest, 3: the latest is now this node's own, 0: none of these."""
        asked = number(text, at)
        asker = text[at + 6] | text[at + 7] << 8
        if asked < self.number or asked == self.number and asker <= self.asker:
            return 1 if sender == asker and (asked < self.number or asker < self.asker) else 0
        self.number = asked
        if self.waits:
            if asker == self._me:  # it was asked in an earlier life
                self._say()
                return 0
            if self.asker == self._me:
                self._yielded_ms = now
        self.asker = asker
        self._since_ms = now
        self._patience_ms = _PATIENCE_MS if sender == asker else 0
        self._note(text, at)
        self.wanted = text[at + 4] | text[at + 5] << 8 == self._me
        self._passes = not self.wanted
        if asker != self._me:
            return 2
        self.cease()  # as above
        return 3

    def _note(self, text, at):
        for i in range(LENGTH):
            self._bytes[i] = text[at + i]

    def answered(self):
        """An answer to the latest one has been heard: nobody has to be told of it any more."""
        self._passes = False

    def is_open(self, now):
        """Whether this node's own question is to be told. One that gave way to another's is asked again in a while."""
        if not self.waits:
            return False
        if self.asker != self._me:
            if ticks_diff(now, self._yielded_ms) < _POLITE_MS:
                return False
            self._say()
        return True

    def passes(self, now):
        """Whether another's is to be told."""
        return self._passes and ticks_diff(now, self._since_ms) >= self._patience_ms

    def put(self, text, at):
        """Put the latest question into a frame's text at that offset; whether there is one."""
        self._passes = False
        if not self.number:
            return False
        pack_into("14s", text, at, self._bytes)
        return True

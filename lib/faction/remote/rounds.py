"""Who is there: in each round of the swarm's clock every member makes itself heard, or is missed (PROTOCOL.md).

Loaded only where rounds are configured.
"""

from struct import pack_into
from time import ticks_diff

from micropython import const

from faction.series import SeriesFrame

_REPORT = b"\x23"  # kind of a frame, of envelope.py
_INSTANT = const(2)  # flag of a frame
_MISFIT = const(3)  # verdict of decode()

_EXACT = const(127)  # rounds of silence that are counted one by one,
_COARSE = const(64)  # then in as many
_MOST = const(254)
_LOOK = const(12)  # so great a part of a round it takes until all who are there have been heard mostly,
_LOOK_US = const(2_500_000)  # and no longer than that
NEVER = const(255)  # not heard since this node's start


class RoundFrame(SeriesFrame):
    """The frame of a swarm with rounds. Its third bitmap tells who has been heard in this round (present, of width
    bytes)."""

    def __init__(self, swarm_digest, machine, key):
        SeriesFrame.__init__(self, swarm_digest, machine, key, True)
        self.present = bytearray(self.width)
        self._copy_present = "%ds" % self.width
        self.reports = None  # reports.py, which reads frames of the third kind, where there are some
        self.is_report = False  # the decoded frame is one

    def decode(self, buffer, length):
        """As Frame.decode()."""
        self.is_report = self.reports is not None and not buffer.find(_REPORT, 0, 1)
        if self.is_report:
            return self.reports.open(buffer, length)
        return SeriesFrame.decode(self, buffer, length)

    def _decode_fields(self, buffer):
        if buffer[self.echoes - 1] & self._padding:
            return _MISFIT
        return SeriesFrame._decode_fields(self, buffer)

    def encode(self, buffer, bitmaps):
        """As Frame.encode()."""
        pack_into(self._copy_present, buffer, self.third, self.present)
        return SeriesFrame.encode(self, buffer, bitmaps)


class Rounds:
    """Who has been heard in the present round, and who is lost.

    A round is as many marks of the swarm's clock as it takes to be round_ms long or longer. Within it the set of those
    who have been heard only grows: each frame carries its sender's, to which the sender belongs, and receivers join it
    to theirs. A member that is missing in a whole round and still at a twelfth of the next is lost, until it is in the
    set again. A byte a member is kept.

    frame: the codec; clock: the series.SwarmClock; trickle: keeps a node from being silenced by who knows less;
    machine: knows the members.

    Attributes to read: number (of the round, -1: not begun); present and lost (bitmaps); silent (a byte a member, see
    silence_s()); changes (how often somebody was lost or back).
    """

    def __init__(self, frame, clock, trickle, machine, round_ms):
        self._frame = frame
        self._clock = clock
        self._trickle = trickle
        self._me = machine.index(machine.peer_id)
        self._members = len(machine.ids)
        self.marks = (round_ms * 1000 + clock.mark_us - 1) // clock.mark_us
        self.number = -1
        self.present = frame.present
        self.lost = bytearray(frame.width)
        self.silent = bytearray(self._members)
        for i in range(self._members):
            self.silent[i] = NEVER
        self.silent[self._me] = 0
        self.changes = 0
        self._whole = False  # this node was there when the round began
        self._began_us = 0
        self._look_us = min(self.marks * clock.mark_us // _LOOK, _LOOK_US)
        self._looked = True  # for those who are lost

    def take(self, buffer, now_us):
        """Join the set of the decoded frame in buffer, which counts, to this node's. Whether they differed."""
        self.advance(now_us)
        mark = self._frame.mark
        if not self._frame.flags & _INSTANT or not mark or (mark - 1) // self.marks != self.number:
            return False
        at = self._frame.third
        if buffer.find(self.present, at, self._frame.echoes) == at:
            return False
        self._join(buffer, at)
        return True

    def _join(self, buffer, at):
        for i in range(self._frame.width):
            news = buffer[at + i] & ~self.present[i]
            if news:
                self.present[i] |= news
                if news & self.lost[i]:
                    self.lost[i] &= ~news
                    self.changes += 1

    def advance(self, now_us):
        """Note the passing of time; call it before each frame, and often."""
        clock = self._clock
        if clock.mark:  # the series has begun
            number = (clock.mark - 1) // self.marks
            if number != self.number:
                self._begin(number, now_us)
            if not self._looked and ticks_diff(now_us, self._began_us) > self._look_us:
                self._look()

    def _begin(self, number, now_us):
        """Begin that round; whoever was missing in the whole one before has been silent for one more."""
        follows = number == self.number + 1 and self.number >= 0
        whole = self._whole and follows
        self._whole = False  # an interrupt may end this
        i = self._members  # a for would take this function's frame from the heap
        while i:
            i -= 1
            if self.is_present(i):
                self.silent[i] = 0
            elif whole and self.silent[i] < _MOST and (self.silent[i] < _EXACT or not number % _COARSE):
                self.silent[i] += 1
        i = len(self.present)
        while i:
            i -= 1
            self.present[i] = 0
        self.present[self._me >> 3] = 1 << (self._me & 7)
        self._trickle.heard = 0  # what was said of the last round must not silence this node
        self._began_us = now_us
        self._looked = not whole
        self.number = number
        self._whole = follows

    def _look(self):
        """Find out who is lost now."""
        for i in range(self._members):
            bit = 1 << (i & 7)
            if self.silent[i] and not (self.present[i >> 3] | self.lost[i >> 3]) & bit:
                self.lost[i >> 3] |= bit
                self.changes += 1
        self._looked = True

    def is_present(self, i):
        """Whether the member at that position has been heard in this round."""
        return self.present[i >> 3] >> (i & 7) & 1

    def is_lost(self, i):
        """Whether the member at that position is lost."""
        return self.lost[i >> 3] >> (i & 7) & 1

    def silence_s(self, i, now_us):
        """For how many seconds at least the member at that position has not been heard; None: not since this node's
        start. Takes memory."""
        if self.is_present(i):
            return 0
        rounds = self.silent[i]
        if rounds == NEVER:
            return None
        if rounds > _EXACT:
            rounds = _EXACT + (rounds - _EXACT) * _COARSE
        length_us = self.marks * self._clock.mark_us
        return max(self._clock.time_us(now_us) - (self.number - rounds) * length_us, 0) // 1_000_000

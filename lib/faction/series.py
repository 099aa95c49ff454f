"""The swarm's clock: samples in series, at every beat after the first (PROTOCOL.md).

A swarm that has a period shares more than one instant. Marks follow the first sample's instant, T0, at equal distances
short enough for ticks_us to tell the next one apart, and a frame tells the number of the next mark and when it is. A
beat, at which a sample is taken, is each mark, or each second, fourth, ... where the period is longer. Loaded only
where a period is configured.
"""

from time import ticks_add, ticks_diff

from micropython import const

from faction.first_sample import FirstSample
from faction.frame import Frame

_LAST = const(0x3FFFFFFF)  # mark: the series ends there

# Flags of a frame, verdicts of decode(), and what differs by a frame.
_INSTANT = const(2)
_FOLLOW_UP = const(8)
_MALFORMED = const(1)
_IMPOSSIBLE = const(5)
_LACKS = const(1)
_CLAIMS = const(2)
_MOVED = const(4)
_NAMES = const(8)

_ECHO = const(6)
_MARK_MAX_US = const(256_000_000)
_FAR_US = const(0x1FFFFFFF)  # T0s are so far apart or more
_NEAR_US = const(1 << 28)  # marks within that are compared by their instants: the sums stay small ints
_PAST_US = const(-100_000_000)  # a mark further back than that was told minutes ago: it tells nothing
_LIMIT_US = const(500_000_000)
_EARLIER_US = const(200)  # as in first_sample.py
_MOVED_US = const(800)
_TOLERANCE_US = const(10_000)  # by as much a frame may be heard late, and on a link whose Imin is above
_IMIN_MS = const(20)  # this by
_SLOWER = const(1_500)  # more for each millisecond: an access point keeps frames for a tenth of a second
_TOLD_US = const(5_000)  # a move by more than that is told of
_SOON_US = const(2_000_000)  # as in first_sample.py
_AHEAD_US = const(1_500_000)  # so long before a beat the swarm speaks up,
_PAUSE_US = const(30_000_000)  # but no more often than that
_DRIFT = const(4_000)  # two clocks drift apart by at most one in so many,
_DRIFT_MAX_US = const(20_000_000)  # and for more than of that time nobody is given credit
_PERSISTENT = const(64)  # frames of one member that say what drift cannot explain, and nobody else does,
_PAIR = const(4)  # or where there is nobody else
_MEAN_OF = const(16)  # frames, in which the others' clocks are heard in the mean
_ALONE = const(16)  # frames that are all later than this node's clock: it is the one that is wrong


class SeriesFrame(Frame):
    """The frame of a swarm with a period. One that tells an instant has, behind its echoes and counted as one of them,
    the number of the mark (mark) and a number that tells this series from others of the swarm (series)."""

    def __init__(self, swarm_digest, machine, key, rounds=False):
        Frame.__init__(self, swarm_digest, machine, key, rounds)
        self.mark = self.series = 0

    def _decode_fields(self, buffer):
        if self.flags & _INSTANT:
            if not self.echo_count:
                return _MALFORMED
            self.echo_count -= 1
            at = self.echoes + self.echo_count * _ECHO
            if buffer[at + 5] > 0x3F:
                return _IMPOSSIBLE
            self.series = self.echo_id(buffer, self.echo_count)
            self.mark = self.echo_session(buffer, self.echo_count)
        return Frame._decode_fields(self, buffer)

    def encode(self, buffer, bitmaps):
        """As Frame.encode()."""
        if self.flags & _INSTANT:
            self.put_echo(buffer, 0, self.series, self.mark)
        return Frame.encode(self, buffer, bitmaps)


class SwarmClock(FirstSample):
    """Agreement on a series of instants: that of the swarm's earliest T0, by its fastest clock.

    As FirstSample it is about one instant at a time: the next beat's, then that of the beat whose sample is due
    (passed), until it is done. frame: the codec; trickle: knows how many are in range; period_ms: between two beats,
    100 ... 2,592,000,000; number: tells a series that this node begins from others, 1 ... 65535.

    Attributes to read: series; mark (number of the next one) and mark_us (between two); beat (number of the last one
    that was due); sampled and missed (beats, of this session); moved_us (how much earlier T0 has become when it was
    last moved by more than 5 ms: negative when this node gave way) and moves (how often).
    """

    def __init__(self, lead_ms, frame, trickle, period_ms, number):
        FirstSample.__init__(self, lead_ms)
        self._frame = frame
        self._trickle = trickle
        self._number = number
        self.shift = 0
        while period_ms > (_MARK_MAX_US // 1000) << self.shift:
            self.shift += 1
        self.mark_us = period_ms * 1000 >> self.shift
        self._half_us = min(period_ms * 500, _LIMIT_US // 2)
        self._reach = _NEAR_US // self.mark_us
        self._tolerance_us = _TOLERANCE_US + _SLOWER * max(trickle.imin_ms - _IMIN_MS, 0)
        self.series = self.mark = self.sampled = self.missed = self.moved_us = self.moves = self._lead_us = 0
        self.beat = self._last = -1
        self._beat_us = self._spoke_us = self._taken_us = 0  # the last: since when there is credit
        self._may_speak = True
        self._witness = -1  # whose word wants another's,
        self._witness_us = self._told = self._alone = 0  # how much earlier that is, and how often it was said
        self._mean = 0  # _MEAN_OF times how much later the others' clocks are heard than this node's, in the mean,
        self._heard = self._aim_us = 0  # of so many frames

    # The beats

    def advance(self, now_us):
        """Note the passing of time; call it at least every 500 s. Whether the swarm is to speak up now."""
        if self.done:  # with the sample of the beat that is due, or of the next one
            self._last = self.beat = self.due()
            self.passed = self._old = self.done = False
            self.sampled += 1
        self._catch_up(now_us)
        if ticks_diff(now_us, self._taken_us) > _DRIFT_MAX_US:
            self._taken_us = ticks_add(now_us, -_DRIFT_MAX_US)
        if not self._may_speak:
            self._may_speak = ticks_diff(now_us, self._spoke_us) > _PAUSE_US
        if self.passed or not self._may_speak or not self.mark or self.remaining_us(now_us) > _AHEAD_US:
            return False
        self._may_speak = False
        self.soon_us = _SOON_US
        self._spoke_us = now_us
        return True

    def _catch_up(self, now_us):
        """Pass the marks that lie behind."""
        while ticks_diff(self._instant_us, now_us) + self._aim_us <= 0 and self.mark < _LAST:
            if not self.mark & (1 << self.shift) - 1 and self.mark >> self.shift > self._last:
                self._pass_beat(now_us)
            self.mark += 1
            self._instant_us = ticks_add(self._instant_us, self.mark_us)
        if self.passed and not self._old:
            ago_us = ticks_diff(now_us, self._beat_us)
            self._old = ago_us < 0 or ago_us >= _LIMIT_US

    def _pass_beat(self, now_us):
        """The next mark is a beat, and lies behind."""
        self.soon_us = 0
        if self.sampled:
            if self.passed:
                self.missed += 1
            if ticks_diff(now_us, self._instant_us) > self._half_us:
                self.missed += 1
                self.passed = False
                self._last = self.mark >> self.shift
                return
        self.passed = True
        self._old = False
        self._beat_us = ticks_add(self._instant_us, self._aim_us)
        self.beat = self.mark >> self.shift

    def remaining_us(self, now_us):
        """Microseconds from now to the beat whose sample is due, 0 or below and never below -500 s; else to the next
        one, 500 s at most."""
        if self.passed:
            return -_LIMIT_US if self._old else ticks_diff(self._beat_us, now_us)
        ahead = self._next() - self.mark
        if ahead > self._reach:
            return _LIMIT_US
        return min(ticks_diff(self._instant_us, now_us) + self._aim_us + ahead * self.mark_us, _LIMIT_US)

    def _next(self):
        """Number of the mark that is the next beat."""
        mark = max(self.mark, self._last + 1 << self.shift)
        return mark + (-mark & (1 << self.shift) - 1)

    def time_us(self, now_us):
        """Microseconds since T0, by the instants at which this node samples."""
        return self.mark * self.mark_us - ticks_diff(self._instant_us, now_us) - self._aim_us

    def wait_us(self, now_us):
        """Microseconds until advance() has something to do."""
        remaining_us = self.remaining_us(now_us)
        if self._may_speak and self.mark and not self.passed:
            remaining_us -= _AHEAD_US
        return remaining_us

    def due(self):
        """Number of the beat whose sample is due, or will be next."""
        return self.beat if self.passed else self._next() >> self.shift

    # The agreement

    def put(self, frame, now_us):
        """Let this node's next frame, which has its flags and its sequence, tell the next mark."""
        FirstSample.put(self, frame, now_us)
        frame.series = self.series
        frame.mark = self.mark
        frame.offset_us = ticks_diff(self._instant_us, self._left_us if frame.flags & _FOLLOW_UP else now_us)

    def compare(self, frame, since_us, now_us):
        """As FirstSample.compare(); of two marks the T0s are compared that they come from, before T0 and after."""
        self.theirs_us = None
        if since_us is not None:
            theirs_us = ticks_diff(since_us, now_us) + frame.offset_us
            if theirs_us > _PAST_US and (theirs_us < _LIMIT_US if not frame.mark else theirs_us <= _MARK_MAX_US):
                self.theirs_us = theirs_us
        if not self.known:
            return _NAMES
        if self.theirs_us is None:
            return 0
        ahead = frame.mark - self.mark
        if -self._reach <= ahead <= self._reach:
            self._lead_us = ticks_diff(self._instant_us, now_us) - self.theirs_us + ahead * self.mark_us
        else:
            self._lead_us = _FAR_US if ahead > 0 else -_FAR_US
        if self._lead_us < -self._tolerance_us:
            return _LACKS
        return _NAMES if self._lead_us > self._tolerance_us else 0

    def offer(self, theirs_us, now_us, own=False):
        """Follow the frame that has just been compared, if that is called for. Returns as FirstSample.offer()."""
        if theirs_us is None:
            return 0
        # One that knows of no T0 but its own proposal joins as one that knows of none.
        if own or not self.known or not self.mark and self._frame.mark and self._lead_us > _EARLIER_US:
            self.series = self._number if own else self._frame.series
            self._begin(0 if own else self._frame.mark, theirs_us, now_us)
            return _CLAIMS | _MOVED
        near = -self._tolerance_us <= self._lead_us <= self._tolerance_us
        if near:
            self.series = min(self.series, self._frame.series)  # of two that began at once
            if self._heard < _MEAN_OF:
                self._heard += 1
            self._mean -= (self._lead_us * _MEAN_OF + self._mean) // self._heard
            self._aim()
        step_us = self._step_us(self._lead_us, now_us) if self.mark else max(self._lead_us, 0)
        if 0 <= step_us <= _EARLIER_US:
            return 0
        if near:
            self._mean += step_us * _MEAN_OF
            self._aim()
        else:
            self.series = self._frame.series
        if self.mark and not -_TOLD_US <= step_us <= _TOLD_US:
            self.moved_us = step_us
            self.moves += 1
        self._set(self._frame.mark, theirs_us + self._lead_us - step_us, now_us)
        return _CLAIMS | _MOVED if step_us > _MOVED_US else _CLAIMS

    def _step_us(self, lead_us, now_us):
        """By how much to let T0 become earlier, once it has been, for a frame whose T0 is lead_us earlier; 0: not."""
        sender = self._frame.sender
        if lead_us < -self._tolerance_us:
            # Later than this node's. If that is all that is heard, it is this node that is wrong.
            self._alone += 1
            return lead_us if self._alone >= _ALONE else 0
        if lead_us <= _EARLIER_US or lead_us <= ticks_diff(now_us, self._taken_us) // _DRIFT:
            self._alone = 0
            if sender == self._witness:
                self._witness = -1
            if lead_us > _EARLIER_US:
                self._taken_us = ticks_add(self._taken_us, lead_us * _DRIFT)
            return max(lead_us, 0)
        # Drift does not explain that: it takes two to say so, or one that does not cease to; of two the later is taken.
        step_us = min(lead_us, self._witness_us)
        same = self._witness >= 0 and lead_us - self._witness_us <= self._tolerance_us >= self._witness_us - lead_us
        self._told = self._told + 1 if same else 1
        believed = same and sender != self._witness or self._told >= (_PERSISTENT if self._trickle.near > 1 else _PAIR)
        self._witness = sender
        self._witness_us = lead_us
        if not believed:
            return 0
        self._taken_us = now_us
        return step_us if same else lead_us

    def _aim(self):
        """Aim between all clocks, this node's among them, as they are heard in the mean."""
        self._aim_us = self._mean // _MEAN_OF * self._trickle.near // (self._trickle.near + 1)

    def _begin(self, mark, theirs_us, now_us):
        self.known = True
        self._taken_us = ticks_add(now_us, -_DRIFT_MAX_US)
        self._set(mark, theirs_us, now_us)
        if mark and not self.passed:  # a node that joins has missed a beat, of which it takes a late sample
            self.beat = self.mark - 1 >> self.shift
            self.passed = True
            ago = self.mark - (self.beat << self.shift)
            self._old = ago > self._reach
            if not self._old:
                self._beat_us = ticks_add(self._instant_us, -ago * self.mark_us)
                self._catch_up(now_us)

    def _set(self, mark, theirs_us, now_us):
        ahead = mark - self.mark
        if self.mark and 0 < ahead <= self._reach:  # what lies between is passed mark by mark: no beat goes unnoticed
            mark = self.mark
            theirs_us -= ahead * self.mark_us
        self.mark = mark
        self._instant_us = ticks_add(now_us, theirs_us)
        self._alone = 0
        self._witness = -1
        self._catch_up(now_us)

"""The agreed instant of the first sample: the only time that nodes share, kept in microseconds of the own clock.

A radio may keep a frame for milliseconds before it leaves, and only then tell when that was. So most frames that tell
the instant count from the one before, as the follow-up message of IEEE 1588 (PTP) does.
"""

from time import ticks_add, ticks_diff

from micropython import const

# Flags of a frame.
_INSTANT = const(2)
_FOLLOW_UP = const(8)

_LIMIT_US = const(500_000_000)  # ticks_us can tell instants apart that are less than 2^29 us = 536 s from now
_FAR_US = const(0x1FFFFFFF)  # what ticks_add can add: a frame before that was heard minutes ago reckons beyond
_EARLIER_US = const(200)  # take an instant that is more than this earlier: measuring noise must not make it creep
_MOVED_US = const(800)  # an instant that has become so much earlier is passed on at once
# Of two instants that are further apart than this, one node has not heard the better. A frame that counts from itself
# may have waited in a radio.
_TOLERANCE_US = const(10_000)
_EXACT_US = const(1_500)  # of a frame that counts from a transmission of which it is known when it left
_SOON_US = const(2_000_000)  # so near each frame that is heard makes the instant more exact
_FOLLOW_UP_US = const(4_000_000)  # a transmission is not counted from for longer: more than the longest usual pause
_ITSELF = const(4)  # every such frame's offset counts from itself, for those who have not heard the one before
_LACKS = const(1)  # what differs by a frame, as in knowledge.py
_CLAIMS = const(2)
_MOVED = const(4)
_NAMES = const(8)  # it claims a better instant, which is news only if it is taken


class FirstSample:
    """Agreement on one instant: the earliest that anybody has named, until it has passed.

    known: an instant is agreed; passed: it lies behind, and is fixed; done, set by the node: its sample has been taken;
    soon_us: when less than that is left the swarm speaks up; theirs_us: microseconds from now to the instant
    of the frame that has been compared, None when this node cannot tell. lead_ms: how far ahead of a conclusion the
    instant is proposed, at most 495,000: what a frame tells may count from 4 s earlier.
    """

    def __init__(self, lead_ms):
        self.lead_ms = lead_ms
        self.known = False
        self.passed = self.done = False
        self.soon_us = _SOON_US
        self._old = False
        self._instant_us = 0
        self._left = 0  # sequence of this node's last frame that has left
        self._left_us = None  # when its transmission began, None: not known
        self.theirs_us = None

    def advance(self, now_us):
        """Note the passing of time; call it at least every 500 s."""
        if self.known and not self._old:
            remaining_us = ticks_diff(self._instant_us, now_us)
            # What has passed and is ahead again has seen ticks_us wrap between two calls.
            if remaining_us <= -_LIMIT_US or self.passed and remaining_us > 0:
                self._old = True
            if remaining_us <= 0:
                self.passed = True

    def remaining_us(self, now_us):
        """Microseconds from now to the instant: negative once it is past, and never below -_LIMIT_US."""
        if self._old:
            return -_LIMIT_US
        return ticks_diff(self._instant_us, now_us)

    wait_us = remaining_us  # until advance() has something to do

    def left(self, sequence, left_us):
        """This node's frame of that sequence has begun to leave at left_us; of several calls the earliest counts, and
        None, where one is not known, before all.
        """
        if (
            self._left != sequence
            or self._left_us is not None
            and (left_us is None or ticks_diff(left_us, self._left_us) < 0)
        ):
            self._left_us = left_us
            self._left = sequence

    def put(self, frame, now_us):
        """Let this node's next frame, which has its flags and its sequence, tell the instant."""
        frame.flags |= _INSTANT
        known = self._left_us is not None and self._left + 1 == frame.sequence and frame.sequence % _ITSELF
        # After half a turn of ticks_us the age is wrong; by then the instant is past, and held.
        if known and 0 <= ticks_diff(now_us, self._left_us) < _FOLLOW_UP_US:
            frame.flags |= _FOLLOW_UP
            now_us = self._left_us
        frame.offset_us = self.remaining_us(now_us)

    def compare(self, frame, since_us, now_us):
        """Find out when the instant is that a decoded frame tells, whose offset counts from since_us (None: this node
        has not heard that transmission). Returns whether it and this node's are so far apart that one of the two nodes
        has not heard the better one: 1 the frame lacks it, 8 claims to have it, 0 neither. What lies behind is not
        compared, since drift would keep the swarm talking for ever.
        """
        self.theirs_us = None if since_us is None else ticks_diff(since_us, now_us) + frame.offset_us
        if not self.known:
            return _NAMES
        if since_us is None:
            return 0
        tolerance_us = _EXACT_US if frame.flags & _FOLLOW_UP else _TOLERANCE_US
        mine_us = self.remaining_us(now_us)
        if self.theirs_us > 0 and self.theirs_us - mine_us > tolerance_us:
            return _LACKS
        return _NAMES if mine_us > 0 and mine_us - self.theirs_us > tolerance_us else 0

    def offer(self, theirs_us, now_us, own=False):
        """Take the instant theirs_us from now if it is the better one, None: no; own: it is not the frame's. Returns
        what differs: 0 if it was not taken, 2 if it was, and 6 if that has made the instant so much earlier that others
        are to know it at once."""
        if theirs_us is None or not -_FAR_US < theirs_us < _FAR_US:
            return 0
        earlier_us = self.remaining_us(now_us) - theirs_us if self.known else _EARLIER_US + 1
        if self.passed or earlier_us <= _EARLIER_US:
            return 0
        self._instant_us = ticks_add(now_us, theirs_us)
        self.known = True
        self.advance(now_us)
        return _CLAIMS | _MOVED if earlier_us > _MOVED_US else _CLAIMS

"""The agreed instant of the first sample: the only time that nodes share, kept in microseconds of the own clock.

A radio may keep a frame for milliseconds before it leaves, and only then tell when that was. So most frames that tell
the instant count from the one before, as the follow-up message of IEEE 1588 (PTP) does.
"""

from time import ticks_add, ticks_diff

from micropython import const

from faction.frame import FOLLOW_UP_FLAG, INSTANT_FLAG

LIMIT_US = const(500_000_000)  # ticks_us can tell instants apart that are less than 2^29 us = 536 s from now
_EARLIER_US = const(200)  # take an instant that is more than this earlier: measuring noise must not make it creep
# Of two instants that are further apart than this, one node has not heard the better. A frame that counts from itself
# may have waited in a radio.
_TOLERANCE_US = const(10_000)
_EXACT_US = const(1_500)  # of a frame that counts from a transmission of which it is known when it left
_FOLLOW_UP_US = const(4_000_000)  # a transmission is not counted from for longer: more than the longest usual pause
_ITSELF = const(4)  # every such frame's offset counts from itself, for those who have not heard the one before
_LACKS = const(1)  # what differs by a frame, as in knowledge.py
_CLAIMS = const(2)


class FirstSample:
    """Agreement on one instant: the earliest that anybody has named, until it has passed.

    known: an instant is agreed; passed: it lies behind, and is fixed; theirs_us: microseconds from now to the instant
    of the frame that has been compared, None when this node cannot tell. lead_ms: how far ahead of a conclusion the
    instant is proposed, at most 500,000.
    """

    def __init__(self, lead_ms):
        self.lead_ms = lead_ms
        self.known = False
        self.passed = False
        self._old = False
        self._instant_us = 0
        self._left = 0  # sequence of this node's last frame that has left
        self._left_us = None  # when its transmission began, None: not known
        self.theirs_us = None

    def propose(self, now_us):
        """Agree with oneself on now + lead_ms."""
        self._take(self.lead_ms * 1000, now_us)

    def advance(self, now_us):
        """Note the passing of time; call it at least every 500 s."""
        if self.known and not self._old:
            remaining_us = ticks_diff(self._instant_us, now_us)
            # What has passed and is ahead again has seen ticks_us wrap between two calls.
            if remaining_us <= -LIMIT_US or self.passed and remaining_us > 0:
                self._old = True
            if remaining_us <= 0:
                self.passed = True

    def remaining_us(self, now_us):
        """Microseconds from now to the instant: negative once it is past, and never below -LIMIT_US."""
        if self._old:
            return -LIMIT_US
        return ticks_diff(self._instant_us, now_us)

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
        frame.flags |= INSTANT_FLAG
        known = self._left_us is not None and self._left + 1 == frame.sequence and frame.sequence % _ITSELF
        # After half a turn of ticks_us the age is wrong; by then the instant is past, and held.
        if known and 0 <= ticks_diff(now_us, self._left_us) < _FOLLOW_UP_US:
            frame.flags |= FOLLOW_UP_FLAG
            now_us = self._left_us
        frame.offset_us = self.remaining_us(now_us)

    def compare(self, frame, since_us, now_us):
        """Find out when the instant is that a decoded frame tells, whose offset counts from since_us (None: this node
        has not heard that transmission). Returns whether it and this node's are so far apart that one of the two nodes
        has not heard the better one: 1 the frame lacks it, 2 claims to have it, 0 neither. What lies behind is not
        compared, since drift would keep the swarm talking for ever.
        """
        self.theirs_us = None if since_us is None else ticks_diff(since_us, now_us) + frame.offset_us
        if not self.known:
            return _CLAIMS
        if since_us is None:
            return 0
        tolerance_us = _EXACT_US if frame.flags & FOLLOW_UP_FLAG else _TOLERANCE_US
        mine_us = self.remaining_us(now_us)
        if self.theirs_us > 0 and self.theirs_us - mine_us > tolerance_us:
            return _LACKS
        return _CLAIMS if mine_us > 0 and mine_us - self.theirs_us > tolerance_us else 0

    def offer(self, theirs_us, now_us):
        """Take the instant theirs_us from now if it is the better one, None: no. Returns 0 if it was not taken, else by
        how many microseconds it is earlier, 1 where none was known."""
        if theirs_us is None:
            return 0
        moved_us = 1
        if self.known:
            moved_us = self.remaining_us(now_us) - theirs_us
            if self.passed or moved_us <= _EARLIER_US:
                return 0
        self._take(theirs_us, now_us)
        return moved_us

    def ahead(self):
        """Whether an instant is agreed and lies ahead."""
        return self.known and not self.passed

    def _take(self, remaining_us, now_us):
        self._instant_us = ticks_add(now_us, remaining_us)
        self.known = True
        self.advance(now_us)

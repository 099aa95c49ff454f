"""The agreed instant of the first sample: the only time that nodes share, kept in microseconds of the own clock."""

from time import ticks_add, ticks_diff

from micropython import const

LIMIT_US = const(500_000_000)  # ticks_us can tell instants apart that are less than 2^29 us = 536 s from now
_EARLIER_US = const(200)  # take an instant that is more than this earlier: measuring noise must not make it creep
# Of two instants that are further apart than this, one node has not heard the better. A frame that counts from itself
# may have waited in a radio.
_TOLERANCE_US = const(10_000)
_EXACT_US = const(1_500)  # of a frame that counts from a transmission of which it is known when it left


class FirstSample:
    """Agreement on one instant: the earliest that anybody has named, until it has passed.

    known: an instant is agreed; passed: it lies behind, and is fixed. lead_ms: how far ahead of a conclusion the
    instant is proposed, at most 500,000.
    """

    def __init__(self, lead_ms):
        self.lead_ms = lead_ms
        self.known = False
        self.passed = False
        self._old = False
        self._instant_us = 0

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

    def differs(self, theirs_us, now_us, exact):
        """Whether an instant theirs_us from now and this node's are so far apart that one of the two nodes has not
        heard the better one: 1 its sender, -1 this node, 0 neither. What lies behind is not compared, since drift
        would keep the swarm talking for ever. exact: theirs_us is.
        """
        tolerance_us = _EXACT_US if exact else _TOLERANCE_US
        mine_us = self.remaining_us(now_us)
        if theirs_us > 0 and theirs_us - mine_us > tolerance_us:
            return 1
        return -1 if mine_us > 0 and mine_us - theirs_us > tolerance_us else 0

    def offer(self, theirs_us, now_us):
        """Take the instant theirs_us from now if it is the better one; return whether it was taken."""
        if self.known and (self.passed or self.remaining_us(now_us) - theirs_us <= _EARLIER_US):
            return False
        self._take(theirs_us, now_us)
        return True

    def _take(self, remaining_us, now_us):
        self._instant_us = ticks_add(now_us, remaining_us)
        self.known = True
        self.advance(now_us)

"""The Trickle timer (RFC 6206): when to speak, so that news travels fast and a settled swarm is nearly silent.

After news there is no half of an interval in which a node only listens: what has just reached a neighbourhood has
synchronised it (Djamaa and Richardson, "Optimizing the Trickle Algorithm", IEEE Communications Letters 19, 2015).
"""

from time import ticks_add, ticks_diff

from micropython import const

_MASK = const(0x3FFFFFFF)
_SHARE = const(5)  # Imin is for so many nodes in range; with more it grows as their number does


class Trickle:
    """One Trickle timer; all times are ticks_ms values.

    imin_ms and imax_ms: the shortest and the longest interval; redundancy: how many consistent frames heard in an
    interval make this node keep silent (k of the RFC); seed: any int from 1 ... 2^30 - 1, another on each node.
    heard: consistent frames in this interval; near: nodes heard at all; repeat, set to True, has the present interval
    followed by one as long. due is the tick at which poll() has something to do next.
    """

    def __init__(self, imin_ms, imax_ms, redundancy, seed):
        self._least_ms = self.imin_ms = imin_ms
        self.imax_ms = imax_ms
        self.redundancy = redundancy
        self.interval_ms = imin_ms
        self.heard = 0
        self.due = 0
        self._end = 0  # of this interval; due is the same once this node has had its moment to speak
        self._spoken = 0
        self.repeat = False
        self._random = seed
        self.near = 0  # they share the channel

    def start(self, now, haste=0):
        """Begin with the shortest interval, and speak at a random moment of it, or of its first 2^-haste."""
        self.interval_ms = self.imin_ms
        self._begin(now, 0, self.imin_ms >> haste)

    def reset(self, now, news=True):
        """Something is to be said: begin anew, unless this node has yet to speak in a shortest interval. If that is
        news, what it has heard in that counts no more; if not, it does not speak within half of Imin after it has."""
        if self.due == self._end or self.interval_ms > self.imin_ms:
            self.start(now)
            soonest = ticks_add(self._spoken, self.imin_ms // 2)
            if not news and 0 < ticks_diff(soonest, self.due) < self.imin_ms:
                self.due = soonest
        elif news:
            self.heard = 0

    def meet(self, most):
        """Count one more node in range, of at most so many: an interval has to hold a frame of each of them."""
        if self.near < most:
            self.near += 1
            self.imin_ms = max(self.imin_ms, min(self._least_ms * self.near // _SHARE, self.imax_ms))

    def poll(self, now):
        """Whether this is the moment to speak in this interval; the caller finds out whether it should."""
        if ticks_diff(now, self.due) < 0:
            return False
        if self.due != self._end:
            self.due = self._end
            self._spoken = now
            return True
        if self.repeat:
            self.repeat = False
        else:
            self.interval_ms = min(self.interval_ms * 2, self.imax_ms)
        # An interval follows the one before without a gap, unless the caller has come too late for that.
        half = self.interval_ms // 2
        self._begin(self._end if ticks_diff(now, self._end) < half else now, half, self.interval_ms - half)
        return False

    def _begin(self, start, after_ms, within_ms):
        self.heard = 0
        # The next of 2^30 - 1 pseudo-random numbers (xorshift; every step stays within a 31-bit small int).
        x = self._random
        x ^= (x & (_MASK >> 7)) << 7
        x ^= x >> 9
        x ^= (x & (_MASK >> 10)) << 10
        self._random = x
        self.due = ticks_add(start, after_ms + x % (within_ms or 1))
        self._end = ticks_add(start, self.interval_ms)

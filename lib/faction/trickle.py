"""The Trickle timer (RFC 6206): when to speak, so that news travels fast and a settled swarm is nearly silent."""

from time import ticks_add, ticks_diff

from micropython import const

_MASK = const(0x3FFFFFFF)
_DENSITY = const(6)  # Imin in ms is at least the square of the nodes in range over 2 to the power of this


class Trickle:
    """One Trickle timer; all times are ticks_ms values.

    imin_ms and imax_ms: the shortest and the longest interval; redundancy: how many consistent frames heard in an
    interval make this node keep silent (k of the RFC); seed: any int from 1 ... 2^30 - 1, another on each node.
    repeat, set to True, has the present interval followed by one as long.
    due is the tick at which poll() has something to do next.
    """

    def __init__(self, imin_ms, imax_ms, redundancy, seed):
        self.imin_ms = imin_ms
        self.imax_ms = imax_ms
        self.redundancy = redundancy
        self.interval_ms = imin_ms
        self.heard = 0
        self.due = 0
        self._end = 0
        self._waiting = True
        self.repeat = False
        self._random = seed
        self._near = 0  # nodes heard at all: they share the channel

    def start(self, now):
        """Begin with the shortest interval."""
        self.interval_ms = self.imin_ms
        self._begin(now)

    def reset(self, now):
        """There is news: go back to the shortest interval; in the shortest interval this does nothing."""
        if self.interval_ms > self.imin_ms:
            self.start(now)

    def consistent(self):
        """Count a frame that told nothing new and lacked nothing."""
        if self.heard < self.redundancy:
            self.heard += 1

    def meet(self, most):
        """Count one more node in range, of at most so many. An interval has to hold a frame of each of them, and
        collisions grow with their pairs, so that from 33 on Imin does, up to Imax."""
        if self._near < most:
            self._near += 1
            self.imin_ms = max(self.imin_ms, min(self._near * self._near >> _DENSITY, self.imax_ms))

    def poll(self, now):
        """Whether this is the moment to speak in this interval; the caller asks suppressed() whether it should."""
        if ticks_diff(now, self.due) < 0:
            return False
        if self._waiting:
            self._waiting = False
            self.due = self._end
            return True
        if self.repeat:
            self.repeat = False
        else:
            self.interval_ms = min(self.interval_ms * 2, self.imax_ms)
        # An interval follows the one before without a gap, unless the caller has come too late for that.
        self._begin(self._end if ticks_diff(now, self._end) < self.interval_ms // 2 else now)
        return False

    def suppressed(self):
        """Whether enough others have said the same in this interval."""
        return self.heard >= self.redundancy

    def _begin(self, start):
        half = self.interval_ms // 2
        self.heard = 0
        self._waiting = True
        self.due = ticks_add(start, half + self._draw() % (self.interval_ms - half))
        self._end = ticks_add(start, self.interval_ms)

    def _draw(self):
        """Next of 2^30 - 1 pseudo-random numbers (xorshift; every step stays within a 31-bit small int)."""
        x = self._random
        x ^= (x & (_MASK >> 7)) << 7
        x ^= x >> 9
        x ^= (x & (_MASK >> 10)) << 10
        self._random = x
        return x

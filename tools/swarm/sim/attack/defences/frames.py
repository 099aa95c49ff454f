"""Nodes that lack a check of the frame that they decode."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod

from swarm.device.library import COUNTERS, Node

_ACCEPTED = 0
_MALFORMED, _FOREIGN = map(COUNTERS.index, ("malformed", "foreign"))
_IMPOSSIBLE, _FORGED = map(COUNTERS.index, ("impossible", "forged"))
_LIMIT = 1 << 30
_BITMAPS, _TAG = 24, 8


class _Lenient(Node, ABC):
    """A node whose decoder does something more: again(buffer, length, verdict) returns the verdict to go by."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        decode = self.frame.decode
        self.frame.decode = lambda buffer, length: self.again(decode, buffer, length)

    @abstractmethod
    def again(self, decode, buffer, length):
        """Decode, and leave a check out."""

    def _seal_is_right(self, buffer, length):
        cmac = self.frame._cmac
        cmac.compute(buffer, length - _TAG)
        return not cmac.differs(buffer, length - _TAG)


class NoTag(_Lenient):
    """Takes a frame whatever its tag."""

    def again(self, decode, buffer, length):
        """A wrong tag is right."""
        verdict = decode(buffer, length)
        return _ACCEPTED if verdict == _FORGED else verdict


class NoDigest(_Lenient):
    """Takes the frames of every swarm that has its key."""

    def again(self, decode, buffer, length):
        """Any digest is the own."""
        verdict = decode(buffer, length)
        if verdict == _FOREIGN:
            own = self.frame.digest
            self.frame.digest = bytes(buffer[2:6])
            verdict = decode(buffer, length)
            self.frame.digest = own
        return verdict


class NoLengthCheck(_Lenient):
    """Reads a frame's fields however short it is."""

    def again(self, decode, buffer, length):
        """Look where the fields should be."""
        verdict = decode(buffer, length)
        if verdict == _MALFORMED and length < 34:
            self.frame._decode_fields(buffer)
        return verdict


class NoMemberCheck(Node):
    """Takes a stranger for its first member."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.frame._machine = _Anybody(self.machine)


class _Anybody:
    """Finds every id among the members."""

    def __init__(self, machine):
        self.ids = machine.ids
        self._index = machine.index

    def index(self, peer_id):
        """Its position, or the first."""
        return max(0, self._index(peer_id))


class NoPaddingCheck(Node):
    """Takes bits that stand for nobody."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.frame._padding = 0


class NoNumberCheck(_Lenient):
    """Takes numbers beyond 2^30, and 0."""

    def again(self, decode, buffer, length):
        """Numbers out of their range are in it."""
        verdict = decode(buffer, length)
        session, sequence, generation = struct.unpack_from("<III", buffer, 8) if length >= 34 else (1, 1, 0)
        wrong = max(session, sequence, generation) >= _LIMIT or not session or not sequence
        if verdict == _IMPOSSIBLE and wrong and self._seal_is_right(buffer, length):
            self.frame.session, self.frame.sequence, self.frame.generation = session, sequence, generation
            return _ACCEPTED
        return verdict


class NoSubsetCheck(_Lenient):
    """Takes readiness of those who do not take part."""

    def again(self, decode, buffer, length):
        """Readiness without participation is allowed."""
        verdict = decode(buffer, length)
        width = self.frame.width
        outside = any(buffer[_BITMAPS + width + i] & ~buffer[_BITMAPS + i] for i in range(width)) if length >= 34 else 0
        if verdict == _IMPOSSIBLE and outside and self._seal_is_right(buffer, length):
            self.frame.session, self.frame.sequence, self.frame.generation = struct.unpack_from("<III", buffer, 8)
            return _ACCEPTED
        return verdict


class NoOffsetRange(_Lenient):
    """Takes any offset for an instant, also one that the clock cannot add."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        first = self.first_sample
        offer = first.offer

        def any_offer(theirs_us, now_us):
            if theirs_us is not None and not -_LIMIT // 2 < theirs_us < _LIMIT // 2:
                raise OverflowError("ticks interval overflow")  # as ticks_add does
            return offer(theirs_us, now_us)

        first.offer = any_offer

    def again(self, decode, buffer, length):
        """The offset as it stands there."""
        verdict = decode(buffer, length)
        if verdict == _ACCEPTED and buffer[1] & 2:
            self.frame.flags |= 2
            (self.frame.offset_us,) = struct.unpack_from("<i", buffer, 20)
        return verdict

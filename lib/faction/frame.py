"""Frames on the air: encoded and decoded in place, sealed with a truncated AES-128-CMAC (RFC 4493).

The layout is PROTOCOL.md's: little-endian, 24 bytes of header, the participation and the readiness bitmap, up to
eight echoes of six bytes, a tag of eight.
"""

from array import array
from struct import pack_into

from micropython import const

from faction.cmac import Cmac

_MAX_LENGTH = const(250)  # an ESP-NOW version 1 frame
MAX_MEMBERS = const(680)
MAX_MEMBERS_IN_ROUNDS = const(448)  # where a frame has a third bitmap
MAX_ECHOES = const(8)
DEMONSTRATION_KEY = bytes(16)  # published: a swarm that uses it is open

# Flags
BOOTSTRAPPED_FLAG = const(1)
INSTANT_FLAG = const(2)
TIMED_OUT_FLAG = const(4)
FOLLOW_UP_FLAG = const(8)

# Verdicts of decode(), in the order in which the checks are made but for the last, before which old() is asked; also
# indices of the node's counters (names.COUNTERS).
ACCEPTED = const(0)
_MALFORMED = const(1)  # version, kind, flags, or a length that does not agree with the echo count
_FOREIGN = const(2)  # another swarm, or a node provisioned differently
_MISFIT = const(3)  # bitmap length, padding bits
_NON_MEMBER = const(4)  # the sender is not a member
_IMPOSSIBLE = const(5)  # a number outside its range, or readiness without participation
_FORGED = const(6)  # the tag is wrong: another key, or damage on the way
_OUTDATED = const(15)  # of an older version of the protocol

_PING = const(0x21)
_READY = const(0x22)
_SHORTEST = const(34)  # a swarm of up to eight members, no echo
_BITMAPS = const(24)
_ECHO = const(6)
_LIVE = const(0x40)  # in an echo's highest byte: its sender knows that session to be live
_TAG = const(8)


def max_length(members, rounds=0):
    """Length of the longest frame of a swarm of that many members, in bytes; rounds: whether it has some."""
    return _BITMAPS + (3 if rounds else 2) * ((members + 7) // 8) + MAX_ECHOES * _ECHO + _TAG


class Frame:
    """The fields of one frame of a swarm, and the codec between them and bytes.

    swarm_digest: of description.digest(); machine: any core.Faction of the swarm, which finds members; key: 16 bytes;
    rounds: whether a frame holds a third bitmap.

    A node sets two things, which spare it work: known, both bitmaps as it has them, which a frame that passes the other
    checks may repeat (same tells); old, which judges the fields of a frame before its tag is computed, since what has
    been heard before needs no proof to be dropped.

    Fields, set by decode() and read by encode(): ready (READY, not PING), flags, echo_count, sender (position of the
    sender in the ascending ids), session, sequence, generation, offset_us (microseconds from the start of this
    transmission, or with FOLLOW_UP_FLAG of the sender's previous one, to the first sample; meaningful with
    INSTANT_FLAG). The bitmaps, of width bytes each, and the echoes stay in the buffer: a third bitmap at third ..., the
    echoes at echoes ...
    """

    def __init__(self, swarm_digest, machine, key, rounds=False):
        self.digest = swarm_digest
        self.foreign_digest = bytearray(4)  # the last other swarm heard
        self._machine = machine
        members = len(machine.ids)
        self.width = (members + 7) // 8
        self.third = _BITMAPS + 2 * self.width
        self.echoes = self.third + (self.width if rounds else 0)
        self.max_length = max_length(members, rounds)
        if self.max_length > _MAX_LENGTH:
            most = MAX_MEMBERS_IN_ROUNDS if rounds else MAX_MEMBERS
            raise ValueError("%d members: a frame holds at most %d" % (members, most))
        self._padding = 0xFF << ((members - 1) % 8 + 1) & 0xFF
        self._copy = "%ds" % (2 * self.width)
        self._header = array("I", bytes(_BITMAPS))  # its numbers, without a call for each
        self._cmac = Cmac(key, self.max_length - _TAG)
        self.known = bytes(2 * self.width)
        self.same = False
        self.old = None
        self.ready = False
        self.flags = self.echo_count = self.sender = self.session = self.sequence = self.generation = 0
        self.offset_us = self.echo_is_live = 0

    def decode(self, buffer, length):
        """Check the frame in the first length bytes of buffer (bytes or bytearray) and read its fields.

        Returns ACCEPTED, or the check that it failed, or what old() has returned: then nothing of it may be used.
        """
        if not _SHORTEST <= length <= _MAX_LENGTH or length > len(buffer):
            return _MALFORMED
        flags = buffer[1]
        self.ready = buffer[0] == _READY
        self.flags = flags & 15
        self.echo_count = flags >> 4
        if not self.ready and buffer[0] != _PING or flags >> 4 > MAX_ECHOES:
            return _OUTDATED if buffer[0] >> 4 == 1 else _MALFORMED
        if flags & (FOLLOW_UP_FLAG | INSTANT_FLAG) == FOLLOW_UP_FLAG:
            return _MALFORMED
        length -= _TAG
        bitmaps = length - (flags >> 4) * _ECHO
        if bitmaps < _BITMAPS + 2:
            return _MALFORMED
        if buffer.find(self.digest, 2, 6) < 0:
            bitmaps = 4  # of no use any more: another name, or a for, would take this function's frame from the heap
            while bitmaps:
                bitmaps -= 1
                self.foreign_digest[bitmaps] = buffer[2 + bitmaps]
            return _FOREIGN
        if bitmaps != self.echoes or buffer[_BITMAPS + self.width - 1] & self._padding:
            return _MISFIT
        verdict = self._decode_fields(buffer)
        if not verdict and self.old:
            verdict = self.old()
        if not verdict:
            self._cmac.compute(buffer, length)
            if self._cmac.differs(buffer, length):
                verdict = _FORGED
        return verdict

    def _decode_fields(self, buffer):
        self.sender = self._machine.index(buffer[6] | buffer[7] << 8)
        if self.sender < 0:
            return _NON_MEMBER
        # A number of 2^30 or more would take memory on a 32-bit board: look at its highest byte first.
        if (buffer[11] | buffer[15] | buffer[19]) > 0x3F:
            return _IMPOSSIBLE
        header = self._header
        pack_into("24s", header, 0, buffer)
        self.session = header[2]
        self.sequence = header[3]
        self.generation = header[4]
        # Sessions and sequences begin at 1, so that 0 can stand for none.
        if not header[2] or not header[3]:
            return _IMPOSSIBLE
        if self.echo_count:
            for at in range(self.echoes + 5, self.echoes + self.echo_count * _ECHO, _ECHO):
                if buffer[at] > 0x7F:
                    return _IMPOSSIBLE
        at = _BITMAPS + self.width
        self.same = buffer.find(self.known, _BITMAPS, self.third) > 0
        if not self.same:
            for i in range(_BITMAPS, at):
                if buffer[at] & ~buffer[i]:
                    return _IMPOSSIBLE
                at += 1
        if self.flags & INSTANT_FLAG:
            self._decode_offset(buffer)
        return ACCEPTED

    def _decode_offset(self, buffer):
        """Read the offset if it is within +-500 s; else the frame counts as one without. Looks at bytes first."""
        high = buffer[23] if buffer[23] < 128 else buffer[23] - 256
        if -30 <= high < 30:
            self.offset_us = high << 24 | buffer[22] << 16 | buffer[21] << 8 | buffer[20]
            if -500_000_000 <= self.offset_us <= 500_000_000:
                return
        self.flags &= ~INSTANT_FLAG

    def echo_id(self, buffer, i):
        """Member id of the i-th echo of a decoded frame."""
        at = self.echoes + i * _ECHO
        return buffer[at] | buffer[at + 1] << 8

    def echo_session(self, buffer, i):
        """Session of the i-th echo of a decoded frame; echo_is_live is then whether its sender knows it to be live."""
        at = self.echoes + i * _ECHO + 2
        self.echo_is_live = buffer[at + 3] & _LIVE
        return (buffer[at + 3] & ~_LIVE) << 24 | buffer[at + 2] << 16 | buffer[at + 1] << 8 | buffer[at]

    def has_echo(self, buffer, member_id, session):
        """Whether a decoded frame echoes that session of that member."""
        i = self.echo_count
        while i:
            i -= 1
            if (
                buffer[self.echoes + i * _ECHO] == member_id & 255  # most need no call
                and self.echo_id(buffer, i) == member_id
                and self.echo_session(buffer, i) == session
            ):
                return True
        return False

    def put_echo(self, buffer, live, member_id, session):
        """Add an echo to a frame that is about to be encoded; live: this node knows the session to be live."""
        pack_into("<HI", buffer, self.echoes + self.echo_count * _ECHO, member_id, session)
        self.echo_count += 1
        if live:
            buffer[self.echoes + self.echo_count * _ECHO - 1] |= _LIVE

    def encode(self, buffer, bitmaps):
        """Build the frame in buffer, of at least max_length bytes, from the fields, both bitmaps in one buffer, and
        the echo_count echoes that put_echo has added. Returns its length in bytes.
        """
        buffer[0] = _READY if self.ready else _PING
        buffer[1] = self.flags | self.echo_count << 4
        pack_into("<4sH", buffer, 2, self.digest, self._machine.ids[self.sender])
        pack_into("<II", buffer, 8, self.session, self.sequence)
        pack_into("<Ii", buffer, 16, self.generation, self.offset_us)
        pack_into(self._copy, buffer, _BITMAPS, bitmaps)
        at = self.echoes + self.echo_count * _ECHO
        self._cmac.compute(buffer, at)
        pack_into("8s", buffer, at, self._cmac.tag)
        return at + _TAG

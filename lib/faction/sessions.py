"""Whose frames count: the members' sessions that are known to be live, and the echoes that prove them (protocol.md).

A session number is never used twice, so only a frame made after this node booted can echo this node's own. One proof
lasts for the session, and for later ones.
"""

from array import array

from micropython import const

from faction.frame import FOLLOW_UP_FLAG, MAX_ECHOES

# Verdicts of old() and prove(), and indices of the node's counters (names.COUNTERS).
_PROVED = const(0)
_REPLAYED = const(7)  # sequence not above the last: a duplicate or a recording
_STALE = const(8)  # session below the stored one: a recording, or a board whose storage was lost
_UNPROVED = const(9)  # nothing proves yet that the sender's session is live
_RESTARTED = const(13)  # proved, and the member has rebooted

# What is kept of a member.
_KEPT = const(3)  # numbers: its session comes first
_SEQUENCE = const(1)
_STAMP = const(2)

_QUEUE = const(16)  # echoes that wait to be sent


class Sessions:
    """What has been heard of the members, and what of it counts.

    session: this node's own; frame: the codec that has decoded the frame; knowledge: doubts who has rebooted; trickle:
    meets who is heard for the first time.

    Attributes to read: heard (three numbers a member: the highest session known to be live, 0 for none; the sequence of
    its last frame, of any session while none is known; when that frame began to be sent, by this node's ticks_us),
    since_us (when the transmission began from which the offset of the last frame counts; None: not heard).
    """

    def __init__(self, session, frame, knowledge, trickle):
        self._session = session
        self._frame = frame
        frame.old = self.old
        self._knowledge = knowledge
        self._trickle = trickle
        self.heard = array("I", bytes(4 * _KEPT * len(knowledge.machine.ids)))
        self.since_us = None

    def old(self):
        """Whether the fields that are decoded are of a frame to be dropped, whoever made it: "replayed" or "stale"."""
        frame = self._frame
        stored = self.heard[_KEPT * frame.sender]
        if stored == frame.session:
            return _REPLAYED if frame.sequence <= self.heard[_KEPT * frame.sender + _SEQUENCE] else 0
        return _STALE if stored > frame.session else 0

    def prove(self, buffer, sent_us):
        """Judge the decoded frame in buffer, whose transmission began at sent_us, and keep what it says of its session.
        Returns 0 when that is known to be live, or what to count: "restarts" when it is all the same, "unproved" when
        nothing proves it: then nothing in it counts.
        """
        frame = self._frame
        at = _KEPT * frame.sender
        stored = self.heard[at]
        self.since_us = sent_us
        if frame.flags & FOLLOW_UP_FLAG:
            self.since_us = None
            # While no session is stored, that of the last frame may have been this one.
            if (not stored or stored == frame.session) and frame.sequence == self.heard[at + _SEQUENCE] + 1:
                self.since_us = self.heard[at + _STAMP]
        self.heard[at + _STAMP] = sent_us
        if not stored:
            if not self.heard[at + _SEQUENCE]:
                self._trickle.meet(len(self._knowledge.machine.ids))
            if not frame.has_echo(buffer, self._knowledge.machine.peer_id, self._session):
                self.heard[at + _SEQUENCE] = frame.sequence
                return _UNPROVED
            if frame.flags & FOLLOW_UP_FLAG:
                self.since_us = None  # it is not proved that the frame before was of this session
        if 0 < stored < frame.session or frame.ready and self._knowledge.doubts:
            self._knowledge.doubt(frame.sender)
        self.heard[at] = frame.session
        self.heard[at + _SEQUENCE] = frame.sequence
        return _RESTARTED if 0 < stored < frame.session else _PROVED

    def repair(self):
        """An interrupt has ended the handling of a frame: let its sender's next one count, whatever its sequence."""
        if self._frame.sender >= 0:
            self.heard[_KEPT * self._frame.sender + _SEQUENCE] = 0


class Echoes:
    """The echoes that wait to be sent, one slot a member, first in first out.

    frame: the codec, from which a decoded frame is read and into which the next one is put; ids: the members'.
    count: how many wait, 0 to forget them; members and sessions: of these, a member by its position. An interrupt may
    lose an echo, but never leaves a slot that nobody wrote.
    """

    def __init__(self, frame, ids):
        self._frame = frame
        self._ids = ids
        self.members = array("H", bytes(2 * min(_QUEUE, len(ids))))
        self.sessions = array("I", bytes(4 * min(_QUEUE, len(ids))))
        self.count = 0

    def add(self, member, session):
        """Let a coming frame say that this node has heard the member's session. When all slots are taken it is not
        queued: the member says its need again."""
        for i in range(self.count):
            if self.members[i] == member:
                if self.sessions[i] < session:
                    self.sessions[i] = session
                return
        if self.count < _QUEUE:
            self.members[self.count] = member
            self.sessions[self.count] = session
            self.count += 1

    def forget(self, buffer):
        """The decoded frame in buffer lacks nothing: its sender needs no echo, and those that it echoes have been
        answered by it."""
        i = 0
        while i < self.count:
            if self.members[i] == self._frame.sender or self._frame.has_echo(
                buffer, self._ids[self.members[i]], self.sessions[i]
            ):
                self._drop(i, 1)
            else:
                i += 1

    def put(self, buffer):
        """Put as many as it takes into the frame that is being built in buffer, and forget them."""
        i = self._frame.echo_count = min(self.count, MAX_ECHOES)
        while i:
            i -= 1
            self._frame.put_echo(buffer, i, self._ids[self.members[i]], self.sessions[i])
        self._drop(0, self._frame.echo_count)

    def _drop(self, at, count):
        self.count -= count  # first, for the sake of an interrupt
        for i in range(at, self.count):
            self.members[i] = self.members[i + count]
            self.sessions[i] = self.sessions[i + count]

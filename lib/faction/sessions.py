"""Whose frames count: the members' sessions that are known to be live, and the echoes that prove them (PROTOCOL.md).

A session number is never used twice, so only a frame made after this node booted can echo this node's own. One proof
lasts for the session, and for later ones. Who has one tells the others, who need none themselves.
"""

from array import array

from micropython import const

_FOLLOW_UP = const(8)  # flag of a frame
_ECHOES = const(4)  # a node puts fewer into a frame than it holds: they cost whoever hears them

# Verdicts of old() and prove(), and indices of the node's counters (names.COUNTERS).
_PROVED = const(0)
_REPLAYED = const(7)  # sequence not above the last: a duplicate or a recording
_STALE = const(8)  # session below the stored one: a recording, or a board whose storage was lost
_UNPROVED = const(9)  # nothing proves yet that the sender's session is live
_RESTARTED = const(13)  # proved, and the member has rebooted

# Whether a sender's session is known to be live.
_LIVE = const(1)
_JUST_PROVED = const(2)

# What is kept of a member.
_KEPT = const(3)  # numbers: its session comes first
_SEQUENCE = const(1)
_STAMP = const(2)


class Sessions:
    """What has been heard of the members, and what of it counts.

    session: this node's own; frame: the codec that has decoded the frame; knowledge: doubts who has rebooted; trickle:
    meets who is heard for the first time; echoes: made of this, tells others.

    Attributes to read: heard (three numbers a member: its highest session that is known of, 0 for none; of that the
    last sequence heard, 0 for none; when that frame began to be sent, by this node's ticks_us), live (a bitmap of the
    members of whom that session is known to be live, this node one of them), since_us (when the transmission began from
    which the offset of the last frame counts; None: not heard).
    """

    def __init__(self, session, frame, knowledge, trickle):
        self._session = session
        self._frame = frame
        frame.old = self.old
        self._knowledge = knowledge
        self._trickle = trickle
        self.heard = array("I", bytes(4 * _KEPT * len(knowledge.machine.ids)))
        self.live = bytearray(frame.width)
        self.live[knowledge.me >> 3] = 1 << (knowledge.me & 7)
        self.echoes = Echoes(frame, knowledge.machine.ids, self.heard, self.live)
        self.since_us = None

    def is_live(self, i):
        """Whether a session of the member at that position is known to be live."""
        return self.live[i >> 3] >> (i & 7) & 1

    def old(self):
        """Whether the fields that are decoded are of a frame to be dropped, whoever made it: "replayed" or "stale"."""
        frame = self._frame
        at = frame.sender
        if not self.live[at >> 3] >> (at & 7) & 1:  # is_live(), without a call for each frame
            return 0
        at *= _KEPT
        newer = frame.session - self.heard[at]
        if not newer and frame.sequence <= self.heard[at + _SEQUENCE]:
            return _REPLAYED
        return _STALE if newer < 0 else 0

    def prove(self, buffer, sent_us):
        """Judge the decoded frame in buffer, whose transmission began at sent_us, and keep what it says of its session.
        Returns 0 when that is known to be live, or what to count: "restarts" when it is all the same, "unproved" when
        nothing proves it: then nothing in it counts.
        """
        at = _KEPT * self._frame.sender
        newer = self._frame.session - self.heard[at]
        self.since_us = sent_us
        if self._frame.flags & _FOLLOW_UP:
            self.since_us = None
            if not newer and 0 < self.heard[at + _SEQUENCE] == self._frame.sequence - 1:  # 0: none heard
                self.since_us = self.heard[at + _STAMP]
        if not self.heard[at + _SEQUENCE]:
            self._trickle.meet(len(self._knowledge.machine.ids))
        live = self.live[self._frame.sender >> 3] >> (self._frame.sender & 7) & 1
        if not live and self._frame.has_echo(buffer, self._knowledge.machine.peer_id, self._session):
            live = _JUST_PROVED
        if not live and (newer or self._frame.sequence - self.heard[at + _SEQUENCE]) <= 0:
            return _UNPROVED
        if live == _LIVE and newer or live and self._frame.ready and self._knowledge.doubts:
            self._knowledge.doubt(self._frame.sender)
        self.heard[at] = self._frame.session
        self.heard[at + _SEQUENCE] = self._frame.sequence
        self.heard[at + _STAMP] = sent_us
        if newer:
            self.echoes.owe(self._frame.sender)
        if not live:
            return _UNPROVED
        if live == _JUST_PROVED:
            self._believe(self._frame.sender)
        elif newer:
            return _RESTARTED
        return _PROVED

    def take(self, buffer, lacks):
        """Take in the echoes of the decoded frame in buffer, which counts. If it lacks nothing, its sender waits for no
        echo, nor do those whom it echoes. And what it knows live is known live by this node from now on. Others know of
        all that they count: nothing is looked for while this node knows the sessions of all who take part."""
        if not lacks:
            self.echoes.relieve(self._frame.sender)
        i = self._frame.echo_count
        if i and (self.echoes.waited_for() or self._knowledge.bitmaps.find(self.live, 0, len(self.live))):
            while i:
                i -= 1
                member = self._knowledge.machine.index(self._frame.echo_id(buffer, i))
                if member >= 0:
                    self._take(self._frame.echo_session(buffer, i), member, lacks)

    def _take(self, session, member, lacks):
        known = self.heard[_KEPT * member] == session
        if known and not lacks:
            self.echoes.relieve(member)
        if self._frame.echo_is_live and not self.is_live(member):
            if not known:
                self.heard[_KEPT * member + _SEQUENCE] = 0
                self.heard[_KEPT * member] = session
            self._believe(member)

    def _believe(self, member):
        self.live[member >> 3] |= 1 << (member & 7)
        self.echoes.owe(member)

    def repair(self):
        """An interrupt has ended the handling of a frame: let its sender's next one count, whatever its sequence."""
        if self._frame.sender >= 0:
            self.heard[_KEPT * self._frame.sender + _SEQUENCE] = 0


class Echoes:
    """Which members' sessions this node has yet to tell, and who waits for that.

    frame: the codec, from which a decoded frame is read and into which the next one is put; ids: the members'; heard
    and live: of the sessions. Attributes to read, bitmaps: owed (to be told when this node speaks; each session once,
    and once more when it is known to be live), urgent (of those, the ones for whose sake it speaks). An interrupt may
    have an echo told twice.
    """

    def __init__(self, frame, ids, heard, live):
        self._frame = frame
        self._ids = ids
        self._heard = heard
        self._live = live
        self.owed = bytearray(frame.width)
        self.urgent = bytearray(frame.width)
        self._first = 0  # byte of the bitmaps with which the next frame begins

    def owe(self, member):
        """Tell the session of the member at that position in a coming frame."""
        self.owed[member >> 3] |= 1 << (member & 7)

    def need(self, member):
        """That member lacks what this node knows. If it has not been told since that its session is heard, it waits
        for that; else it is told once more."""
        self.urgent[member >> 3] |= self.owed[member >> 3] & 1 << (member & 7)
        self.owe(member)

    def waited_for(self):
        """Whether somebody waits for an echo."""
        return any(self.urgent)

    def relieve(self, member):
        """That member waits for no echo."""
        self.urgent[member >> 3] &= ~(1 << (member & 7))

    def put(self, buffer):
        """Put as many as it takes into the frame that is being built in buffer: first who waits, then who is owed. Who
        waits has just come, mostly: in what room is left it is told of others, whom it need not hear itself then."""
        self._frame.echo_count = 0
        if not any(self.owed):
            return
        waited_for = self.waited_for()
        self._fill(buffer, self.urgent)
        self._fill(buffer, self.owed)
        if waited_for:
            self._first = (self._first + 1) % len(self._live)
            self._fill(buffer, self._live)

    def _fill(self, buffer, members):
        at = self._first
        while True:
            bits = members[at]
            i = 8 * at
            while bits and self._frame.echo_count < _ECHOES:
                if bits & 1:
                    self._put(buffer, i)
                bits >>= 1
                i += 1
            at = (at + 1) % len(members)
            if at == self._first:
                return

    def _put(self, buffer, member):
        session = self._heard[_KEPT * member]
        if session and not self._frame.has_echo(buffer, self._ids[member], session):  # this node's own is 0
            bit = 1 << (member & 7)
            self._frame.put_echo(buffer, self._live[member >> 3] & bit, self._ids[member], session)
            self.owed[member >> 3] &= ~bit
            self.urgent[member >> 3] &= ~bit

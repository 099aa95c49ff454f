"""Samples over the air: what each member has measured, brought to whoever gathers (PROTOCOL.md).

Loaded only where the swarm has a gateway.
"""

from struct import pack_into, unpack_from

from micropython import const

from faction.remote.envelope import HEADER, TAG, Envelope
from faction.remote.question import LENGTH, Question
from faction.remote.records import BEAT, ENTRY, HERE, TOLD, UNTOLD, Records, number
from faction.trickle import Trickle

_IMAX_MS = const(256)
_PATIENT = const(16)  # and after so many frames without news it doubles
_DOUBLINGS = const(6)  # so often
_SLOWER = const(2)  # the shortest interval is that many times the node's: frames are long, and all come at once
_AT_ONCE = const(3)  # what somebody waits for is said in the first Imin / 2 to the power of this
_FIRST = const(5)  # bytes of a text before the rest: who has gathered last, and how much of what follows
_ASKED = const(0x80)  # in the fifth: a question follows
_QUIET_US = const(1_500_000)  # before a beat the swarm agrees on it, and on nothing else,
_QUIET_SHARE = const(8)  # or for so small a part of the time between two


class Reports:
    """The records that this node holds, its own and others', until it is known that they have been gathered.

    node: the RemoteNode it is of, made up to here; gathers: this node is one to which records are brought.

    A gatherer says in each round that it is one. While that is heard, who has a record that is not known to have been
    gathered says it, by a Trickle timer of its own, and whoever hears it keeps it and says it as well. A gatherer tells
    whose records of a beat it has; that set only grows, and spreads like the records.

    A gatherer may also ask one member after the other for what it has kept: the latest question spreads, and its answer
    comes back like a record, of series 0 and with the question's number and asker in the place of beat and session.

    Attribute to read: asked (the latest question).
    """

    def __init__(self, node, gathers):
        self._node = node
        self._machine = node.machine
        self._width = node.frame.width
        self._rounds = node.rounds
        self._clock = node.first_sample
        self._envelope = Envelope(node)
        self._text = self._envelope.text
        self._records = Records(node.machine, node.frame.width, gathers)
        # Of another seed on each node, as the node's own: many have the same session.
        self.trickle = Trickle(node.trickle.imin_ms * _SLOWER, _IMAX_MS, 1, 1 + (node.trickle._random >> 1))
        self._gathered = 0  # 1 and the number of the last round in which somebody is known to have gathered
        self._owes = False  # somebody lacks what this node knows
        self._now = self._end = 0
        self._full = False  # nobody takes what has come
        self._spoken = 0  # frames since there was news
        self.asked = Question(node.machine.peer_id)

    def set_gathers(self, gathers):
        """Become one to which records are brought, or cease to be one."""
        if self._records.keeps != gathers:
            self._records.keeps = gathers
            self._records.clear()

    # What the application calls

    def room(self):
        """Bytes of a value or an answer that a frame holds."""
        return len(self._text) - HEADER - _FIRST - LENGTH - self._records.beats * (BEAT + self._width) - ENTRY

    def put(self, n, session, late_us, value):
        """Report this node's sample of beat n; value: its JSON, as bytes. Raises ValueError when it is too long.

        A node that gathers has nobody to report to.
        """
        if self._records.keeps:
            return
        self._records.follow(self._clock.series)
        self._put(self._clock.series, n, session, late_us, value)
        self.trickle.imin_ms = self._node.trickle.imin_ms * _SLOWER
        self.trickle.start(self._now)

    def _put(self, series, n, first, second, value):
        if len(value) > self.room():
            raise ValueError("%d bytes: a frame holds %d: return less" % (len(value), self.room()))
        text = self._text
        pack_into("<BHHIIi", text, HEADER, ENTRY + len(value), self._machine.peer_id, series, n, first, second)
        for i in range(len(value)):
            text[HEADER + ENTRY + i] = value[i]
        self._records.keep(text, HEADER, UNTOLD)
        self._spoken = 0

    def next(self):
        """The next record or answer that has come to this node, as a tuple: member's id, series, beat, session, late_us
        and the value's JSON, or member's id, 0, the question's number, the kind and above 16 bits this node's id, the
        place, and bytes; None: there is none. Takes memory."""
        record = self._records.take() if self._records.keeps else None
        self._full = False
        return record and unpack_from("<HHIIi", record, 1) + (bytes(record[ENTRY:]),)

    def ask(self, member_id, kind, place):
        """Ask that member; kind: 0 ... 65535, place: 0 ... 2^30 - 1. The answer comes by next()."""
        self.asked.ask(member_id, kind, place)
        self.trickle.start(self._now, _AT_ONCE)

    def cease(self):
        """Ask no more: nobody has to keep the last answer."""
        self.asked.cease()
        self._owes = True
        self.trickle.start(self._now, _AT_ONCE)

    def answer(self, kind, place, value):
        """Answer the question: kind and place of what follows, as in ask(), and bytes, of which a frame has room()."""
        self._put(0, self.asked.number, kind | self.asked.asker << 16, place, value)
        self.trickle.start(self._now, _AT_ONCE)

    def is_active(self):
        """Whether somebody gathers, as far as this node knows."""
        return self._rounds.number - self._gathered <= 0 < self._gathered

    # What the node calls

    def open(self, buffer, length):
        """Read a frame of this kind; returns the check that it failed, 0 for none."""
        self._end = length - TAG
        return self._envelope.open(buffer, length)

    def hear(self, now, sent_us):
        """Take in the frame that has just been read, whose transmission began at sent_us."""
        self._now = now
        self._records.follow(self._clock.series)
        self._envelope.stamp(sent_us)
        self._take(self._end)

    def poll(self, now, now_us, buffer):
        """As Node.poll()."""
        self._now = now
        self._records.follow(self._clock.series)
        if self._rounds.number < 0:
            return 0
        gathers = self._records.keeps
        if gathers and not self._full and self._gathered != self._rounds.number + 1:
            self._gathered = self._rounds.number + 1
            self._owes = True
            self.trickle.start(now)
        if not self.trickle.poll(now) or not self._may_speak(now_us):
            return 0
        speaks = self.asked.is_open(now) or self.is_active() and self._records.untold()
        if not speaks and not self.trickle.heard:
            speaks = self._owes or self.asked.passes(now)
        return self._build(buffer) if speaks else 0

    def _may_speak(self, now_us):
        quiet_us = min(_QUIET_US, self._clock.mark_us // _QUIET_SHARE)
        return not 0 < self._clock.remaining_us(now_us) < quiet_us

    # Hearing

    def _take(self, end):
        """Take in the text that has been decrypted, up to that offset."""
        differs = self._take_gathered(number(self._text, HEADER))
        at = HEADER + _FIRST
        if self._text[at - 1] & _ASKED and at + LENGTH <= end:
            differs |= self._take_question(at)
            at += LENGTH
        beats = self._text[HEADER + _FIRST - 1] & 15
        while beats and at + BEAT + self._width <= end:
            differs |= self._records.merge(self._text, at)
            at += BEAT + self._width
            beats -= 1
        if differs & 2:
            self._records.bury(self.asked)
        while not beats and at + ENTRY <= end and ENTRY <= self._text[at] <= end - at:
            differs |= self._take_record(at)
            at += self._text[at]
        if differs:
            self._owes = True
            self.trickle.reset(self._now)
        else:
            self.trickle.heard += 1

    def _take_question(self, at):
        differs = self.asked.take(self._text, at, self._envelope.sender, self._now)
        if differs > 1:
            self._records.bury(self.asked)
        return differs & 1

    def _take_gathered(self, gathered):
        if gathered > self._rounds.number + 2 or gathered == self._gathered:
            return 0
        if gathered < self._gathered:
            return 1
        self._gathered = gathered
        return 2

    def _take_record(self, at):
        """Take a record of a frame. 1: its sender does not know that it has been gathered, 2: it is gathered now."""
        member = self._machine.index(self._text[at + 1] | self._text[at + 2] << 8)
        if member < 0 or self._text[at] > ENTRY + self.room():  # this node could not say it
            return 0
        slot = self._text[at + 3] | self._text[at + 4] << 8
        if not slot:
            self._take_answer(at)
            return 0
        if slot != self._records.series:
            return 0
        slot = self._records.beat(number(self._text, at + 5), self._records.keeps)
        if self._records.is_gathered(slot, member):
            return 1
        return self._hold(at, slot, member) if slot >= -1 else 0

    def _take_answer(self, at):
        asked = self.asked
        asker = self._text[at + 11] | self._text[at + 12] << 8
        if asker == asked.asker and number(self._text, at + 5) == asked.number:  # two may ask under one number
            asked.answered()
            if not self._records.keeps:
                self._hold(at, -1, 0)
            elif asked.waits and asker == self._machine.peer_id:
                asked.waits = not self._records.keep(self._text, at, HERE)

    def _hold(self, at, slot, member):
        """Hold a record of that member, of the beat kept at slot, if it is not held. 2: it is gathered now."""
        records = self._records
        held = records.find(self._text, at)
        if held >= 0:
            records.tell(held)
        elif not records.keep(self._text, at, HERE if records.keeps else TOLD):
            self._full = True
        elif not records.keeps:
            self._spoken = 0
        else:
            records.gather(slot, member)
            return 2
        return 0

    # Speaking

    def _build(self, buffer):
        """Make the next frame in buffer; returns its length."""
        self._envelope.clear()
        pack_into("<I", self._text, HEADER, self._gathered)
        self._owes = False
        self._spoken = min(self._spoken + 1, _PATIENT + _DOUBLINGS)
        self.trickle.imax_ms = _IMAX_MS << max(self._spoken - _PATIENT, 0)
        return self._envelope.seal(buffer, self._put_records())

    def _put_records(self):
        """Put into the text what is behind the numbers; returns where it ends."""
        text = self._text
        at = HEADER + _FIRST
        if self.asked.put(text, at):
            text[at - 1] = _ASKED
            at += LENGTH
        beats = self._records.put_beats(text, at)
        text[HEADER + _FIRST - 1] |= beats
        at += beats * (BEAT + self._width)
        if self.is_active():
            at = self._records.put(text, at)
            if at < 0:
                at = -at
                self.trickle.start(self._now)  # there are more
        return at

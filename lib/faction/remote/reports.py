"""Samples over the air: what each member has measured, brought to whoever gathers (PROTOCOL.md).

Loaded only where the swarm has a gateway.
"""

from array import array
from struct import pack_into, unpack_from

from micropython import const

from faction.remote.cipher import Cipher
from faction.remote.question import LENGTH, Question
from faction.remote.records import BEAT, ENTRY, TOLD, UNTOLD, Records, number
from faction.trickle import Trickle

REPORT = const(0x23)  # kind of a frame
MAX_LENGTH = const(248)
_HEADER = const(16)
_TAG = const(8)
_BLOCK = const(16)
_BLOCKS = const(14)  # of the longest text
_LABEL = b"faction: reports"  # what the key of the texts is derived from: its tag under the swarm's key

# Verdicts, as in frame.py and sessions.py.
_MALFORMED = const(1)
_FOREIGN = const(2)
_NON_MEMBER = const(4)
_IMPOSSIBLE = const(5)
_FORGED = const(6)
_REPLAYED = const(7)
_UNPROVED = const(9)
_OWN = const(10)

_KEPT = const(3)  # numbers that sessions.py keeps of a member

_IMAX_MS = const(256)
_PATIENT = const(16)  # and after so many frames without news it doubles
_DOUBLINGS = const(6)  # so often
_SLOWER = const(4)  # the shortest interval is that many times the node's: frames are long, and all come at once
_AT_ONCE = const(3)  # what somebody waits for is said in the first Imin / 2 to the power of this
_FIRST = const(5)  # bytes of a text before the rest: who has gathered last, and how much of what follows
_ASKED = const(0x80)  # in the fifth: a question follows
_QUIET_US = const(1_500_000)  # before a beat the swarm agrees on it, and on nothing else,
_QUIET_SHARE = const(8)  # or for so small a part of the time between two


class Reports:
    """The records that this node holds, its own and others', until it is known that they have been gathered.

    node: the Node it is of, made up to here; key: the swarm's; gathers: this node is one to which records are brought.

    A gatherer says in each round that it is one. While that is heard, who has a record that is not known to have been
    gathered says it, by a Trickle timer of its own, and whoever hears it keeps it and says it as well. A gatherer tells
    whose records of a beat it has; that set only grows, and spreads like the records.

    A gatherer may also ask one member after the other for what it has kept: the latest question spreads, and its answer
    comes back like a record, of series 0 and with the question's number for a beat.

    Attribute to read: asked (the latest question).
    """

    def __init__(self, node, key, gathers):
        self._node = node
        self._frame = node.frame
        self._machine = node.machine
        self._rounds = node.rounds
        self._clock = node.first_sample
        self._frame._cmac.compute(_LABEL, len(_LABEL))
        self._cipher = Cipher(bytes(self._frame._cmac.tag), _BLOCKS)
        self._text = self._cipher.message
        self._copy = "%ds" % len(self._text)
        self._numbers = array("I", bytes(_HEADER))
        self._records = Records(node.machine, node.frame.width, gathers)
        self.trickle = Trickle(node.trickle.imin_ms * _SLOWER, _IMAX_MS, 1, 1 + node.session % 65_521)
        self._gathered = 0  # 1 and the number of the last round in which somebody is known to have gathered
        self._owes = False  # somebody lacks what this node knows
        self._now = 0
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
        return _BLOCKS * _BLOCK - _FIRST - LENGTH - self._records.beats * (BEAT + self._frame.width) - ENTRY

    def put(self, n, session, late_us, value):
        """Report this node's sample of beat n; value: its JSON, as bytes. Raises ValueError when it is too long."""
        self._put(self._clock.series, n, session, late_us, value)
        self.trickle.imin_ms = self._node.trickle.imin_ms * _SLOWER
        self.trickle.start(self._now)

    def _put(self, series, n, first, second, value):
        if len(value) > self.room():
            raise ValueError("%d bytes: a frame holds %d: return less" % (len(value), self.room()))
        text = self._text
        pack_into("<BHHIIi", text, _HEADER, ENTRY + len(value), self._machine.peer_id, series, n, first, second)
        for i in range(len(value)):
            text[_HEADER + ENTRY + i] = value[i]
        self._records.keep(text, _HEADER, UNTOLD)
        self._spoken = 0

    def next(self):
        """The next record or answer that has come to this node, as a tuple: member's id, series, beat, session, late_us
        and the value's JSON, or member's id, 0, the question's number, two numbers, and bytes; None: there is none.
        Takes memory."""
        record = self._records.take() if self._records.keeps else None
        self._full = False
        return record and unpack_from("<HHIIi", record, 1) + (bytes(record[ENTRY:]),)

    def ask(self, member_id, kind, place):
        """Ask that member; kind: 0 ... 65535, place: 0 ... 2^30 - 1. The answer comes by next()."""
        self.asked.ask(member_id, kind, place, self._now)
        self.trickle.start(self._now, _AT_ONCE)

    def cease(self):
        """Ask no more: nobody has to keep the last answer."""
        self.asked.cease(self._now)
        self._owes = True
        self.trickle.start(self._now, _AT_ONCE)

    def answer(self, first, second, value):
        """Answer the question: two numbers, 0 ... 2^30 - 1, and bytes, of which a frame holds room()."""
        self._put(0, self.asked.number, first, second, value)
        self.trickle.start(self._now, _AT_ONCE)

    def is_active(self):
        """Whether somebody gathers, as far as this node knows."""
        return self._rounds.number - self._gathered <= 0 < self._gathered

    # What the node calls

    def receive(self, buffer, length, now, sent_us):
        """Hear a frame of this kind; returns the check that it failed, 0 for none."""
        blocks = (length - _HEADER - _TAG) // _BLOCK
        if not 0 < blocks <= _BLOCKS or length != _HEADER + blocks * _BLOCK + _TAG or length > len(buffer):
            return _MALFORMED
        if buffer.find(self._frame.digest, 2, 6) < 0:
            return _FOREIGN
        sender = self._machine.index(buffer[6] | buffer[7] << 8)
        if sender < 0:
            return _NON_MEMBER
        if (buffer[11] | buffer[15]) > 0x3F:
            return _IMPOSSIBLE
        if sender == self._node.knowledge.me:
            return _OWN
        pack_into("16s", self._numbers, 0, buffer)
        sessions = self._node.sessions
        at = _KEPT * sender
        if not sessions.is_live(sender) or sessions.heard[at] != self._numbers[2]:
            return _UNPROVED
        if sessions.heard[at + 1] >= self._numbers[3]:
            return _REPLAYED
        self._frame._cmac.compute(buffer, length - _TAG)
        if self._frame._cmac.differs(buffer, length - _TAG):
            return _FORGED
        sessions.heard[at + 1] = self._numbers[3]
        sessions.heard[at + 2] = sent_us
        self._now = now
        pack_into(self._copy, self._text, 0, buffer)
        self._cipher.open(blocks)
        self._take(_HEADER + blocks * _BLOCK)
        return 0

    def poll(self, now, now_us, buffer):
        """As Node.poll()."""
        self._now = now
        if self._rounds.number < 0:
            return 0
        gathers = self._records.keeps
        if gathers and not self._full and self._gathered != self._rounds.number + 1:
            self._gathered = self._rounds.number + 1
            self._owes = True
            self.trickle.start(now)
        if not self.trickle.poll(now) or not self._may_speak(now_us):
            return 0
        speaks = self.asked.is_open(now)
        if not gathers:
            speaks = self.is_active() and self._records.untold()
        if not speaks and not self.trickle.heard:
            speaks = self._owes or self.asked.passes(now)
        return self._build(buffer) if speaks else 0

    def _may_speak(self, now_us):
        quiet_us = min(_QUIET_US, self._clock.mark_us // _QUIET_SHARE)
        return not 0 < self._clock.remaining_us(now_us) < quiet_us

    # Hearing

    def _take(self, end):
        """Take in the text that has been decrypted, up to that offset."""
        text = self._text
        differs = self._take_gathered(number(text, _HEADER))
        at = _HEADER + _FIRST
        if text[at - 1] & _ASKED and at + LENGTH <= end:
            asked = self.asked.take(text, at, text[6] | text[7] << 8, self._now)
            differs |= asked & 1
            if asked > 1:
                self._records.bury(self.asked.number)
            at += LENGTH
        for _ in range(text[_HEADER + _FIRST - 1] & 15):
            if at + BEAT + self._frame.width > end:
                return
            differs |= self._records.merge(text, at)
            at += BEAT + self._frame.width
        if differs & 2 and not self._records.keeps:
            self._records.bury(self.asked.number)
        while at + ENTRY <= end and text[at] >= ENTRY and at + text[at] <= end:
            differs |= self._take_record(at)
            at += text[at]
        if differs:
            self._owes = True
            self.trickle.reset(self._now)
        else:
            self.trickle.heard += 1

    def _take_gathered(self, gathered):
        if gathered > self._rounds.number + 2 or gathered == self._gathered:
            return 0
        if gathered < self._gathered:
            return 1
        self._gathered = gathered
        return 2

    def _take_record(self, at):
        """Take a record of a frame. 1: its sender does not know that it has been gathered, 2: it is gathered now."""
        text = self._text
        records = self._records
        member = self._machine.index(text[at + 1] | text[at + 2] << 8)
        if member < 0:
            return 0
        series = text[at + 3] | text[at + 4] << 8
        n = number(text, at + 5)
        if not series:
            if n != self.asked.number:
                return 0
            self.asked.answered()
            if records.keeps:
                if self.asked.waits:
                    self.asked.waits = not records.keep(text, at, TOLD)
                return 0
        slot = records.beat(series, n, records.keeps) if series else -1
        if records.is_gathered(slot, member):
            return 1
        if slot < -1 and series:
            return 0
        held = records.find(text, at)
        if held >= 0:
            records.tell(held)
        elif not records.keep(text, at, TOLD):
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
        node = self._node
        records = self._records
        text = self._text
        node.sequence += 1
        for i in range(_HEADER, len(text)):
            text[i] = 0
        pack_into("<BB4sH", text, 0, REPORT, 0, self._frame.digest, self._machine.peer_id)
        pack_into("<III", text, 8, node.session, node.sequence, self._gathered)
        at = _HEADER + _FIRST
        asks = _ASKED if self.asked.put(text, at) else 0
        if asks:
            at += LENGTH
        beats = records.put_beats(text, at)
        text[_HEADER + _FIRST - 1] = beats | asks
        end = at + beats * (BEAT + self._frame.width)
        if not records.keeps and self.is_active():
            end = records.put(text, end)
            if end < 0:
                end = -end
                self.trickle.start(self._now)  # there are more
        blocks = (end - _HEADER + _BLOCK - 1) // _BLOCK
        self._cipher.seal(blocks)
        pack_into(self._copy, buffer, 0, text)
        length = _HEADER + blocks * _BLOCK
        self._frame._cmac.compute(buffer, length)
        pack_into("8s", buffer, length, self._frame._cmac.tag)
        self._owes = False
        self._spoken = min(self._spoken + 1, _PATIENT + _DOUBLINGS)
        self.trickle.imax_ms = _IMAX_MS << max(self._spoken - _PATIENT, 0)
        return length + _TAG

"""Reports at a node that relays or gathers: sealed and encrypted with the swarm's key, with another, and as they come.

Input: a byte for the node's settings, then steps of a kind, a length and as many bytes. Kinds below 64 let time pass,
those below 96 have the application do something, those below 128 give bytes as they come; from 128 on the bytes are a
text that the second member says.
"""

from struct import pack, unpack_from

from hostile import MAX, NAME
from subject import Clock, Script, Subject, allocated

from faction.cmac import Cmac
from faction.frame import DEMONSTRATION_KEY
from faction.remote.envelope import HEADER, MAX_LENGTH, TAG
from faction.remote.node import RemoteNode

MOST = 768  # bytes of input
_TALKS = 7  # session of who talks to the node
_ME, _OTHER = 3, 10  # the first two members' ids
_SERIES = 9
_FIRST = b"\x01\x00\x00\x00"  # somebody has gathered in round 0


def _step(kind, data):
    return bytes((kind, len(data))) + data


def _record(member, series, beat, value):
    return pack("<BHHIIi", 17 + len(value), member, series, beat, 5, -31) + value


_BEAT = pack("<HI", _SERIES, 0)
_MINE = _record(_ME, _SERIES, 0, b"21.5")
_THEIRS = _record(_OTHER, _SERIES, 0, b"[1, 2, 3]")
_ASKED = pack("<IHHHI", 2, _ME, _OTHER, 1, 4096)
_ANSWER = pack("<BHHIHHI", 24, _OTHER, 0, 1, 1, _ME, 7) + b"a piece"
_HEARS = _step(128, _FIRST + b"\x00" + _THEIRS)
_IS_ASKED = _step(128, _FIRST + b"\x80" + _ASKED)
SEEDS = (
    b"",
    b"\x00" + _step(128, _FIRST + b"\x00") + b"\x05" + _step(64, b"21.5") + b"\x05\x05\x05",
    b"\x00" + _HEARS + b"\x05" + _step(128, _FIRST + b"\x01" + _BEAT + b"\x02") + b"\x05\x05",
    b"\x04" + b"\x05" + _HEARS + _step(80, b"") + _HEARS + b"\x05" + _step(88, b"\x0a\x00\x00\x02") + b"\x05\x05",
    b"\x04" + _step(88, b"\x0a\x00\x00\x02")
    + _step(128, _FIRST + b"\x00" + _ANSWER) + _step(80, b"") + b"\x05",
    b"\x00" + _IS_ASKED + _step(72, b"its answer") + b"\x05\x05" + _IS_ASKED,
    b"\x00" + _step(160, _FIRST + b"\x00" + _THEIRS) + _step(192, _FIRST + b"\x00" + _THEIRS) + b"\x05",
    b"\x01" + _step(224, _FIRST + b"\x02" + 2 * (_BEAT + b"\x01") + _MINE) + b"\x3f\x3f\x3f",
    b"\x00" + _step(96, b"\x23\x00any bytes, that come as they do")
    + _step(128, _FIRST + b"\x0f" + 14 * (_BEAT + b"\xff")) + _step(96, b""),
    b"\x04" + _step(88, b"\x0a\x00\x00\x02")
    + _step(128, _FIRST + b"\x80" + b"\xff" * 4 + _ASKED[4:]) + b"\x3f\x3f",
    b"\x00" + _step(128, _FIRST + b"\x00\x3c" + _THEIRS[1:]),
    b"\x00" + _step(128, _FIRST + b"\x00" + _record(4, _SERIES, 0, b"1")),
    b"\x00" + _step(128, _FIRST + b"\x00") + _step(192, b""),
)  # fmt: skip
_STATE = (
    ("_gathered", "_owes", "_full", "_spoken"),  # of reports
    ("keeps", "series", "_ring", "_first", "_used", "_numbers", "_gathered"),  # of its records
    ("number", "wanted", "waits", "_bytes", "_passes", "_since_ms", "_patience_ms"),  # of its question
    ("imax_ms", "imin_ms", "interval_ms", "heard", "due", "_end", "_random"),  # of its timer
    ("number", "present", "lost", "silent", "changes", "_whole", "_looked"),  # of rounds
)


class Reporter(Subject):
    """A node within a series, in its first round, and a member that talks to it. choice: bit 2 of it, it gathers."""

    def __init__(self, choice, clock):
        Subject.__init__(self, choice, clock)
        node = self.node
        self.codec.max_length = MAX_LENGTH
        self.codec._cmac = Cmac(DEMONSTRATION_KEY, MAX_LENGTH - TAG)
        node.complete_local(clock.ms, clock.us)
        clock.wait(1_000_000)
        node.tick(clock.ms, clock.us)
        node.take_sample(clock.us)
        node.tick(clock.ms, clock.us)
        node.first_sample.series = _SERIES
        assert node.rounds.number == 0
        self._talker = self._make(choice, self._ids, _OTHER, _TALKS)
        for one, other, session in ((node, 1, _TALKS), (self._talker, 0, node.session)):
            one.sessions.heard[3 * other] = session
            one.sessions.live[0] |= 1 << other
        reports = node.reports
        parts = (reports, reports._records, reports.asked, reports.trickle, node.rounds)
        for part, names in zip(parts, _STATE):  # noqa: B905 - MicroPython has no strict
            self._watch.names += names
            self._watch.holders += [part] * len(names)
        self._told = bytearray(250)
        self._said = b""
        self._counted = 0
        self.say(b"\x00" * 16, 128)  # the first one makes the ciphers, and takes memory for them
        self.node.receive(self._told, self._counted, clock.ms, clock.us, clock.us)

    def make_node(self, choice, ids):
        """As Subject's."""
        self._ids = ids if len(ids) > 1 else [_ME, _OTHER]
        return self._make(choice, self._ids, _ME, 5)

    def _make(self, choice, ids, me, session):
        return RemoteNode(
            NAME, ids, me, 1, DEMONSTRATION_KEY, session, round_ms=30_000, gather=choice & 4 > 0, period_ms=10_000
        )

    def say(self, piece, kind):
        """Have the other member seal a text, of that kind: 160 with another key, 192 again, 224 nearly right."""
        envelope = self._talker.reports._envelope
        piece = (bytes(piece) or b"\x00")[: len(envelope.text) - HEADER]
        if not 192 <= kind < 224:
            self._said = piece + bytes(-len(piece) % 16)
            envelope.clear()
            envelope.text[HEADER : HEADER + len(piece)] = piece
            self._counted = envelope.seal(self._told, HEADER + len(piece))
        if 160 <= kind < 192 or kind >= 224:
            self._told[self._counted - 1 - kind % 8] ^= 1 << piece[0] % 8

    def give(self, piece, kind):
        """Have the node hear that: it then holds no more than was said, of members, and what it has heard it drops."""
        before = self._held()
        self.say(piece, kind)
        self.hear(self._told, self._counted, self.clock.us)
        changed = self._watch.changed()
        assert changed < 0 or not 192 <= kind < 224, f"heard again, it changes {self._watch.names[changed]}"
        for record in self._held():
            if record not in before:
                assert record in self._said, f"nobody has said {record}"
                assert self.node.machine.index(record[1] | record[2] << 8) >= 0, f"{record} is of no member"

    def _held(self):
        """The records that the node holds, as they are in a text."""
        records = self.node.reports._records
        ring = bytes(records._ring) * 2
        held = []
        at, left = records._first, records._used
        while left > 0:
            length = ring[at]
            held.append(ring[at : at + 1] + ring[at + 2 : at + 1 + length])
            at = at + length + 1 & 1023
            left -= length + 1
        return held

    def act(self, kind, piece):
        """The node's application does something."""
        reports = self.node.reports
        piece = bytes(piece)
        if kind < 72:
            self._put(lambda: reports.put(self.node.first_sample.mark - 1, self.node.session, 7, piece))
        elif kind < 80:
            if reports.asked.wanted:
                kind, place = reports.asked.get()
                self._put(lambda: reports.answer(kind, place & MAX, piece))
        elif kind < 88:
            record = reports.next()
            assert record is None or self.node.machine.index(record[0]) >= 0
        else:
            member, asked = unpack_from("<HH", (piece + b"\x00" * 4)[:4])
            reports.ask(member, asked, 0)

    def _put(self, put):
        try:
            put()
        except ValueError as error:
            assert "return less" in str(error)

    def live(self, ms, ready):
        """Let time pass; what the node says is a frame, and a report of it can be opened."""
        clock = self.clock
        node = self.node
        clock.wait(ms * 1000)
        before = allocated()
        length = node.poll(clock.ms, clock.us, self.buffer)
        assert allocated() == before, "what it says takes memory"
        if length and self.buffer[0] == 0x23:
            verdict = self._talker.reports.open(self.buffer, length)
            assert verdict == 0, f"the node sends a report of verdict {verdict}"
        if node.sample_due:
            node.take_sample(clock.us)
        records = node.reports._records
        assert 0 <= records._used <= 1024
        held = [node.reports._gathered, node.reports.asked.number]
        for number in held + list(records._numbers) + list(node.sessions.heard):
            assert -1 <= number <= MAX, f"{number} takes memory on a 32-bit board"


def run(data):
    """One input."""
    script = Script(data)
    subject = Reporter(script.byte() & 7, Clock())
    while script.more():
        step(script, subject)


def step(script, subject):
    """One step: time, the application, a report with a right tag, or bytes as they come."""
    kind = script.byte()
    if kind < 64:
        subject.live(40 * (kind & 31), False)
        return
    piece = script.piece(script.byte())
    if kind < 96:
        subject.act(kind, piece)
    elif kind < 128:
        subject.hear(bytearray(piece), len(piece), subject.clock.us)
    else:
        subject.give(piece, kind)

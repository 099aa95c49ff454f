"""Exchanges of reports with one node, for generate.py: what it is given, and all that it must do of that.

Reports are built here with struct and the `cryptography` package.
"""

import struct

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

SESSION = 40  # of the node
THEIRS = 5  # of all others
SERIES = 51234
SETTLED_MS = 2500  # the first sample is past
SOON_MS = 3000  # what is to be said is said within
OPEN, CLOSED = ["received"], None


def record(member, beat, value, *, series=SERIES, session=THEIRS, late_us=-31):
    """A record as a report has it."""
    return struct.pack("<BHHIIi", 17 + len(value), member, series, beat, session, late_us) + value


def answer(member, number, asker, piece, kind, place):
    """An answer as a report has it."""
    return struct.pack("<BHHIHHI", 17 + len(piece), member, 0, number, kind, asker, place) + piece


def question(number, member, asker, kind, place):
    """A question as a report has it."""
    return struct.pack("<IHHHI", number, member, asker, kind, place)


def text(*parts, gathered=1, beats=0, asks=False):
    """The text of a report with its zeros: the question first, if it asks, then so many beats, then records."""
    said = struct.pack("<IB", gathered, beats | 0x80 * asks) + b"".join(parts)
    return said + bytes(-len(said) % 16)


class Exchange:
    """One node of a swarm, and what happens to it; steps are what a vector has of that.

    The node is the second of the members; the first, the third and the last speak to it.
    """

    def __init__(self, swarm, gathers):
        self.swarm = swarm
        self.gateway, self.me, self.other, *_, self.far = swarm.members
        self.gathers = gathers
        self.steps = []
        self.sequence = 100
        self.said = 0
        for member in (self.gateway, self.other):
            self._add(hear=swarm.seal(swarm.parts(self._ready(member))).hex(), counted=OPEN, text=None)
        self._add(complete=True)
        instant = {"offset_us": 1000, "series": SERIES, "mark": 0}
        frame = swarm.seal(swarm.parts({**self._ready(self.gateway), **instant}))
        self._add(hear=frame.hex(), counted=OPEN, text=None)

    def _add(self, after_ms=0, **step):
        self.steps.append({"after_ms": after_ms, **step} if after_ms else step)

    def _ready(self, member):
        self.sequence += 1
        members = self.swarm.members
        return {
            "kind": "READY", "bootstrapped": False, "timed_out": False, "follow_up": False, "sender": member,
            "session": THEIRS, "sequence": self.sequence, "generation": 0, "offset_us": None, "participation": members,
            "readiness": [member for member in members if member != self.me], "present": members,
            "echoes": [[self.me, SESSION, False]],
        }  # fmt: skip

    def report(self, sender, said, sequence=None, session=THEIRS, digest=None):
        """The report that says it: sealed and encrypted."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        header = struct.pack("<BB4sHII", 0x23, 0, digest or self.swarm.digest, sender, session, sequence)
        key = AES(self.swarm.cmac(b"faction: reports"))
        vector = Cipher(key, modes.ECB()).encryptor().update(header)
        return self.swarm.seal({"header": header, "text": Cipher(key, modes.CBC(vector)).encryptor().update(said)})

    def hear(self, said, sender=None, after_ms=0):
        """A report that it takes in."""
        frame = self.report(self.gateway if sender is None else sender, said)
        self._add(after_ms, hear=frame.hex(), counted=OPEN, text=said.hex())

    def refuse(self, frame, counter):
        """A frame of which it takes nothing, counted under that name."""
        self._add(hear=frame.hex(), counted=[counter], text=None)

    def says(self, said):
        """It says that, or with None nothing, within a while."""
        self.said += 1
        frame = said and self.report(self.me, said, self.said, SESSION).hex()
        self._add(says=frame, sequence=self.said, within_ms=SOON_MS)

    def put(self, beat, value, refused=False):
        """It is given a sample of its own."""
        self._add(put=[beat, SESSION, -31, value.hex()], refused=refused)

    def take(self, *record):
        """The next record or answer that has come to it: member, series, beat, session, late_us and value; () if none
        has."""
        self._add(take=[*record[:-1], record[-1].hex()] if record else None)

    def ask(self, member, kind, place):
        """It asks a member."""
        self._add(ask=[member, kind, place])

    def answer(self, kind, place, first, second, piece):
        """It is asked that, and answers."""
        self._add(asked=[kind, place], answer=[first, second, piece.hex()])

    def vector(self, name):
        """The vector."""
        swarm = self.swarm
        return {
            "name": name,
            "swarm": swarm.settings(),
            "key": swarm.key.hex(),
            "node": {"peer_id": self.me, "session": SESSION, "gathers": self.gathers},
            "exchange": self.steps,
        }


def beat(swarm, number, *members):
    """Whose records of a beat have been gathered, as a report has it."""
    return struct.pack("<HI", SERIES, number) + swarm.bitmap(members)


def most_beats(swarm):
    """Of so many beats it is told whose records have been gathered."""
    return max(min(96 // (6 + swarm.width), 4), 1)


def room(swarm):
    """Bytes of the longest value."""
    return 14 * 16 - 5 - 14 - most_beats(swarm) * (6 + swarm.width) - 17


def stranger(swarm):
    """The id of no member."""
    return next(number for number in (0, 65535, 7, 8) if number not in swarm.members)


def relays(swarm, rng):
    """A member that reports, relays and answers."""
    node = Exchange(swarm, False)
    mine, theirs = rng.randbytes(rng.randint(1, 20)), rng.randbytes(rng.randint(1, 20))
    own = record(node.me, 0, mine, session=SESSION)
    far = record(node.far, 0, theirs)
    node.hear(text(), after_ms=SETTLED_MS)
    node.says(text())
    node.put(0, bytes(room(swarm) + 1), refused=True)
    node.put(0, mine)
    node.says(text(own))
    node.hear(text(far), node.other)
    node.says(text(own, far))
    node.hear(text(beat(swarm, 0, node.me), beats=1))
    node.says(text(beat(swarm, 0, node.me), far, beats=1))
    node.hear(text(beat(swarm, 0, node.far), beats=1))
    both = beat(swarm, 0, node.me, node.far)
    node.says(text(both, beats=1))
    node.says(None)
    place = rng.randrange(1 << 20)
    asked = question(7, node.me, node.gateway, 1, place)
    node.hear(text(asked, both, beats=1, asks=True))
    piece = rng.randbytes(rng.randint(1, 40))
    kind = rng.randrange(2, 1 << 16)
    node.answer(1, place, kind, place + len(piece), piece)
    mine = answer(node.me, 7, node.gateway, piece, kind, place + len(piece))
    node.says(text(asked, both, mine, beats=1, asks=True))
    later = question(8, node.far, node.gateway, 1, 0)  # which nobody has heard an answer to, and ends the one before
    node.hear(text(later, both, beats=1, asks=True))
    node.says(text(later, both, beats=1, asks=True))
    node.take()
    return node.vector(f"{len(swarm.members)} members: reports, relays and answers")


def gathers(swarm, rng):
    """A member that gathers, and asks."""
    node = Exchange(swarm, True)
    value = rng.randbytes(room(swarm))
    node._add(SETTLED_MS, take=None)
    node.says(None)  # it has said that it gathers before
    node.hear(text(record(node.far, 0, value)))
    node.take(node.far, SERIES, 0, THEIRS, -31, value)
    known = beat(swarm, 0, node.far)
    node.says(text(known, beats=1))
    node.hear(text(known, record(node.far, 0, value), beats=1), node.other)
    node.take()
    node.put(0, b"1")  # it has nobody to report to
    node.ask(node.far, 2, 300)
    asked = question(1, node.far, node.me, 2, 300)
    node.says(text(asked, known, beats=1, asks=True))
    node.hear(text(asked, known, answer(node.far, 1, node.other, value[:8], 2, 308), beats=1, asks=True), node.other)
    node.take()
    mine = answer(node.far, 1, node.me, value[:9], 2, 309)
    node.hear(text(asked, known, mine, beats=1, asks=True), node.other)
    node.take(node.far, 0, 1, 2 | node.me << 16, 309, value[:9])
    node.take()
    return node.vector(f"{len(swarm.members)} members: gathers and asks")


def refuses(swarm, rng):
    """A member that is given reports of which nothing may be used."""
    node = Exchange(swarm, False)
    said = text(record(node.far, 0, b"21.53"))
    good = node.report(node.other, said)
    node._add(SETTLED_MS, hear=good.hex(), counted=OPEN, text=said.hex())
    node.refuse(good, "replayed")
    later = node.sequence + 1
    for frame, counter in (
        (node.report(node.other, said, node.sequence), "replayed"),
        (node.report(node.other, said, later, THEIRS + 1), "unproved"),
        (node.report(node.far, said, later), "unproved"),
        (node.report(stranger(swarm), said, later), "non_member"),
        (node.report(node.me, said, later, SESSION), "own"),
        (node.report(node.other, said, 1 << 30), "impossible"),
        (node.report(node.other, said, later, 1 << 30), "impossible"),
        (node.report(node.other, said, later, digest=bytes(4)), "foreign"),
        (node.report(node.other, b"", later), "malformed"),
        (node.report(node.other, bytes(15 * 16), later), "malformed"),
        (node.report(node.other, said, later)[:-1], "malformed"),
        (node.report(node.other, said, later)[:-16], "forged"),
    ):
        node.refuse(frame, counter)
    for at in (1, 11, 14, *rng.sample(range(16, len(good)), 4)):
        frame = bytearray(node.report(node.other, said, later))
        frame[at] ^= 1 << rng.randrange(4)
        node.refuse(bytes(frame), "unproved" if at == 11 else "forged")
    longest = text(record(node.far, 0, bytes(range(33, 128)) * 2))[: 14 * 16]
    node.hear(longest, node.other)
    node.hear(bytes(16), node.other)
    for _ in range(8):
        node.hear(rng.randbytes(16 * rng.randint(1, 14)), node.other)  # with the key anything may be said
    return node.vector(f"{len(swarm.members)} members: reports that are refused, and any text")


def useless(node):
    """Texts with records of which no node may hold any: longer than its text, of a stranger, longer than the node could
    say, of another series, and an answer to nobody's question."""
    yield text(bytes((60,)) + record(node.far, 0, b"21.53")[1:])
    yield text(record(stranger(node.swarm), 0, b"21.53"))
    yield text(record(node.far, 0, bytes(room(node.swarm) + 1)))
    yield text(record(node.far, 0, b"21.53", series=SERIES + 1))
    yield text(answer(node.far, 5, node.gateway, b"a piece", 2, 7))


def passes_on_nothing(swarm, rng):
    """A member that is told what it may not pass on."""
    node = Exchange(swarm, False)
    node.hear(text(), after_ms=SETTLED_MS)
    node.says(text())
    for said in useless(node):
        node.hear(said, node.other)
    node.hear(text(gathered=1000))  # in a round that is far ahead
    node.hear(struct.pack("<IB", 1, 0x80) + question(7, node.me, node.gateway, 1, 0)[:11])  # a question that is cut
    node.hear(text(struct.pack("<HI", SERIES + 1, 0) + swarm.bitmap(swarm.members), beats=1))  # of another series
    own = record(node.me, 0, b"19.5", session=SESSION)
    node.put(0, b"19.5")
    node.says(text(own))
    return node.vector(f"{len(swarm.members)} members: passes on nothing that it may not")


def takes_nothing(swarm, rng):
    """A member that gathers, and is told what it may not take."""
    node = Exchange(swarm, True)
    node._add(SETTLED_MS, take=None)
    node.says(None)
    for said in useless(node):
        node.hear(said, node.other)
        node.take()
    node.says(None)
    numbers = range(1, 1 + most_beats(swarm))
    for number in numbers:
        node.hear(text(record(node.far, number, b"1")))
        node.take(node.far, SERIES, number, THEIRS, -31, b"1")
    known = [beat(swarm, number, node.far) for number in numbers]
    node.hear(text(*known, record(node.far, 0, b"1"), beats=len(known)))  # older than all that are kept
    node.take()
    node.ask(node.far, 2, 300)
    asked = question(1, node.far, node.me, 2, 300)
    node.says(text(asked, *known, beats=len(known), asks=True))
    node.hear(
        text(asked, *known, answer(node.far, 2, node.me, b"1", 2, 301), beats=len(known), asks=True)
    )  # to another
    node.take()
    return node.vector(f"{len(swarm.members)} members: takes nothing that it may not")


def exchanges(swarms, rng):
    """Vectors of these swarms."""
    for swarm in swarms:
        for one in (relays, gathers, refuses, passes_on_nothing, takes_nothing):
            yield one(swarm, rng)

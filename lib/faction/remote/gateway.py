"""Samples over the air: a board's own go to whoever gathers, and what others gather is answered; a gateway prints what
comes. Loaded only where the swarm has a gateway.

A gateway prints each record that has come as a line of JSON, as its own. It fetches what a member has kept: at its
prompt by fetch(), beside an application in answer to a line (answers.py).
"""

import json
from binascii import crc32
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms, ticks_us

from micropython import const
from samples import FILE, OLD

import faction

_FACTS = const(0)  # kinds of questions: what its status tells, as JSON,
_OLDEST = const(1)  # its samples from the oldest on; a higher one, from a place in the file that it stands for
_FILES = const(65_533)
_FIRST_BYTES = const(64)  # which tell a file from others
_SILENT_MS = const(5_000)  # a member that has not answered in that time does not
_GATHERS_S = const(60)  # so long after a tool has fetched something a board goes on to gather
_NEVER_MS = const(1_000_000)
_NEAR_US = const(30_000)  # before a beat nothing is printed
_RECORD = '{"node": %d, "session": %d, "series": %d, "n": %d, "late_us": %d, "value": %s, "late": false}'


class Gateway:
    """What an app has to do with samples over the air. always: this board gathers, whoever listens."""

    def __init__(self, app, always):
        app.gateway = self
        self._app = app
        self._reports = app.node.reports
        self._always = always
        self._until = None  # this board gathers so long for a tool
        self._asked = None  # a tool fetches something: when that was asked for last
        self._question = None  # to be asked at the next tick: member, kind, place; (): nothing any more
        self._answer = None
        self._facts = b""

    def sampled(self, record):
        """Send a sample's record to whoever gathers. One that was late is fetched from the flash."""
        if record["late"] or self.gathers():
            return
        try:
            self._reports.put(record["n"], record["session"], record["late_us"], json.dumps(record["value"]).encode())
        except ValueError as error:
            self._app.note("sample(), for the gateway", error)

    def tick(self, now):
        """Answer what is asked, and print what has come; returns for how many milliseconds there is no more to do."""
        reports = self._reports
        if reports.asked.wanted and self._app.series.is_calm():
            kind, place = reports.asked.get()
            reports.answer(*self._told(kind, place))
        if self._until is not None and ticks_diff(now, self._until) >= 0:
            self._until = None
            reports.set_gathers(self._always)
        if self._asked is not None and ticks_diff(now, self._asked) > _SILENT_MS:
            self._asked = None
            self._question = ()
        if self._question is not None:
            if self._question:
                reports.ask(*self._question)
            else:
                reports.cease()
            self._question = None
        record = reports.next()
        if record:
            if record[1]:
                member_id, series, n, session, late_us, value = record
                self._app.put(_RECORD % (member_id, session, series, n, late_us, value.decode()))
            else:
                self._answer = record[0], record[3] & 0xFFFF, record[4], record[5]
        return _NEVER_MS if self._asked is None and not record else 0

    # Of this board

    def _told(self, kind, place):
        """The answer to a question: the kind and the place of what follows it, and bytes; none: that was all."""
        room = self._reports.room()
        if kind != _FACTS:
            return self._piece(kind, place, room)
        if not place:
            self._facts = json.dumps(faction.status_dict()).encode()
        piece = self._facts[place : place + room]
        if not piece:
            self._facts = b""
        return _FACTS, place + len(piece), piece

    def _piece(self, kind, place, room):
        """A piece of the samples' files from that place on."""
        piece = self._read(kind, place, room)
        if not piece[2] and self._app.series.unwritten():
            self._app.series.write()
            piece = self._read(piece[0], piece[1], room)
        return piece

    def _read(self, kind, place, room):
        files = []
        known = _OLDEST
        for name in (OLD, FILE):
            of = _of(name)
            if of:
                files.append((of, name))
            if of == kind:
                known = kind
        for of, name in files:
            if known in (_OLDEST, of):
                with open(name, "rb") as file:
                    file.seek(place if known == of else 0)
                    piece = file.read(room)
                    if piece or name == files[-1][1]:
                        return of, file.tell(), piece
                known = _OLDEST  # of the next file
        return _OLDEST, 0, b""

    # For a tool at the prompt

    def gathers(self):
        """Whether this board gathers now."""
        return self._always or self._until is not None

    def gather(self, seconds):
        """Gather for that time, whoever else does."""
        self._until = ticks_add(ticks_ms(), seconds * 1000)
        self._reports.set_gathers(True)

    def fetch(self, member_id, kind=_OLDEST, place=0):
        """Print what that member tells, as lines() has it."""
        for line in self.lines(member_id, kind, place):
            while line and 0 < self._app.node.first_sample.remaining_us(ticks_us()) < _NEAR_US:
                sleep_ms(1)
            if line:
                print(line)
            else:
                sleep_ms(faction.PERIOD_MS)

    def lines(self, member_id, kind, place):
        """What that member tells, in lines of JSON as they come: pieces, each with the kind and the place of what
        follows it, and "end", or "silent" when it does not answer; "" while there is none. Whoever takes them may stop
        at any. This board itself tells nothing: it gathers on. Raises ValueError."""
        if self._app.node.machine.index(member_id) < 0 or kind >> 16 or place >> 30:
            raise ValueError("no such member, kind or place")
        piece = True
        while piece:
            self.gather(_GATHERS_S)
            if member_id == self._app.node.machine.peer_id:
                break
            self._answer = None
            asked = self._asked = ticks_ms()  # first, or a tick that comes between them could end the one before
            self._question = member_id, kind, place
            while not (self._answer and self._fits(member_id, kind, place)):
                if ticks_diff(ticks_ms(), asked) > _SILENT_MS:
                    yield json.dumps(("silent", member_id))
                    return
                yield ""
            _, kind, place, piece = self._answer
            if piece:
                yield json.dumps(("piece", kind, place, "".join(chr(byte) for byte in piece)))
        self._asked = None
        self._question = ()
        yield json.dumps(("end", kind, place))

    def _fits(self, member_id, kind, place):
        """Whether what has come is the answer to that question. One of this board's earlier life may have had the same
        number; then this one is asked again."""
        answerer, of, end, piece = self._answer
        begin = end - len(piece)
        # Of a file that is there no more the oldest one is told, from its beginning.
        fits = begin == place if of == kind else not begin and _FACTS not in (of, kind)
        if fits and answerer == member_id:
            return True
        self._answer = None
        self._question = member_id, kind, place
        return False


def _of(name):
    """The kind that stands for the file of that name, None: there is none."""
    try:
        with open(name, "rb") as file:
            return 2 + crc32(file.read(_FIRST_BYTES)) % _FILES
    except OSError:
        return None

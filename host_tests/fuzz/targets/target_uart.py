"""The UART link and the node behind it: noise, cut and whole frames in any pieces, silence, and sending.

Input: a byte for the node's settings, a byte for the link's, then steps. Where nothing is sent and no time passes, the
frames that come out must be those that a plain reading of the wire finds; and after whatever it was, once the line has
been silent, the next frame comes out as it was sent.
"""

import sys

from subject import SIZES, Clock, Script, Subject

from faction.cobs import encode

MOST = 512
_FRAME = b"\x21\x00\x0a\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"
SEEDS = (
    b"",
    bytes((0, 0, 96)) + b"noise without an end".center(32) + bytes((2, 7, 0)),
    bytes((0, 0, 160, len(_FRAME))) + _FRAME + bytes((64, 3)) + b"abc" + bytes((64, 2, 0, 0)),
    bytes((0, 1, 200, 10, 200, 20, 64, 5)) + b"\x03ab\x01\x00" + bytes((255, 4)),
    bytes((1, 3, 128, 3)) + b"xyz" + bytes((255, 255, 64, 60)) + b"\xff" * 60,
)
_SILENCE_US = 400_000  # longer than any transmission, and than any random time before the next


class Wire:
    """machine.UART. What the target puts into `coming` can be read; what is written goes as far as `room` says."""

    only = None

    def __init__(self, *_, **__):
        Wire.only = self
        self.coming = bytearray()
        self.room = 255
        self.done = True

    def any(self):
        """How many bytes can be read."""
        return len(self.coming)

    def readinto(self, buffer, count):
        """Read count bytes."""
        assert count <= len(buffer), "more than there is room for"
        part = self.coming[:count]
        self.coming = self.coming[count:]
        buffer[: len(part)] = part
        return len(part)

    def write(self, data):
        """Take what there is room for."""
        return min(len(data), self.room)

    def txdone(self):
        """Whether the last bit has left."""
        return self.done

    def deinit(self):
        """Nothing to free."""


class _Pin:
    OUT = 1

    def __init__(self, *_, **__):
        self.value = lambda level: None


class _Machine:
    UART = Wire
    Pin = _Pin


sys.modules["machine"] = _Machine
from faction.links import uart  # noqa: E402 - machine first


class Line:
    """A node, its link, and what has come over the wire. settings: bit 0 a single wire, bit 1 a driver to enable."""

    def __init__(self, choice, settings):
        self.clock = Clock()
        uart.ticks_us, uart.ticks_ms = self.clock.ticks_us, self.clock.ticks_ms
        self.subject = Subject(choice, self.clock)

        class Board:
            UART = {"id": 1, "tx": 1, "rx": 2, "single_wire": settings & 1, "de": 3 if settings & 2 else None}

        members = range(SIZES[choice & 3])
        self.link = uart.UartLink({"baud": 115_200, "members": members, "node": 1}, Board)
        self.wire = Wire.only
        self.buffer = self.link.receive_buffer()
        self.sent = bytearray()  # all that has come in
        self.found = []  # all that has come out
        self.quiet = True  # nothing was sent and no time has passed

    def put(self, data):
        """Have bytes come in, and the link and the node take them."""
        self.sent.extend(data)
        self.wire.coming.extend(data)
        self.listen()

    def put_frame(self, length):
        """Have the first bytes of the subject's buffer come in as a frame, after an end mark."""
        wire = bytearray(length + 2)
        encode(self.subject.buffer, length, wire, f"{length}s")
        self.put(b"\0" + wire)

    def listen(self):
        """What the runner does at each tick, as often as bytes are left."""
        link = self.link
        room = len(self.buffer)
        while True:
            left = len(self.wire.coming) + link._end - link._at
            length = link.receive(self.buffer)
            assert 0 <= length < room == len(self.buffer), length
            if length:
                self.found.append(bytes(self.buffer[:length]))
                self.subject.hear(self.buffer, length, link.sent_us)
            elif not self.wire.any():
                break
            assert len(self.wire.coming) + link._end - link._at < left, "the link takes nothing from the wire"

    def wait(self, us):
        """Let time pass on a silent line."""
        self.quiet = False
        self.clock.wait(us)
        self.listen()
        self.link.free()

    def send(self, length):
        """Have the link send some bytes of the subject's buffer, if the line is free."""
        if self.link.free():
            self.quiet = False
            self.link.send(self.subject.buffer, length)
            self.listen()

    def check(self):
        """See that what has come out is what must, and that the link has found its way back."""
        if self.quiet:
            assert self.found == _frames(self.sent, len(self.buffer)), "not the frames that were on the wire"
        self.wire.room, self.wire.done = 255, True
        self.wait(_SILENCE_US)
        self.wait(_SILENCE_US)
        assert self.link.free(), "a silent line is never free"
        length = self.subject.seal(_FRAME)
        expected = bytes(self.subject.buffer[:length])
        self.put_frame(length)
        assert self.found[-1:] == [expected], "the frame after a silence is lost"
        assert len(self.link._views) < 256 and len(self.link._chunk) < 1200, "a buffer grows"


def _frames(data, room):
    """The frames in what came over a wire, for a receiver with that much room."""
    found = []
    for part in bytes(data).split(b"\0")[:-1]:
        frame = _plain(part)
        if frame and len(frame) < room:
            found.append(frame)
    return found


def _plain(part):
    """What a run between two end marks says, or None."""
    said = bytearray()
    while part:
        code = part[0]
        if code > len(part):
            return None
        said.extend(part[1:code])
        part = part[code:]
        if part:
            said.append(0)
    return bytes(said)


def run(data):
    """One input."""
    script = Script(data)
    choice = script.byte()
    line = Line(choice, script.byte())
    while script.more():
        step(script, line)
    line.check()


def step(script, line):
    """One step: bytes as they come, a frame, time, or an attempt to send."""
    kind = script.byte()
    if kind < 128:
        line.put(script.piece(kind & 63) * (8 if kind & 64 else 1))
    elif kind < 192:
        length = line.subject.seal(script.piece(script.byte()))
        if kind & 1:
            line.subject.buffer[length // 2] ^= 1
        line.put_frame(length)
    elif kind < 224:
        line.wait(1 << kind - 192 if kind < 212 else 1000)
    else:
        line.wire.room = script.byte()
        line.wire.done = kind & 1 == 0
        line.send(1 + (kind - 224) % (len(line.buffer) - 2))

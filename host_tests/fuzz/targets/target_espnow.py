"""The ESP-NOW link over the shims of espnow and network, and the node behind it: whatever is in the air.

Input: a byte for the node's settings, then steps: packets of any length, of which the ring drops some, a radio or a
WiFi that is turned off, time, and sending. What the ring has taken comes out in order and as it was, but for what a
packet without a byte, or with more than its ring can tell the length of, takes with it; and after whatever it was, once
WiFi is on again and the link has had the time to begin its ring anew, the next packet comes out.

The folder of the shims is the second last argument of a script on MicroPython, and known on CPython.
"""

import sys

from subject import SIZES, Clock, Script, Subject

if sys.implementation.name == "cpython":
    import time

    from swarm.paths import SHIMS

    sys.modules.setdefault("utime", time)
    _path = str(SHIMS / "device")
else:
    _path = sys.argv[-2]
if sys.platform == "webassembly":  # its os has no environment

    class _Os:
        getenv = staticmethod(lambda name: None)

    sys.modules["os"] = _Os
sys.path.insert(0, _path)
import _chip  # noqa: E402
import _espnow  # noqa: E402
import network  # noqa: E402

sys.path.pop(0)  # its time is a virtual board's
from faction.links import espnow as espnow_link  # noqa: E402 - _espnow first

MOST = 512
_PING = b"\x21\x00\x0a\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"
SEEDS = (
    b"",
    bytes((0, 64, 3)) + b"abc" + bytes((30,)),  # a packet that waits for longer than ticks_us can tell
    bytes((0, 128, len(_PING))) + _PING + bytes((0, 64, 3)) + b"abc" + b"\x00\x40\x00\x00",
    bytes((1, 160, 4)) + b"long" + bytes((128, 2, 0, 0, 192, 64, 3)) + b"abc\x00\xd0\xc1\xff\xf0",
    bytes((2, 64, 250)) + bytes(250) + bytes((64, 250)) + bytes(250) + bytes((64, 250)) + bytes(250) + b"\x00",
)
_SOURCE = b"\x02\xfa\xc7\x10\x00\x02"
_CHANNEL = 6
_LONG = 300  # of ESP-NOW version 2, whose packets a receiver with 250 bytes of room cannot take
_ROUND = 40  # more than the ring holds
_ANEW_US = 60_000  # in which the link begins a ring anew that is out of step, and turns a radio on
_LOOK_US = 20_000  # the radio is waited for up to two seconds


class Air:
    """What is around the board: packets come to it, and what it sends has left when it should."""

    def __init__(self, clock):
        self._clock = clock
        self.leaves = True  # whether the radio tells that a packet has left
        _chip.air.listeners.clear()
        _chip.air.transmit = self._take
        _chip.true_us = self._tick
        espnow_link.ticks_us, espnow_link.ticks_ms, espnow_link.sleep_us = clock.ticks_us, clock.ticks_ms, clock.wait

    def _tick(self):
        self._clock.wait(_LOOK_US)  # a call takes time, so that a loop that waits for something ends
        return self._clock.true_us

    def _take(self, datagram):
        if datagram[0] == _chip.TRANSMIT and self.leaves:
            self._tell(bytes((_chip.DEPARTED, 1)))

    def put(self, packet):
        """Have a packet come to the board."""
        self._tell(bytes((_chip.RECEIVED,)) + _SOURCE + b"\xd8" + bytes(packet))

    def _tell(self, datagram):
        for listener in _chip.air.listeners:
            listener(bytearray(datagram), 0, len(datagram))


class Board:
    """A node, its link, and what the ring holds."""

    def __init__(self, choice):
        self.clock = Clock()
        self.subject = Subject(choice, self.clock)
        self.air = Air(self.clock)
        _espnow.ESPNowBase._only = None  # a board that has just started
        network.WLAN._interfaces.clear()
        self.link = espnow_link.EspNowLink({"channel": _CHANNEL, "members": range(SIZES[choice & 3])}, None)
        self.radio = _espnow.ESPNowBase()
        self.station = network.WLAN(network.STA_IF)
        self.buffer = self.link.receive_buffer()
        self.ring = []  # the packets that must come out
        self.torn = False  # by a packet whose length the ring does not tell

    def put(self, packet):
        """A packet in the air: the ring takes it, or drops it, which the radio counts."""
        dropped = self.radio.stats()[4]
        on = self.radio.active()
        self.air.put(packet)
        if on and self.radio.stats()[4] == dropped:
            self.torn = self.torn or not 0 < len(packet) <= self.link.mtu
            self.ring.append(bytes(packet))

    def listen(self):
        """What the runner does at each tick, until nothing comes."""
        for _ in range(_ROUND):
            length = self.link.receive(self.buffer)
            if length:
                assert self.torn or bytes(self.buffer[:length]) == self.ring.pop(0), "not the next packet"
                self.subject.hear(self.buffer, length, self.link.sent_us)
            elif self.torn and self.radio.active() and self.radio.any():
                self.clock.wait(_ANEW_US)
            else:
                assert self.torn or not self.ring, "a packet does not come out"
                self.torn = False
                self.ring.clear()
                return
        raise AssertionError("more comes out than has come in")

    def turn(self, on):
        """Turn the radio on or off, which empties its ring. OSError while WiFi is off."""
        try:
            self.radio.active(on)
        except OSError:
            assert not self.station.active()
        if not self.radio.active():
            self.torn = False
            self.ring.clear()

    def send(self, length):
        """Have the link send some bytes of the subject's buffer; a radio that cannot is counted."""
        link = self.link
        told = link.sent + link.send_errors
        if link.free():
            link.send(self.subject.buffer, length)
            assert link.sent + link.send_errors == told + 1, "a frame that is neither sent nor an error"

    def check(self):
        """See that the link has found its way back."""
        self.station.active(True)
        self.station.config(channel=_CHANNEL)
        self.listen()
        self.clock.wait(_ANEW_US)
        self.listen()
        length = self.subject.seal(_PING)
        expected = bytes(self.subject.buffer[:length])
        self.air.put(expected)
        assert self.link.receive(self.buffer) == length and bytes(self.buffer[:length]) == expected
        assert self.link.counters()["received"] == self.link.received


def run(data):
    """One input."""
    script = Script(data)
    board = Board(script.byte())
    while script.more():
        step(script, board)
    board.check()


def step(script, board):
    """One step."""
    kind = script.byte()
    if kind < 64:
        board.clock.wait(1 << kind % 31)  # up to eighteen minutes
        board.listen()
    elif kind < 128:
        packet = script.piece(script.byte())
        board.put(packet + bytes(_LONG) if kind & 32 else packet)
    elif kind < 192:
        length = board.subject.seal(script.piece(script.byte()))
        if kind & 1:
            board.subject.buffer[length // 2] ^= 1
        board.put(board.subject.buffer[:length])
    elif kind < 240:
        board.air.leaves = kind & 1 == 0
        board.send(1 + script.byte())  # of up to 256 bytes: the radio takes 250
    elif kind < 248:
        board.turn(kind & 1 == 1)
    else:
        board.station.active(kind & 1 == 1)

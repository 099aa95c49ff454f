"""The UDP link and the node behind it: datagrams of any length, a queue that is full, sockets that end, and WiFi that
comes and goes.

Input: a byte for the node's settings, a byte for the link's, then steps. While all datagrams are as long as the
swarm's, those that the queue holds come out in order and as they were, but for those without a length; and after
whatever it was, once the station has joined and the queue was emptied, the next frame comes out.
"""

import sys

from subject import SIZES, Clock, Script, Subject

MOST = 512
_FRAME = b"\x21\x00\x0a\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"
SEEDS = (
    b"",
    bytes((0, 0, 255, 64, 5)) + b"short" + bytes((64, 255)) + bytes(255) + bytes((18, 224, 40)),
    bytes((0, 1, 255, 128, len(_FRAME))) + _FRAME + bytes((96, 0, 3, 129, 9)) + b"forged..." + bytes((3,)),
    bytes((1, 1, 255, 20, 192, 30, 194, 30, 225, 192, 9, 240, 29, 255, 29, 226)),
    bytes((2, 3, 64, 0, 128, 2, 1, 2, 128, 2, 3, 4, 128, 2, 5, 6, 128, 2, 7, 8, 128, 2, 9, 9, 0)),
)
_JOINED, _LOST = 3, 1
_QUEUE = (4, 6)  # datagrams that an RP2040 holds (extmod/modlwip.c), and an ESP32
_LOOK_US = 300_000  # in which the link looks at WiFi
_TRIES = 40  # more than any queue


class Socket:
    """A socket as both ports have it: readinto() goes on until its buffer is full (py/stream.c, mp_stream_rw), so that
    it runs datagrams together; what does not fit of one is lost. deadly: an empty one ends the socket for good, as on
    an ESP32 (ports/esp32/modsocket.c, _socket_read_data)."""

    deadly = False
    full = False  # sendto() has no memory
    broken = False  # readinto() fails
    only = None  # the one that was made last

    def __init__(self, *_):
        Socket.only = self
        self.queue = []
        self.ended = False

    def setsockopt(self, *_):
        """Any option."""

    setblocking = bind = setsockopt

    def put(self, datagram):
        """Have one come; whether there is room for it."""
        if len(self.queue) >= _QUEUE[self.deadly]:
            return False
        self.queue.append(bytes(datagram))
        return True

    def readinto(self, buffer):
        """Fill the buffer."""
        if self.broken:
            raise OSError(9)
        done = 0
        while done < len(buffer) and not self.ended:
            if not self.queue:
                return done or None
            part = self.queue.pop(0)[: len(buffer) - done]
            if not part:
                self.ended = self.deadly
                return done
            buffer[done : done + len(part)] = part
            done += len(part)
        return done

    def sendto(self, data, address):
        """Take a datagram."""
        assert address is not None, "sent before the station has joined"
        if self.full:
            raise OSError(12)
        return len(data)

    def close(self):
        """Nothing to free."""


class _Sockets:
    AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_REUSEADDR, SO_BROADCAST = range(5)
    socket = Socket

    def getaddrinfo(host, port):
        return [(2, 2, 0, "", (host, port))]


class _Station:
    """The station of a board; status: how joining went."""

    PM_NONE = 0
    status_ = _LOST

    def __init__(self, *_, **__):
        pass

    active = config = connect = __init__

    def isconnected(self):
        return _Station.status_ == _JOINED

    def status(self):
        return _Station.status_

    def ifconfig(self):
        return ("192.168.7.77", "255.255.252.0", "192.168.4.1", "192.168.4.1")


class _Network:
    WLAN = _Station
    STA_IF, AP_IF = 0, 1
    STAT_WRONG_PASSWORD, STAT_NO_AP_FOUND = -3, -2


_before = {name: sys.modules.get(name) for name in ("socket", "network")}
sys.modules["socket"], sys.modules["network"] = _Sockets, _Network
from faction.links import udp  # noqa: E402 - these first

for _name, _module in _before.items():
    if _module is None:
        del sys.modules[_name]
    else:
        sys.modules[_name] = _module
udp.read_password = lambda path: None


class Net:
    """A node, its link, and what its socket holds. settings: bit 0 an ESP32's socket."""

    def __init__(self, choice, settings):
        self.clock = Clock()
        udp.ticks_us, udp.ticks_ms = self.clock.ticks_us, self.clock.ticks_ms
        self.subject = Subject(choice, self.clock)
        Socket.deadly, Socket.full, Socket.broken = settings & 1 == 1, False, False
        _Station.status_ = _LOST
        config = {"ssid": "net", "udp_port": 1, "node": 1, "members": range(SIZES[choice & 3]), "wifi": "-"}
        self.link = udp.UdpLink(config, None)
        self.buffer = self.link.receive_buffer()
        self.held = []  # the frames that must come out
        self.torn = False  # by a datagram of another length

    def put(self, datagram):
        """A datagram comes."""
        if not Socket.only.put(datagram):
            return
        size = len(self.buffer)
        if len(datagram) != size:
            self.torn = True
        elif 0 < datagram[-1] < size:
            self.held.append(bytes(datagram[: datagram[-1]]))

    def put_frame(self, length):
        """The first bytes of the subject's buffer come as a frame."""
        size = len(self.buffer)
        length = min(length, size - 1)
        self.put(bytes(self.subject.buffer[:length]) + bytes(size - 1 - length) + bytes((length,)))

    def listen(self):
        """What the runner does at each tick, until nothing comes."""
        link = self.link
        for _ in range(_TRIES):
            if not link.pending():
                break
            length = link.receive(self.buffer)
            if Socket.broken:
                self.held.clear()
            elif length:
                assert self.torn or bytes(self.buffer[:length]) == self.held.pop(0), "not the next frame"
                self.subject.hear(self.buffer, length, link.sent_us)
            elif not Socket.only.queue:
                break
        else:
            assert Socket.broken, "more comes out than has come in"
        assert self.torn or not self.held, "a frame does not come out"
        self.torn = Socket.only.ended or bool(Socket.only.queue)
        self.held.clear()

    def send(self, length):
        """Have the link send some bytes of the subject's buffer; what cannot be sent is counted."""
        link = self.link
        told = link.sent + link.send_errors
        if link.free():
            link.send(self.subject.buffer, length)
            assert link.sent + link.send_errors == told + 1, "a frame that is neither sent nor an error"

    def check(self):
        """See that the link has found its way back."""
        Socket.broken = Socket.full = False
        for status in (_LOST, _JOINED):
            _Station.status_ = status
            self.clock.wait(_LOOK_US)
            self.torn = True
            self.listen()
            assert self.link.free() == (status == _JOINED), "it can send when it cannot"
        assert self.link.error is None, "it has joined"
        length = self.subject.seal(_FRAME)
        expected = bytes(self.subject.buffer[:length])
        self.torn = False
        self.put_frame(length)
        assert self.link.receive(self.buffer) == length and bytes(self.buffer[:length]) == expected
        assert self.link.counters()["received"] == self.link.received


def run(data):
    """One input."""
    script = Script(data)
    choice = script.byte()
    net = Net(choice, script.byte())
    while script.more():
        step(script, net)
    net.check()


def step(script, net):
    """One step."""
    kind = script.byte()
    if kind < 64:
        net.clock.wait(1 << kind % 31)  # up to eighteen minutes
        net.listen()
    elif kind < 128:
        size = len(net.buffer)
        datagram = script.piece(script.byte())
        net.put((datagram, (bytes(size) + datagram)[-size:], datagram + bytes(size))[kind % 3])
    elif kind < 192:
        length = net.subject.seal(script.piece(script.byte()))
        if kind & 1:
            net.subject.buffer[length // 2] ^= 1
        net.put_frame(length)
    elif kind < 224:
        net.send(1 + script.byte() % (len(net.buffer) - 2))
    elif kind < 240:
        Socket.full, Socket.broken = kind & 1 == 1, kind & 2 == 2
    else:
        _Station.status_ = (_JOINED, _LOST, -3, -2)[~kind & 3]

"""The UDP link: on real sockets as virtual boards have them, and on sockets as cruel as lwIP's on both chips."""

import importlib.util
import sys
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import frames_on_stack
from device_script import run
from requirements import require, require_broadcast
from swarm import paths
from swarm.device import config as device_config
from swarm.rig.demo.udp import free_port
from swarm.runtimes.measure import allocation

LINK = paths.LIB / "faction" / "links" / "udp.py"
SSID, PASSWORD = "roof", "secret99"
EMPTY, FOREIGN, LONG = b"", bytes((9, 9, 9)), bytes(300)
SIZE = 83  # a datagram of up to eight members: their longest frame has 82 bytes
FRAME = bytes((0x21, 0, 1, 2, 3, 4, 2, 0)) + bytes(26)  # of member 2


class Socket:
    """A datagram socket of lwIP's: readinto() goes on until its buffer is full (py/stream.c, mp_stream_rw), what does
    not fit of a datagram is lost, and so is whatever comes while the queue is full.

    deadly: an empty datagram ends it for good, as on an ESP32 (ports/esp32/modsocket.c, _socket_read_data).
    """

    def __init__(self, world):
        self.world = world
        self.queue = []
        self.options = []
        self.ended = False
        world.sockets.append(self)

    def setsockopt(self, level, option, value):
        self.options.append((level, option, value))

    def setblocking(self, on):
        assert not on, "a callback must not wait"

    def bind(self, address):
        self.address = address

    def put(self, *datagrams):
        self.queue += datagrams[: self.world.depth - len(self.queue)]

    def readinto(self, buffer):
        if self.world.broken:
            raise OSError(9)
        done = 0
        while done < len(buffer):
            if self.ended:
                return done
            if not self.queue:
                return done or None
            part = self.queue.pop(0)[: len(buffer) - done]
            if not part:
                self.ended = self.world.deadly
                return done
            buffer[done : done + len(part)] = part
            done += len(part)
        return done

    def sendto(self, data, address):
        if self.world.full:
            raise OSError(12)  # ENOMEM: no pbuf is left
        self.world.sent.append((bytes(data), address))
        return len(data)

    def close(self):
        self.world.closed.append(self)


class Station:
    """network.WLAN of a station: what has been asked of it, and what it answers."""

    PM_NONE = 0xA11140
    active_ = None

    def __init__(self, world):
        self.world = world

    def __call__(self, interface):
        self.interface = interface
        return self

    def active(self, on):
        self.world.asked.append(("active", self.interface, on))

    def config(self, **what):
        self.world.asked.append(("config", what))

    def connect(self, ssid, key):
        self.world.asked.append(("connect", ssid, key))
        if self.world.refuses:
            raise OSError("Wifi Internal State Error")

    def isconnected(self):
        return self.world.status == 3

    def status(self):
        return self.world.status

    def ifconfig(self):
        return ("192.168.7.77", "255.255.252.0", "192.168.4.1", "192.168.4.1")


class World:
    """What a link stands on; time goes on when it is told to."""

    def __init__(self, monkeypatch, folder, platform="rp2", members=3, password=PASSWORD):
        self.depth, self.deadly = 4, platform == "esp32"
        self.broken = self.full = self.refuses = False
        self.status = 1
        self.sockets, self.closed, self.sent, self.asked = [], [], [], []
        self.now = (1 << 30) - 1000  # ticks wrap soon
        network = types.ModuleType("network")
        station = Station(self)
        network.__dict__.update(WLAN=station, STA_IF=0, AP_IF=1, STAT_WRONG_PASSWORD=-3, STAT_NO_AP_FOUND=-2)
        sockets = types.ModuleType("socket")
        sockets.__dict__.update(AF_INET=2, SOCK_DGRAM=2, SOL_SOCKET=1, SO_REUSEADDR=4, SO_BROADCAST=32)
        sockets.__dict__.update(
            socket=lambda *_: Socket(self), getaddrinfo=lambda host, port: [(2, 2, 0, "", (host, port))]
        )
        monkeypatch.setitem(sys.modules, "network", network)
        monkeypatch.setitem(sys.modules, "socket", sockets)
        monkeypatch.setattr(sys, "platform", platform)
        spec = importlib.util.spec_from_file_location("udp_under_test", LINK)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.undo()
        module.sys = types.SimpleNamespace(platform=platform)
        module.ticks_ms = lambda: self.now & (1 << 30) - 1
        module.ticks_us = lambda: self.now * 1000 & (1 << 30) - 1
        self.file = folder / "faction.wifi"
        self.file.write_text(f"{password}\n" if password else "")
        self.config = {
            "ssid": SSID, "udp_port": 47017, "node": 1, "members": list(range(members)), "wifi": str(self.file)
        }  # fmt: skip
        self.module = module

    def link(self):
        """A link, and a buffer for what it receives."""
        made = self.module.UdpLink(self.config, None)
        return made, made.receive_buffer()

    def joined(self):
        """A link whose station has joined, and a buffer."""
        link, buffer = self.link()
        self.status = 3
        self.tick(link, buffer)
        assert link.free()
        return link, buffer

    def tick(self, link, buffer, ms=250):
        """Let time pass, and the runner look at the link."""
        self.now += ms
        return link.receive(buffer)

    def joins(self):
        """How often it has begun to join."""
        return sum(what[0] == "connect" for what in self.asked)


@pytest.fixture(params=("rp2", "esp32"))
def world(request, monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path, request.param)


def datagram(frame, size=SIZE):
    """A frame as it is in the air."""
    return frame + bytes(size - 1 - len(frame)) + bytes((len(frame),))


def test_it_joins_without_waiting_and_with_a_radio_that_stays_awake(world):
    link, buffer = world.link()
    assert world.asked == [
        ("active", 1, False),
        ("active", 0, False),
        ("active", 0, True),
        ("config", {"pm": 0xA11140}),
        ("connect", SSID, PASSWORD.encode()),
    ]
    assert not link.free() and link.counters()["WiFi"] == "joining", "the node has nothing sent before"
    world.status = 3
    assert world.tick(link, buffer) == 0 and link.free() and link.counters()["WiFi"] == "joined"
    (socket,) = world.sockets
    assert socket.options == [(1, 4, 1), (1, 32, 1)] and socket.address == ("0.0.0.0", 47017)


def test_frames_go_to_everybody_in_the_network_and_tell_their_length(world):
    link, _ = world.joined()
    given = bytearray(82)
    given[: len(FRAME)] = FRAME
    assert link.send(given, len(FRAME)) is None, "when it leaves nobody knows"
    assert world.sent == [(datagram(FRAME), ("192.168.7.255", 47017))]
    link.send(bytearray(82), 82)
    assert world.sent[1][0][-1] == 82
    world.full = True
    link.send(given, 34)
    assert link.error is None, "it passes, and the status tells it"
    assert (link.sent, link.send_errors) == (2, 1)


@pytest.mark.parametrize("others", [(), (FOREIGN,), (LONG,), (FOREIGN, LONG), (bytes(SIZE),)])
def test_datagrams_that_wait_are_told_apart_whatever_is_between_them(world, others):
    link, buffer = world.joined()
    world.sockets[0].put(datagram(FRAME), *others[:1], *others[1:], datagram(FRAME + b"x"))
    heard = []
    while length := link.receive(buffer):
        heard.append(bytes(buffer[:length]))
    # One that is too short runs into the next one, which is lost with it.
    lost = FOREIGN in others[-1:]
    assert heard == [FRAME] + [FRAME + b"x"] * (not lost), heard
    assert link.received == len(heard) and link.noise <= len(others)


def test_what_is_no_frame_is_counted_and_a_flood_of_it_ends(world):
    link, buffer = world.joined()
    world.depth = 100
    world.sockets[0].put(*[bytes((255,)) * SIZE] * 50)
    assert link.receive(buffer) == 0 and link.noise == 4, "the rest at the next tick"


def test_an_empty_datagram_makes_nobody_deaf(world):
    link, buffer = world.joined()
    world.sockets[0].put(EMPTY)
    assert link.receive(buffer) == 0 and world.closed == [world.sockets[0]]
    world.sockets[-1].put(datagram(FRAME))
    assert link.receive(buffer) == len(FRAME) and link.receive_errors == 1
    world.broken = True
    assert link.receive(buffer) == 0 and link.receive_errors == 2, "a socket that fails is begun anew as well"


def test_what_is_pending_is_received_after_it_and_lost_nowhere(world):
    link, buffer = world.joined()
    assert not link.pending() and not link.receive(buffer)
    world.sockets[0].put(datagram(FRAME), datagram(FRAME + b"x"), EMPTY)
    assert link.pending() and link.pending(), "however often it is asked"
    assert link.receive(buffer) == len(FRAME) and bytes(buffer[: len(FRAME)]) == FRAME
    assert link.receive(buffer) == len(FRAME) + 1, "without being asked"
    assert link.pending() and link.receive(buffer) == 0 and link.receive_errors == 1
    assert not link.pending()
    world.now += 250
    assert link.pending(), "to look at WiFi"


@given(st.lists(st.binary(max_size=100) | st.just(EMPTY) | st.sampled_from((datagram(FRAME), LONG)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_raises_nothing_and_ends(tmp_path_factory, datagrams):
    with pytest.MonkeyPatch.context() as patch:
        world = World(patch, tmp_path_factory.getbasetemp(), "esp32")
    link, buffer = world.joined()
    for one in datagrams:
        world.sockets[-1].put(one)
        if link.pending():
            length = link.receive(buffer)
            assert 0 <= length < SIZE and len(world.sockets) <= len(datagrams) + 1
    for _ in datagrams:
        link.receive(buffer)
    world.sockets[-1].put(datagram(FRAME))
    assert link.receive(buffer) == len(FRAME), "nor is it deaf"


def test_frames_sent_without_anybody_heard_are_counted(world):
    link, buffer = world.joined()
    for _ in range(9):
        link.send(bytearray(82), 34)
    world.sockets[0].put(datagram(FRAME[:6] + b"\x01" + FRAME[7:]))
    assert link.receive(buffer) and link.counters()["unheard"] == 9, "the own frame, which an access point sends back"
    world.sockets[0].put(datagram(FRAME))
    assert link.receive(buffer) and link.counters()["unheard"] == 0


@pytest.mark.parametrize(("status", "why"), [(-3, "wrong password"), (-2, "not found")])
def test_why_it_cannot_join_is_told_once_without_the_password(world, status, why):
    link, buffer = world.link()
    world.status = status
    world.tick(link, buffer)
    assert link.counters()["WiFi"] == why and link.error is None, "an access point may still be starting, too"
    world.tick(link, buffer, 180_000)
    told = link.error
    assert str(told) == f"WiFi {SSID}: {why}: correct it, then deploy again"
    world.tick(link, buffer, 30_000)
    assert link.error is told and link.counters()["WiFi"] == why
    assert PASSWORD not in str(link.counters()) + str(told)
    world.status = 3
    world.tick(link, buffer)
    assert link.error is None and link.free()


def test_a_network_that_goes_is_joined_again(world):
    link, buffer = world.joined()
    begun = world.joins()
    world.status = -2
    world.tick(link, buffer)
    assert not link.free() and link.error is None, "an access point that restarts is no mistake"
    for _ in range(120):
        world.tick(link, buffer)
    tried = world.joins() - begun
    assert tried == (0 if world.deadly else 2), "every 15 s; an ESP32 tries by itself"
    world.status = 3
    world.tick(link, buffer)
    assert link.free() and link.counters()["joined"] == 2
    link.close()
    assert world.asked[-1] == ("active", 0, False) and world.closed == world.sockets


def test_a_password_that_cannot_be_one_is_refused_and_not_shown(monkeypatch, tmp_path):
    world = World(monkeypatch, tmp_path)
    for text, why in (("short77", "not 8 to 64 characters"), ("x" * 65, "not 8 to 64 characters"), (None, "readable")):
        if text is None:
            world.file.unlink()
        else:
            world.file.write_text(text)
        with pytest.raises(ValueError, match=why) as caught:
            world.link()
        assert "write the WiFi's password" in str(caught.value) and (text or "?") not in str(caught.value)
    world.config["ssid"] = None
    with pytest.raises(ValueError, match="ssid: null: write the name"):
        world.link()


def test_a_network_without_a_password_has_an_empty_file(monkeypatch, tmp_path):
    world = World(monkeypatch, tmp_path, password="")
    world.link()
    assert world.asked[-1] == ("connect", SSID, None)


REAL = """
sys.path.append({lib!r})
from time import sleep_ms, ticks_diff, ticks_ms
import network
from faction.links.udp import UdpLink

def made(node, ssid={ssid!r}):
    config = {{"ssid": ssid, "udp_port": {port}, "node": node, "members": [1, 2, 3], "wifi": "faction.wifi"}}
    link = UdpLink(config, None)
    return link, link.receive_buffer()

def until(done, *links):
    began = ticks_ms()
    while not done() and ticks_diff(ticks_ms(), began) < 20000:
        for link, buffer in links:
            link.receive(buffer)
        sleep_ms(2)
    return done()
"""


def on_boards(tmp_path, code):
    """Run code on a board in whose neighbourhood there is an access point."""
    require_broadcast()
    home = tmp_path / "board"
    home.mkdir()
    (tmp_path / "access_point").write_text(f"{SSID}\n{PASSWORD}\n")
    (home / "faction.wifi").write_text(f"{PASSWORD}\n")
    return run(require("unix"), REAL.format(lib=str(paths.LIB), ssid=SSID, port=free_port()) + code, directory=home)


def test_on_real_sockets_frames_reach_everybody_whole_and_apart(tmp_path):
    code = """
one, two = made(1), made(2)
assert until(lambda: one[0].free() and two[0].free(), one, two)
frame = bytearray(82)
for length in (34, 82, 40):
    frame[0] = length
    one[0].send(frame, length)
heard = [[], []]
def done():
    for (link, buffer), lengths in zip((one, two), heard):
        length = link.receive(buffer)
        if length:
            lengths.append([length, buffer[0]])
    return len(heard[0]) + len(heard[1]) == 6
until(done)
other = one[0]._socket
other.sendto(b"", two[0]._to)
other.sendto(bytes(300), two[0]._to)
until(lambda: two[0].receive_errors, two)
one[0].send(frame, 40)
until(lambda: two[0].receive(two[1]) == 40)
show([heard, two[0].counters(), one[0].counters()["sent"]])
"""
    heard, counters, sent = on_boards(tmp_path, code)
    assert heard == [[[34, 34], [82, 82], [40, 40]]] * 2, "its own come back to a board too"
    assert counters["received"] == 4 and counters["receive_errors"] == 1 and sent == 4
    assert counters["WiFi"] == "joined"


def test_on_real_sockets_no_call_takes_memory(tmp_path):
    code = """
import gc
one, two = made(1), made(2)
assert until(lambda: one[0].free() and two[0].free(), one, two)
frame = bytearray(82)
one[0].send(frame, 34)
two[0].receive(two[1])
gc.disable()
before = gc.mem_alloc()
for _ in range(50):
    one[0].send(frame, 34)
    one[0].pending()
    one[0].receive(one[1])
    while two[0].receive(two[1]):
        pass
show([gc.mem_alloc() - before, two[0].received > 40])
"""
    assert on_boards(tmp_path, code) == [0, True]


def test_the_virtual_boards_access_point_is_as_a_chip_sees_one(tmp_path):
    code = """
import os
wlan = network.WLAN(network.STA_IF)
down = error_of(wlan.connect, "roof", b"secret99")
lost, _ = made(1, "cellar")
until(lambda: lost.counters()["WiFi"] != "joining", (lost, _))
wrong = network.WLAN(network.STA_IF)
wrong.connect("roof", b"secret98")
until(lambda: wrong.status() == network.STAT_WRONG_PASSWORD)
refused = wrong.status() == network.STAT_WRONG_PASSWORD
one = made(1)
joined = until(one[0].free, one)
os.rename("../access_point", "../away")
gone = until(lambda: not one[0].free(), one)
os.rename("../away", "../access_point")
for _ in range(300):
    one[0].receive(one[1])
    sleep_ms(2)
stays = one[0].counters()["WiFi"]
one[0]._join_ms = ticks_ms()
show([down, lost.counters()["WiFi"], refused, joined, gone, stays, until(one[0].free, one), wlan.config("pm")])
"""
    down, error, refused, joined, gone, stays, again, pm = on_boards(tmp_path, code)
    assert down == ["OSError", "Wifi Not Started"] and error == "not found"
    assert refused and joined and gone and pm == 0
    assert stays == "not found", "it does not join again by itself"
    assert again


def test_no_call_takes_memory_on_a_32_bit_board(tmp_path):
    password = tmp_path / "faction.wifi"
    password.write_text(PASSWORD)
    setup = f"""
from faction.links.udp import UdpLink
config = {{"ssid": "roof", "udp_port": 47017, "node": 1, "members": [1, 2, 3], "wifi": {str(password)!r}}}
link = UdpLink(config, None)
buffer = link.receive_buffer()
link.receive(buffer)
out = bytearray(82)
"""
    cases = {"send and receive": (setup, "link.free()\nlink.send(out, 34)\nlink.pending()\nlink.receive(buffer)")}
    where = {"paths": [paths.LIB, paths.SHIMS / "heap", paths.SHIMS / "wasm"], "files": [password]}
    assert allocation.each("wasm", cases, calls=20, **where) == {"send and receive": 0}


def test_no_function_takes_its_frame_from_the_heap():
    words = frames_on_stack.words(LINK)
    once = ("UdpLink.__init__", "UdpLink._broadcast", "UdpLink._broadcast.<listcomp>", "UdpLink._open", "read_password")
    words = {name: count for name, count in words.items() if name not in once}
    assert len(words) >= 2
    assert {name: count for name, count in words.items() if count > frames_on_stack.LIMIT} == {}


def test_the_tools_know_its_shortest_interval():
    assert f"imin_ms = {device_config.imin_ms('udp', 20, 0)}\n" in LINK.read_text()


def test_time_is_told_when_a_frame_is_read(world):
    link, buffer = world.joined()
    world.sockets[0].put(datagram(FRAME))
    world.tick(link, buffer, 7)
    assert link.sent_us == world.now * 1000 & (1 << 30) - 1, "an access point may have kept it for no time"

"""A link over WiFi, for boards in one network: frames as UDP broadcasts, which an access point passes on to everybody.

It is the link of a Pico W, whose radio has no ESP-NOW. The station joins, and joins again, while the node goes on.

readinto() alone takes no memory, and goes on until its buffer is full, so that it runs datagrams together (py/stream.c,
mp_stream_rw): so each is as long as the buffer, and the next call begins with the next. What is longer is cut, on every
port; what is shorter costs the one behind it.
"""

import socket
import sys
from struct import pack_into
from time import ticks_add, ticks_diff, ticks_ms, ticks_us

import network
from micropython import const

from faction.frame import max_length

_LOOK_MS = const(250)  # between two looks at WiFi
_JOIN_MS = const(15_000)  # between two attempts to join: one takes some seconds
_PATIENCE_MS = const(180_000)  # after a power cut the access point takes longer than this board to come up
_QUEUE = const(4)  # datagrams that an RP2040 holds (extmod/modlwip.c); an ESP32 holds six
_SENDER = const(6)  # where a frame has its sender (PROTOCOL.md)


def read_password(path):
    """The network's password, None for one that has none, whose file is empty.

    Raises ValueError, which does not show it, for a file that cannot be read, and for what is no password of WPA.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().rstrip(b"\r\n")
    except OSError as error:
        raise ValueError("%s: not readable (%s): write the WiFi's password there" % (path, error))
    if text and not 8 <= len(text) <= 64:
        raise ValueError("%s: not 8 to 64 characters: write the WiFi's password again" % path)
    return text or None


class UdpLink:
    """A link over UDP.

    config: a dict with `ssid`, `udp_port`, `node`, `members`, and `wifi`, the file with the password; board: the
    board's data, which this link does not need. Raises ValueError or OSError when there is no password or no radio.

    unheard: frames sent since somebody else was heard: many, with others there, when an access point keeps its clients
    apart. error: why it has not joined three minutes after its start, if it has not.
    """

    mtu = 250
    # An access point keeps broadcasts for its next beacon of 102 ms while any client saves power, a phone for example.
    # So long nobody hears what another has said. At ESP-NOW's 16 ms all would say the same, in the simulation in three
    # times as many frames, to conclude a tenth of a second sooner; and those come at once to a board that holds four.
    imin_ms = 128

    def __init__(self, config, board):
        self._ssid = config["ssid"]
        if self._ssid is None:
            raise ValueError("faction.json: ssid: null: write the name of the WiFi network that udp is to join")
        self._password = read_password(config["wifi"])
        self._port = config["udp_port"]
        self._node = config["node"]
        longest = max_length(len(config["members"]), config.get("round_ms"))
        if config.get("gateway") is not None:
            longest = self.mtu
        self._copy = "%ds" % longest
        self._wire = bytearray(longest + 1)  # the frame, whatever was behind it, and its length
        self._buffer = bytearray(longest + 1)
        self._got = None  # length of the datagram in it that receive() has not seen, None: there is none
        self._to = None  # the network's broadcast address, while the station has joined
        self._state = "joining"
        self.joined = 0
        self.sent_us = ticks_us()
        self.sent = self.received = self.unheard = self.send_errors = self.receive_errors = self.noise = 0
        self.error = None
        network.WLAN(network.AP_IF).active(False)
        self._station = network.WLAN(network.STA_IF)
        self._station.active(False)  # it outlives a soft reset
        self._station.active(True)
        self._station.config(pm=network.WLAN.PM_NONE)  # else the radio sleeps, and loses what comes then
        self._socket = self._open()
        self._look_ms = ticks_ms()
        self._patient_ms = ticks_add(self._look_ms, _PATIENCE_MS)
        self._join(self._look_ms)

    def receive_buffer(self):
        """The buffer for receive(): of a datagram's length, neither more nor less. pending() reads into it."""
        return self._buffer

    def on_receive(self, callback):
        """Nothing: the runner's timer calls often enough. An ESP32 would call it in the middle of another call."""

    def free(self):
        """Whether a frame can be sent now: the station has joined."""
        return self._to is not None

    def pending(self):
        """Whether receive() has something to do: a datagram has come, or it is time to look at WiFi."""
        if self._got is None:
            self._got = self._read()
        return self._got is not None or ticks_diff(ticks_ms(), self._look_ms) >= 0

    def send(self, buffer, length):
        """Broadcast the first length bytes of buffer. Returns None: neither WiFi nor an access point tells when they
        leave. An error is counted, since most pass by themselves."""
        pack_into(self._copy, self._wire, 0, buffer)
        self._wire[-1] = length
        self._give()

    def receive(self, buffer):
        """Take the next frame that has come into buffer, that of receive_buffer(); returns its length, or 0 for none.

        sent_us is then now: the access point may have kept it for any time, and none at all.
        """
        now = ticks_ms()
        if ticks_diff(now, self._look_ms) >= 0:
            self._look_ms = ticks_add(now, _LOOK_MS)
            self._look(now)
        tries = _QUEUE
        while tries:
            tries -= 1
            got = self._read() if self._got is None else self._got
            self._got = None
            if got == 0:
                self._begin_anew()
            if not got:
                break
            length = buffer[got - 1]
            if 0 < length < got:
                self.sent_us = ticks_us()
                self.received += 1
                if buffer[_SENDER] | buffer[_SENDER + 1] << 8 != self._node:
                    self.unheard = 0
                return length
            self.noise += 1
        return 0

    def counters(self):
        """The link's counters, as a dict; unheard: frames sent since one was heard; noise: datagrams that were no
        frame; receive_errors: sockets begun anew; joined: so often; WiFi: in words, whether it has, and why not."""
        return {
            "sent": self.sent,
            "received": self.received,
            "unheard": self.unheard,
            "send_errors": self.send_errors,
            "receive_errors": self.receive_errors,
            "noise": self.noise,
            "joined": self.joined,
            "WiFi": self._state,
        }

    def close(self):
        """Leave the network."""
        self._socket.close()
        self._station.active(False)

    def _give(self):
        """Give WiFi the datagram."""
        try:
            self._socket.sendto(self._wire, self._to)
        except OSError:
            self.send_errors += 1
            return
        self.sent += 1
        self.unheard += 1

    def _read(self):
        """Take the next datagram into the buffer; returns its length, None for none, 0 when none will come."""
        try:
            return self._socket.readinto(self._buffer)
        except OSError:
            return 0

    def _begin_anew(self):
        """Take another socket: on an ESP32 an empty datagram ends one for good (ports/esp32/modsocket.c,
        _socket_read_data)."""
        self.receive_errors += 1
        ended = self._socket
        self._socket = self._open()
        ended.close()

    def _open(self):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_REUSEADDR, socket.SO_BROADCAST):
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.setblocking(False)
        made.bind(socket.getaddrinfo("0.0.0.0", self._port)[0][-1])
        return made

    def _join(self, now):
        """Begin to join, and do not wait for it."""
        self._join_ms = ticks_add(now, _JOIN_MS)
        self._station.connect(self._ssid, self._password)

    def _look(self, now):
        """See whether the station is in the network, and have it join where it is not."""
        if self._station.isconnected():
            if self._to is None:
                self._to = self._broadcast()
                self._state = "joined"
                self.error = None
                self.joined += 1
            return
        if self._to is not None:
            self._to = None
            self._state = "lost"
        status = self._station.status()
        if status == network.STAT_WRONG_PASSWORD:
            self._state = "wrong password"
        elif status == network.STAT_NO_AP_FOUND:
            self._state = "not found"
        if not self.joined and self.error is None and ticks_diff(now, self._patient_ms) >= 0:
            self.error = OSError("WiFi %s: %s: correct it, then deploy again" % (self._ssid, self._state))
        # An ESP32 tries again by itself (ports/esp32/network_wlan.c), and refuses while it does.
        if sys.platform != "esp32" and ticks_diff(now, self._join_ms) >= 0:
            self._join(now)

    def _broadcast(self):
        """Where to send to, as sendto() takes it."""
        address = self._station.ifconfig()
        parts = [str(int(a) | 255 - int(m)) for a, m in zip(address[0].split("."), address[1].split("."))]
        return socket.getaddrinfo(".".join(parts), self._port)[0][-1]

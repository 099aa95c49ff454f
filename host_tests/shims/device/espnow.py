"""`espnow` of a virtual board, with the limits and the habits of ports/esp32 (ESP-NOW version 1, 250 bytes).

The receive ring, its arithmetic and its silent drop of the newest message, the counts of `stats()`, the error names,
the reuse of the buffers by `recvinto` and `irecv`, and the callback that is lost when the scheduler queue is full
while the message is not, are the device's. The air is a datagram socket to the medium (tools/swarm/rig/medium.py).
"""

import _chip
import network

MAX_DATA_LEN = 250
ADDR_LEN = 6
KEY_LEN = 16
MAX_TOTAL_PEER_NUM = 20
MAX_ENCRYPT_PEER_NUM = 6

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_HEADER = 14  # of a message in the ring: magic 1, length 2, time 4, rssi 1, address 6
_DEFAULT_RXBUF = 2 * (_HEADER + MAX_DATA_LEN)
_DEFAULT_TIMEOUT_MS = 5 * 60 * 1000
_SEND_TIMEOUT_MS = 2000
_RESPONSE_TIMEOUT_MS = 100
_MEDIUM_TIMEOUT_MS = 2000  # in its place where a medium answers, late if the computer is busy, which no radio is
_TX_BUFFERS = 32  # messages that wait for the air before the stack answers "no memory"
_ETIMEDOUT = 116  # on the esp32 port

_ERRORS = {
    "ESP_ERR_ESPNOW_NOT_INIT": 12389,
    "ESP_ERR_ESPNOW_ARG": 12390,
    "ESP_ERR_ESPNOW_NO_MEM": 12391,
    "ESP_ERR_ESPNOW_FULL": 12392,
    "ESP_ERR_ESPNOW_NOT_FOUND": 12393,
    "ESP_ERR_ESPNOW_EXIST": 12395,
    "ESP_ERR_ESPNOW_IF": 12396,
    "ESP_ERR_ESPNOW_CHAN": 12397,
}


def _error(name):
    return OSError(-_ERRORS[name], name)


def _address(mac):
    if len(mac) != ADDR_LEN:
        raise ValueError("invalid buffer length")
    return bytes(mac)


class ESPNow:
    """The ESP-NOW protocol: a singleton, so that a second ESPNow() is the first one."""

    _only = None

    def __new__(cls):
        return cls._only or super().__new__(cls)

    def __init__(self):
        if ESPNow._only is not None:
            return
        ESPNow._only = self
        self._rxbuf = _DEFAULT_RXBUF
        self._timeout_ms = _DEFAULT_TIMEOUT_MS
        self._callback = None
        self._ring = None  # messages that wait, None while inactive
        self._ring_size = 0
        self._ring_used = 0
        self._sent = 0
        self._responses = 0
        self._failures = 0
        self._received = 0
        self._dropped = 0
        self._peers = {}  # address -> channel
        self._data = [None, bytearray(MAX_DATA_LEN)]
        self.peers_table = {}
        self._addresses = {}  # one bytes object an address, so that equal addresses are the same object
        self._rooms = {}  # id of a bytearray given to recvinto -> its room
        _chip.air.listeners.append(self._interrupt)

    def _initialised(self):
        if self._ring is None:
            raise _error("ESP_ERR_ESPNOW_NOT_INIT")

    def active(self, flag=None):
        """Whether ESP-NOW runs; with an argument, start or stop it. OSError while no WLAN interface is active."""
        if flag is not None:
            if flag and self._ring is None:
                if not network.any_active():
                    raise OSError(-12289, "ESP_ERR_WIFI_NOT_INIT")
                self._ring = []
                self._ring_size = self._rxbuf
                self._ring_used = 0
            elif not flag and self._ring is not None:
                self._ring = None
                self._callback = None
                self._peers.clear()
                self._sent = self._responses
        return self._ring is not None

    def config(self, *args, rxbuf=-1, timeout_ms=None, rate=-1):
        """Get 'rxbuf' or 'timeout_ms' by name, or set rxbuf (for the next active(True)), timeout_ms, rate."""
        if rxbuf >= 0:
            self._rxbuf = rxbuf
        if timeout_ms is not None:
            self._timeout_ms = timeout_ms
        if rate >= 0 and not network.any_active():
            raise OSError(2)  # ENOENT
        if args:
            if args[0] == "rxbuf":
                return self._rxbuf
            if args[0] == "timeout_ms":
                return self._timeout_ms
            raise ValueError("unknown config param")

    def irq(self, callback):
        """Have callback(self) scheduled at each message that is received; None for none."""
        if callback is not None and not callable(callback):
            raise ValueError("invalid handler")
        self._callback = callback

    def stats(self):
        """(sent, responses, failures, received, dropped)"""
        return (self._sent, self._responses, self._failures, self._received, self._dropped)

    def _interrupt(self, datagram, start, end):
        """What the radio's interrupt does on a device, with a datagram from the medium."""
        kind = datagram[start]
        if kind == _chip.DEPARTED:
            if self._responses < self._sent:
                self._responses += 1
                if not datagram[start + 1]:
                    self._failures += 1
        elif kind == _chip.RECEIVED and self._ring is not None:
            room = self._ring_size - 1 - self._ring_used
            size = _HEADER + end - start - 8
            if size >= room:  # not ">": the device refuses the message that would just fit, too
                self._dropped += 1
                return
            mac, message = bytes(datagram[start + 1 : start + 7]), bytes(datagram[start + 8 : end])
            entry = (mac, datagram[start + 7] - 256, message, _chip.local_us() // 1000)
            self._ring_used += size
            self._ring.append(entry)
            self._received += 1
            if self._callback is not None:
                _chip.schedule(self._callback, self)

    def any(self):
        """Whether a message waits."""
        self._initialised()
        return bool(self._ring)

    def recvinto(self, data, timeout_ms=None):
        """Wait for a message and put its address into data[0], its bytes into data[1]; its length, or 0 on time-out.

        data[1] is a bytearray, or a writable memoryview of one; a bytearray gets the message's length, its room stays.
        With four elements in data, rssi and time in ms come into the other two.
        """
        self._initialised()
        if timeout_ms is None:
            timeout_ms = self._timeout_ms
        if not self._ring and timeout_ms:
            self._wait(timeout_ms, self._has_message)
        if not self._ring:
            return 0
        mac, rssi, message, at_ms = self._ring.pop(0)
        length = len(message)
        self._ring_used -= _HEADER + length
        buffer = data[1]
        if isinstance(buffer, bytearray):
            # The device keeps the size a bytearray first had as its room, however short the last message made it.
            room = max(len(buffer), self._rooms.get(id(buffer), 0))
            self._rooms[id(buffer)] = room
            if length > room:
                self._overrun()
            buffer[:] = message
        else:
            if length > len(buffer):
                self._overrun()
            buffer[:length] = message
        seen = self.peers_table.get(mac)
        if seen is None:
            seen = self.peers_table[mac] = [0, 0]
            self._addresses[mac] = mac
        seen[0] = rssi
        seen[1] = at_ms
        data[0] = self._addresses[mac]
        if len(data) >= 4:
            data[2] = rssi
            data[3] = at_ms
        return length

    def _overrun(self):
        self._ring.clear()
        self._ring_used = 0
        raise ValueError("ESPNow.recv(): buffer error")

    def _has_message(self):
        return bool(self._ring)

    def _has_answers(self):
        return self._responses >= self._sent

    def _has_room(self):
        return self._sent - self._responses < _TX_BUFFERS

    def _wait(self, timeout_ms, done):
        """Let interrupts happen until done() is true, or for timeout_ms (for ever when negative)."""
        end_us = _chip.true_us() + timeout_ms * 1000
        while not done():
            if timeout_ms >= 0 and _chip.true_us() >= end_us:
                return False
            _chip.air.wait()
            _chip.air.poll()
        return True

    def irecv(self, timeout_ms=None):
        """[address, bytearray] in a list that is used again by the next call, or (None, None) on time-out."""
        return self._data if self.recvinto(self._data, timeout_ms) else _NOTHING

    def recv(self, timeout_ms=None):
        """As irecv, in fresh bytes."""
        return [bytes(part) for part in self._data] if self.recvinto(self._data, timeout_ms) else _NOTHING

    def __iter__(self):
        return self

    def __next__(self):
        return self.irecv()

    def send(self, mac, message=None, sync=True):
        """Send to a registered peer (None: to all but broadcast and multicast); False when sync and one did not answer.

        A broadcast is never answered and always True. OSError by name: NOT_INIT, NOT_FOUND, ARG (over 250 bytes), IF,
        CHAN, NO_MEM (after 2 s), and ETIMEDOUT when the radio does not report that a message left.
        """
        self._initialised()
        if message is None:
            mac, message = None, mac
        if sync is None:
            sync = True
        if sync:
            self._await_responses()
        failures = self._failures
        if mac is not None:
            mac = _address(mac)
            if mac not in self._peers:
                raise _error("ESP_ERR_ESPNOW_NOT_FOUND")
            targets = (mac,)
        else:
            targets = tuple(peer for peer in self._peers if not peer[0] & 1)
            if not targets:
                raise _error("ESP_ERR_ESPNOW_NOT_FOUND")
        if not 0 < len(message) <= MAX_DATA_LEN:
            raise _error("ESP_ERR_ESPNOW_ARG")
        channel = network.channel()
        if not channel:
            raise _error("ESP_ERR_ESPNOW_IF")
        for target in targets:
            if self._peers[target] not in (0, channel):
                raise _error("ESP_ERR_ESPNOW_CHAN")
            if not self._has_room() and not self._wait(_SEND_TIMEOUT_MS, self._has_room):
                raise _error("ESP_ERR_ESPNOW_NO_MEM")
            self._sent += 1
            envelope = bytes((_chip.TRANSMIT,)) + _chip.MAC + target + bytes((channel,))
            _chip.air.transmit(envelope + bytes(message))
        if sync:
            self._await_responses()
        return not (sync and self._failures != failures)

    def _await_responses(self):
        timeout_ms = _MEDIUM_TIMEOUT_MS if _chip.air.connected() else _RESPONSE_TIMEOUT_MS
        if not self._has_answers() and not self._wait(timeout_ms, self._has_answers):
            raise OSError(_ETIMEDOUT)

    def set_pmk(self, key):
        self._initialised()
        if len(key) != KEY_LEN:
            raise ValueError("invalid buffer length")

    def add_peer(self, mac, lmk=None, channel=None, ifidx=None, encrypt=None):
        """Register a peer, the broadcast address included; OSError by name: EXIST, FULL (20 are registered), CHAN."""
        mac = _address(mac)
        self._initialised()
        if mac in self._peers:
            raise _error("ESP_ERR_ESPNOW_EXIST")
        if len(self._peers) >= MAX_TOTAL_PEER_NUM:
            raise _error("ESP_ERR_ESPNOW_FULL")
        if channel and channel != network.channel():
            raise _error("ESP_ERR_ESPNOW_CHAN")
        if mac == _BROADCAST and (lmk or encrypt):
            raise _error("ESP_ERR_ESPNOW_ARG")  # a broadcast cannot be encrypted
        self._peers[mac] = channel or 0

    def del_peer(self, mac):
        """Forget a peer; OSError 'ESP_ERR_ESPNOW_NOT_FOUND' when it is not registered."""
        mac = _address(mac)
        self._initialised()
        if mac not in self._peers:
            raise _error("ESP_ERR_ESPNOW_NOT_FOUND")
        del self._peers[mac]

    def get_peers(self):
        """((address, lmk, channel, ifidx, encrypt), ...) of the peers that are neither broadcast nor multicast."""
        self._initialised()
        return tuple((mac, bytes(KEY_LEN), channel, 0, False) for mac, channel in self._peers.items() if not mac[0] & 1)

    def peer_count(self):
        """(peers, encrypted peers)"""
        self._initialised()
        return (len(self._peers), 0)


_NOTHING = (None, None)

"""`_espnow` of a virtual board, with the limits and the habits of ports/esp32/modespnow.c, v1.28.0.

The receive ring byte for byte, its arithmetic and its silent drop of the newest message, the counts of `stats()`, the
error names, the reuse of the buffers by `recvinto` and `irecv`, the callback that is lost when the scheduler queue is
full while the message is not, and the table of senders that only grows, are the device's. The air is a datagram socket
to the medium (tools/swarm/rig/medium.py).

The ring is as cruel as the device's: a message's length is kept in one byte though IDF from 5.4 hands over longer ones,
a message is written in three steps by another core (recv_cb), and recvinto leaves a ring that is out of step as it is.
With SWARM_ESPNOW=1.29 in the environment it is that of later versions, which empty it then.
"""

import os

import _chip
import micropython
import network

_LATER = os.getenv("SWARM_ESPNOW") == "1.29"
MAX_DATA_LEN = 1470 if _LATER else 250
ADDR_LEN = 6
KEY_LEN = 16
MAX_TOTAL_PEER_NUM = 20
MAX_ENCRYPT_PEER_NUM = 6

_BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_MAGIC = 0x99
_LENGTH = 2 if _LATER else 1  # bytes that keep a message's length (espnow_hdr_t)
_HEADER = _LENGTH + 6  # magic 1, length, time 4, rssi 1
_OVERHEAD = _HEADER + ADDR_LEN
_DEFAULT_RXBUF = 2 * (_OVERHEAD + MAX_DATA_LEN)
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


class _Peers(dict):
    """peers_table: fixed, so that no program changes it, but where an entry could not be made (_lookup_add_peer)."""

    fixed = True

    def clear(self):
        if self.fixed:
            raise TypeError
        for mac in list(self.keys()):
            self.pop(mac)

    def __delitem__(self, mac):
        raise TypeError


def _unlocked():
    """Unlock the heap for what is C on a device and takes none of it; whether it was locked."""
    try:
        locked = micropython.heap_locked()
    except AttributeError:  # not in every build
        try:
            locked = not bytearray(64)
        except MemoryError:
            locked = True
    if locked:
        micropython.heap_unlock()
    return locked


class ESPNowBase:
    """The ESP-NOW protocol: a singleton, so that a second one is the first."""

    _only = None

    def __new__(cls):
        return cls._only or super().__new__(cls)

    def __init__(self):
        if ESPNowBase._only is not None:
            return
        ESPNowBase._only = self
        self._rxbuf = _DEFAULT_RXBUF
        self._timeout_ms = _DEFAULT_TIMEOUT_MS
        self._callback = self._argument = None
        self._ring = None  # bytes that wait, None while inactive
        self._ring_size = 0
        self.write_us = 0  # how long after a message's header the other core writes the rest of it
        self._unwritten = b""  # of the last message
        self._written_us = 0  # when it will be written
        self._sent = 0
        self._responses = 0
        self._failures = 0
        self._received = 0
        self._dropped = 0
        self._peers = {}  # address -> channel
        self.peers_table = _Peers()
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
                self._ring = bytearray()
                self._ring_size = self._rxbuf
            elif not flag and self._ring is not None:
                self._ring = None
                self._unwritten = b""
                self._peers.clear()
                self._sent = self._responses
                if _LATER:
                    self._callback = self._argument = None
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

    def irq(self, callback, argument=None):
        """Have callback(argument) scheduled at each message that is received; None for none."""
        if callback is not None and not callable(callback):
            raise ValueError("invalid handler")
        self._callback = callback
        self._argument = argument

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
            self._write()
            length = end - start - 8
            if _OVERHEAD + length >= self._ring_size - 1 - len(self._ring):  # not ">": what would just fit is refused
                self._dropped += 1
                return
            header = bytearray((_MAGIC,))
            header += (length & (1 << 8 * _LENGTH) - 1).to_bytes(_LENGTH, "little")
            header += (_chip.local_us() // 1000 & 0xFFFFFFFF).to_bytes(4, "little")
            header.append(datagram[start + 7])
            self._ring += header
            self._unwritten = datagram[start + 1 : start + 7] + datagram[start + 8 : end]
            if self.write_us:
                self._written_us = _chip.true_us() + self.write_us
            else:
                self._write()
            self._received += 1
            if self._callback is not None:
                _chip.schedule(self._callback, self._argument, False)  # mp_sched_schedule() alone

    def _write(self):
        """Put the rest of the last message into the ring."""
        self._ring += self._unwritten
        self._unwritten = b""

    def any(self):
        """Whether a byte waits, of a message or of what is left of one."""
        self._initialised()
        return bool(self._ring)

    def recvinto(self, data, timeout_ms=None):
        """Wait for a message and put its address into data[0], its bytes into data[1]; its length, or 0 on time-out.

        data[1] is a bytearray, or a writable memoryview, of MAX_DATA_LEN bytes at first; a bytearray gets the message's
        length, its room stays. With four elements in data, rssi and time in ms come into the other two. A new sender's
        address takes memory: MemoryError where there is none, once the message is in data[1].
        """
        self._initialised()
        locked = _unlocked()
        try:
            return self._receive(data, self._timeout_ms if timeout_ms is None else timeout_ms, locked)
        finally:
            if locked:
                micropython.heap_lock()

    def _receive(self, data, timeout_ms, locked):
        buffer = data[1]
        # The device keeps the size a bytearray first had as its room, however short the last message made it.
        room = len(buffer)
        if isinstance(buffer, bytearray):
            room = self._rooms[id(buffer)] = max(room, self._rooms.get(id(buffer), 0))
        if room != MAX_DATA_LEN and not _LATER:
            raise ValueError("invalid buffer length")
        if self._unwritten and _chip.true_us() >= self._written_us:
            self._write()
        if len(self._ring) < _HEADER and timeout_ms:
            self._wait(timeout_ms, self._has_message)
        if len(self._ring) < _HEADER:
            return 0
        ring = self._ring
        length = int.from_bytes(ring[1 : 1 + _LENGTH], "little")
        end = _HEADER  # of what is taken, in one step at last, as no Ctrl-C comes in between on a device
        if ring[0] == _MAGIC and length <= room and len(ring) >= end + ADDR_LEN:
            end += ADDR_LEN
        whole = end > _HEADER and len(ring) >= end + length
        if whole:
            end += length
        self._ring = ring[end:] if whole or not _LATER else bytearray()  # ringbuf_reset(), in later versions
        if not whole:
            raise ValueError("ESPNow.recv(): buffer error")
        at_ms = int.from_bytes(ring[1 + _LENGTH : 5 + _LENGTH], "little")
        rssi = ring[_HEADER - 1] - 256
        mac = bytes(ring[_HEADER:_OVERHEAD])
        body = ring[_OVERHEAD:end]
        if isinstance(buffer, bytearray):
            buffer[:] = body
        else:
            buffer[:length] = body
        # _update_rssi(): memory for a new sender, and for a time that is no small int
        seen = self.peers_table.get(mac)
        if seen is None:
            self.peers_table.fixed = False
            if locked:
                raise MemoryError("memory allocation failed, heap is locked")
            seen = self.peers_table[mac] = [0, 0]
            self.peers_table.fixed = True
        seen[0] = rssi
        if at_ms >= 1 << 30 and locked:
            raise MemoryError("memory allocation failed, heap is locked")
        seen[1] = at_ms
        data[0] = next(known for known in self.peers_table if known == mac)  # the same object each time
        if len(data) >= 4:
            data[2] = rssi
            data[3] = at_ms
        return length

    def _has_message(self):
        return len(self._ring) >= _HEADER

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

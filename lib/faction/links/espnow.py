"""ESP-NOW link for ESP32 boards: frames as broadcasts, heard by everybody on the channel."""

from time import sleep_ms, sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us

import _espnow
import network
from micropython import const, heap_lock, heap_unlock

from faction.frame import max_length

BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_PACKET_OVERHEAD = const(14)  # what the receive ring keeps with each packet
_BURST = const(24)  # frames that may come between two calls of receive() in a large swarm
# At 1 Mbit/s: long preamble, then 43 bytes of headers and checksum around the frame, a microsecond a bit.
_AIR_US = const(192 + 43 * 8)
_REPORT_US = const(250)  # what the radio's report that a frame has left mostly comes late at most
_SURE_US = const(3_250)  # and if it may have waited longer, it is not known well enough when it left
_MS_MASK = const(0x3FFFFFFF)  # of ticks_ms
_WAITED_MS = const(500_000)  # about as far back as ticks_us can tell
_START_MS = const(1000)  # the radio is up long before that, or not at all
_WRITE_US = const(50)  # in which the other core has put a packet into the ring whose first byte was seen
_STRANGERS = const(8)  # whose addresses the radio keeps beside the members', at 80 bytes each
_DEAF_MS = const(50)  # at least between two times that the ring is begun anew
_SILENCE_MS = const(30_000)  # that no settled swarm keeps, in which somebody speaks twice in 2 s
_LATER_MS = const(300_000)  # and as long as nothing comes the radio begins anew each five minutes


class EspNowLink:
    """A link over ESP-NOW.

    config: a dict with `channel` and `members`; board: the board's data, which this link does not need.
    Raises OSError when the radio does not start, or not on that channel.
    """

    mtu = 250
    imin_ms = 20  # far more than four frame times

    def __init__(self, config, board):
        members = len(config["members"])
        # WiFi outlives a soft reset, and power saving loses frames: bring it into a known state.
        network.WLAN(network.AP_IF).active(False)
        station = network.WLAN(network.STA_IF)
        station.active(False)
        station.active(True)
        for _ in range(_START_MS // 10):
            if station.active():
                break
            sleep_ms(10)
        station.disconnect()
        station.config(pm=network.WLAN.PM_NONE)
        channel = config["channel"]
        try:
            station.config(channel=channel)
        except RuntimeError:  # not an OSError, as whatever else WiFi has to say
            raise OSError("channel %d: the radio refuses it: give one of 1 to 11, which every country has" % channel)
        self._radio = _espnow.ESPNowBase()  # espnow.ESPNow has buffers beside it that nobody needs here
        self._radio.active(False)  # the ring is made when it becomes active, in the size set before
        packet = _PACKET_OVERHEAD + max_length(members, config.get("round_ms"))
        self._radio.config(rxbuf=_PACKET_OVERHEAD + self.mtu + min(max(members, 4), _BURST) * packet)
        self._radio.active(True)
        self._radio.add_peer(BROADCAST)
        self._packet = [bytearray(6), None, 0, 0]  # type: list
        self._most_senders = members + _STRANGERS
        self._callback = None
        self._begun_ms = self._heard_ms = ticks_add(ticks_ms(), -_DEAF_MS)
        self._silence_ms = _SILENCE_MS
        self._reports = True
        self.believed_us = 2_000  # so long a frame may have waited, and no longer, whatever the report says
        self._views = {}
        self.sent_us = ticks_us()
        self.sent = self.received = self.send_errors = self.receive_errors = self.deaf = 0
        self.error = None

    def receive_buffer(self):
        """A buffer for receive(): MicroPython up to 1.28 takes no other length. A foreign packet may be longer."""
        return bytearray(self.mtu)

    def on_receive(self, callback):
        """Have callback(radio) called soon after a frame has come; a full scheduler may lose the call."""
        self._callback = callback
        self._radio.irq(callback)

    def free(self):
        """Whether a frame can be sent at once: the radio does its own waiting, and does not tell."""
        return True

    def pending(self):
        """Whether receive() has something to do: a frame has come, or somebody has turned the radio off."""
        try:
            return self._radio.any()
        except OSError:
            return True

    def send(self, buffer, length):
        """Broadcast the first length bytes of a bytearray, the same one each time. Returns the ticks_us at which the
        transmission began, or None where that is not known: it was after the call and before the radio's report, which
        mostly comes at once, and may come late. So what is told is never too late by more than 2 ms, and nothing where
        much lies between; where there are no reports it is the call. An error is counted and kept in error.
        """
        if length not in self._views:
            # A view for each of the few lengths that frames have, made once: a new one takes memory.
            self._views[length] = memoryview(buffer)[:length]
        given_us = ticks_us()
        try:
            self._radio.send(BROADCAST, self._views[length], self._reports)
        except OSError as error:
            if error.args[0] > 0:  # ETIMEDOUT, which is not the radio's: a report that is missing would hold up each
                self._reports = False
            self.send_errors += 1
            self.error = error
            return None
        self.sent += 1
        waited_us = ticks_diff(ticks_us(), given_us) - _AIR_US - 8 * length
        if waited_us >= _SURE_US:
            return None
        return ticks_add(given_us, min(max(waited_us - _REPORT_US, 0), self.believed_us))

    def receive(self, buffer):
        """Take the next frame that has come into buffer; returns its length, or 0 when there is none.

        sent_us is then the latest ticks_us at which its transmission can have begun.
        """
        self._packet[1] = buffer
        length = 0
        try:
            if self._radio.any():
                sleep_us(_WRITE_US)
                length = self._take(buffer)
            elif not self.received or ticks_diff(ticks_ms(), self._heard_ms) < self._silence_ms:
                return 0
            else:
                self.deaf += 1
                self._silence_ms = _LATER_MS
        except ValueError:
            if not self._radio.any():  # later versions have emptied it
                self.receive_errors += 1
                return 0
        except OSError as error:  # somebody has turned the radio off
            self.error = error
        now = ticks_ms()
        if not length:
            self._begin_anew(now)
            return 0
        self.received += 1
        self._heard_ms = now
        self._silence_ms = _SILENCE_MS
        # It came before the end of the millisecond that the radio noted, however late it is read. An ESP32 reckons
        # ticks_ms from what ticks_us shows, so that the thousandths since a millisecond began are known from both.
        waited_us = 1000 * min(ticks_diff(now, self._packet[3] & _MS_MASK) - 1, _WAITED_MS)
        now_us = ticks_us()
        since_us = now_us - 1000 * (now & 1023) & 1023  # type: ignore[operator]
        waited_us = waited_us + since_us if waited_us >= 0 else 0
        self.sent_us = ticks_add(now_us, -(_AIR_US + 8 * length + waited_us))
        return length

    def _take(self, buffer):
        """Take the next packet into buffer; its length.

        The radio enters each sender that it has ever heard into its table, and nothing takes one out: strangers with
        ever new addresses would take all memory. Where an entry finds none the table is left open (modespnow.c,
        _lookup_add_peer), and can be emptied. The packet is in the buffer by then.
        """
        senders = self._radio.peers_table  # type: ignore[attr-defined]
        if len(senders) < self._most_senders:
            return self._radio.recvinto(self._packet, 0)
        heap_lock()
        try:
            return self._radio.recvinto(self._packet, 0)
        except MemoryError:
            pass
        finally:
            heap_unlock()
        self._packet[3] = ticks_ms()
        try:
            senders.clear()
        except TypeError:
            pass  # a known sender's, whose time took the memory: the next stranger's
        return len(buffer)

    def _begin_anew(self, now):
        """Empty a ring that is out of step, turn on a radio that is off, and have one that has gone deaf begin anew.

        Up to MicroPython 1.28 a ring stays out of step, and every frame after it is lost: from IDF 5.4 the radio also
        hands over packets whose length is more than the byte that is kept of it, and a packet may be half written.
        Where ESP-IDF's own heap runs out a radio hears nothing more, and says nothing of it (micropython#18224).
        """
        if ticks_diff(now, self._begun_ms) < _DEAF_MS:
            return
        self._begun_ms = self._heard_ms = now
        self.receive_errors += 1
        try:
            self._radio.active(False)
            self._radio.active(True)
            self._radio.add_peer(BROADCAST)
            self._radio.irq(self._callback)
        except (OSError, MemoryError) as error:
            self.error = error

    def counters(self):
        """The link's counters, as a dict; dropped: by a full ring; receive_errors: rings emptied or begun anew; deaf:
        those of them after a silence."""
        return {
            "sent": self.sent,
            "received": self.received,
            "send_errors": self.send_errors,
            "receive_errors": self.receive_errors,
            "deaf": self.deaf,
            "dropped": self._radio.stats()[4],
        }

    def close(self):
        """Turn the radio off."""
        self._radio.active(False)
        network.WLAN(network.STA_IF).active(False)

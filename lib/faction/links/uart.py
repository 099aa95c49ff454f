"""A serial line to one or more other nodes (two wires, RS-485, or a single wire): COBS, and listening before talking.

The line is read at each tick of the runner's timer and not from an interrupt. The one trigger that both chips have,
IRQ_RXIDLE, takes hardware timer 0 on an ESP32 up to MicroPython 1.28, which is the runner's, and a frame that is still
coming in when it is first seen, as most are, tells to the byte when it began.
"""

from time import sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us

from machine import UART, Pin
from micropython import const

from faction.cobs import decode, encode
from faction.frame import max_length

_OVERHEAD = const(2)  # of COBS: the first code and the end mark
# The shortest time of a byte of ten bits, in 1/64 microseconds: a sender's baud rate may be 0.4 % too high.
_BYTE_US64 = const(9_960_000 * 64)
_RING = const(256)  # at least: the ESP32 refuses 128 and less
_RING_BITS = const(320)  # the ring holds what comes in 1/32 s, at ten bits a byte, so that a late tick loses nothing
_SLACK_US = const(50_000)  # a transmission that takes that much longer than it should is given up
_TURN_US = const(6_000)  # more than a tick: a driver that is to be off by then is waited for


class UartLink:
    """A link over machine.UART.

    config: of config.check(); board: the board's data, whose UART names id, tx and rx, and if need be de, the pin that
    enables an RS-485 driver, and single_wire, true where the node hears itself. Raises ValueError, which names the key.
    """

    mtu = 250
    error = None  # a UART raises nothing once it is set up

    def __init__(self, config, board):
        baud = config["baud"]
        usual = max_length(len(config["members"]), config.get("round_ms")) + _OVERHEAD
        longest = usual if config.get("gateway") is None else self.mtu + _OVERHEAD
        ring = max(_RING, 4 * longest, baud // _RING_BITS)
        data = getattr(board, "UART", None)
        try:
            self._echo = 0 if data.get("single_wire") else None  # own bytes that are still to come back
            self._de = data.get("de")
            if self._de is not None:
                self._de = Pin(self._de, Pin.OUT, value=0)
            # Twice the frame and some: the ESP32 keeps it in parts with a head each, and would wait for room.
            self._uart = UART(
                data["id"], baudrate=baud, tx=data["tx"], rx=data["rx"], txbuf=2 * longest + _RING, rxbuf=ring
            )
        except Exception as error:
            raise ValueError("board.py: UART: %r: %s: give id, tx and rx that this chip has free" % (data, error))
        self.imin_ms = max(20, usual * 40_000 // baud + 1)  # four frames
        self._byte_us64 = _BYTE_US64 // baud
        self._wire = bytearray(longest)
        self._copy = "%ds" % (longest - _OVERHEAD)
        self._views = {}
        self._left = 0  # bytes still to be written
        self._end_us = None  # when the frame that is being sent can have left at the earliest
        self._chunk = bytearray(ring)
        self._at = self._end = 0  # what of the chunk is still to be looked at
        self._read_us = self.sent_us = ticks_us()
        self._fill = -1  # bytes of a run in the caller's buffer, but for the first
        self._hold = None  # until when to be silent
        self._random = config["node"]
        self.sent = self.received = self.yielded = self.noise = self.stuck = 0

    def receive_buffer(self):
        """A buffer for receive(), which keeps the beginning of the next frame in it between calls."""
        return bytearray(len(self._wire) - 1)

    def on_receive(self, callback):
        """Nothing: the runner's timer calls often enough."""

    def free(self):
        """Whether a frame can be sent now: nobody talks, and after somebody has, a random time has passed."""
        if self._hold is not None and ticks_diff(ticks_ms(), self._hold) >= 0:
            self._hold = None
        return self._hold is None and self._end_us is None and self._at >= self._end and not self._uart.any()

    def pending(self):
        """Whether receive() has something to do."""
        return self._uart.any() or self._at < self._end or self._end_us is not None

    def send(self, buffer, length):
        """Send the first length bytes of buffer, unless somebody has begun to talk while they were made. Returns the
        ticks_us at which that began, or None."""
        length = encode(buffer, length, self._wire, self._copy)
        # Boards whose ticks fall together would begin together each time, since a byte is noticed when it has come
        # whole. So each waits for up to seven times one and a half, and looks again.
        if not self._uart.any():
            sleep_us((self._draw() >> 12) * (self._byte_us64 * 3 >> 7))
        if self._uart.any():
            self.yielded += 1
            return None
        left_us = ticks_us()
        self._end_us = ticks_add(left_us, length * self._byte_us64 >> 6)
        self._left = length
        if self._echo is not None:
            self._echo = length
        self._go_on()
        return left_us

    def receive(self, buffer):
        """Take the next frame that has come into buffer, one of receive_buffer(); returns its length, or 0 for none.

        sent_us is then the latest ticks_us at which its transmission can have begun.
        """
        if self._end_us is not None:
            self._go_on()
        if self._at >= self._end:
            self._read()  # once a call, so that a line that never falls silent does not hold the caller
        while self._at < self._end:
            if self._fill < 0:
                self.sent_us = ticks_add(self._read_us, -((self._end - self._at) * self._byte_us64 >> 6))
            mark = self._chunk.find(b"\0", self._at, self._end)
            self._take(buffer, self._end if mark < 0 else mark)
            if mark < 0:
                break
            self._at += 1
            length = self._fill
            self._fill = -1
            if 0 < length < len(buffer) and decode(buffer, length):
                self.received += 1
                return length
            self.noise += length >= 0
        return 0

    def counters(self):
        """The link's counters, as a dict; yielded: frames not sent since another node spoke; noise: runs of bytes
        that were no frame; stuck: frames that did not leave in time."""
        return {
            "sent": self.sent,
            "received": self.received,
            "yielded": self.yielded,
            "noise": self.noise,
            "stuck": self.stuck,
        }

    def close(self):
        """Free the UART, and the line."""
        self._uart.deinit()
        if self._de:
            self._de.value(0)

    def _read(self):
        """Read what has come in, and leave out the echo of what was sent: as many bytes, whatever became of them."""
        count = self._uart.any()
        if count:
            count = self._uart.readinto(self._chunk, min(count, len(self._chunk))) or 0
            self._read_us = ticks_us()
        self._end = count
        self._at = 0
        if self._echo is not None:
            self._at = min(self._echo, count)
            # Once the last bit has left, nothing of it is still to come.
            self._echo = 0 if self._end_us is None else self._echo - self._at
        if self._at == count:
            return
        if self._hold is None and self._fill >= 0:
            self._fill = -1  # the line was silent in between: what came before belongs to nothing
            self.noise += 1
        # Silence is two steps of the clock and a few bytes, the random time at most that of two frames.
        self._hold = ticks_add(ticks_ms(), 2 + (self.imin_ms * (self._draw() + 2048) >> 16))

    def _draw(self):
        """Next of 2^15 numbers: a linear congruential generator of full period in small ints, begun with the id."""
        self._random = self._random * 20077 + 12345 & 0x7FFF
        return self._random

    def _take(self, buffer, stop):
        """Move bytes up to stop from the chunk into buffer; of too many none, up to the next end mark."""
        fill = self._fill
        if fill + stop - self._at >= len(buffer):
            fill = len(buffer)
        else:
            for i in range(self._at, stop):
                buffer[fill] = self._chunk[i]  # a run's first byte goes to buffer[-1]
                fill += 1
        self._fill = fill
        self._at = stop

    def _go_on(self):
        """Write, or write what a short write has left, and free the line once the last bit has gone."""
        while True:
            late_us = ticks_diff(ticks_us(), self._end_us)
            left = self._left
            if left and late_us <= _SLACK_US:
                if left not in self._views:
                    # A view for each of the few lengths that frames have, made once: a new one takes memory.
                    self._views[left] = memoryview(self._wire)[:left]
                if self._de:
                    self._de.value(1)
                written = self._uart.write(self._views[left]) or 0
                self._left = left = left - written
                for i in range(left):
                    self._wire[i] = self._wire[i + written]
            # Not before it can have left: a chip that has not begun may seem to be done.
            if not left and late_us >= 0 and self._uart.txdone():
                self.sent += 1
                break
            if late_us > _SLACK_US:
                self.stuck += 1
                break
            # Nobody else can talk while the driver is on, so that the last bits are waited for.
            if left or not self._de or not -_TURN_US < late_us < _TURN_US:
                return
        if self._de:
            self._de.value(0)
        self._end_us = None

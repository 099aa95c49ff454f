"""`machine.UART` of a virtual board, with the habits of ports/esp32 or ports/rp2 (SWARM_UART_CHIP: esp32 or rp2).

UART 1 is wired to the bus (tools/swarm/rig/bus.py), which is a single wire when SWARM_SINGLE_WIRE is 1; to UART 0 of a
Pico and UART 2 of an ESP32 nothing is connected. The receive ring holds rxbuf bytes and loses the newest; the hardware
FIFO before it is left out. What differs between the chips is the device's: which pins and buffers are refused and how,
a write that waits for room (esp32) or is short or None (rp2), and a readinto that lingers for bytes that are not there
(rp2, whose timeout_char is at least a byte's time).
"""

import os

import _chip
import utime

CHIP = os.getenv("SWARM_UART_CHIP") or "esp32"
_SINGLE_WIRE = _chip._parameter("SWARM_SINGLE_WIRE", 0)

WIRE = 85  # 'U' board -> medium: mac 6, baud rate 4 (0 = off), 1 when the bus is a single wire
BYTES = 66  # 'B' board -> medium: mac 6, bytes written; medium -> board: bytes that came in

_BUS_ID = 1
_BITS = 10
_FIFO = {"esp32": 128, "rp2": 32}[CHIP]  # of the transmitter, behind txbuf
_ESP32_UARTS = 3
_RP2_UARTS = 2
_RP2_RXBUF = (32, 32766)


def _error(code, name):
    return OSError(code, name)


class UART:
    """A UART; the arguments are the device's. ValueError or OSError for what the chip refuses."""

    IRQ_RXIDLE = {"esp32": 0x1000, "rp2": 0x40}[CHIP]

    _made = {}

    def __new__(cls, id, *args, **kwargs):
        return cls._made.get(id) or super().__new__(cls)

    def __init__(self, id, *args, **kwargs):
        if CHIP == "esp32" and not 0 <= id < _ESP32_UARTS:
            raise ValueError("UART(%d) does not exist" % id)
        if CHIP == "rp2" and not 0 <= id < _RP2_UARTS:
            raise ValueError("UART(%d) doesn't exist" % id)
        if id not in UART._made:
            UART._made[id] = self
            self._id = id
            self._baudrate = 115200
            self._on = False
            self._handler = None
            _chip.air.listeners.append(self._interrupt)
            _chip.at_each_wakeup(self._look_for_idle)
        if not self._on or CHIP == "rp2":
            self._rxbuf = self._txbuf = 256
        self.init(*args, **kwargs)

    def init(self, baudrate=0, bits=8, parity=None, stop=1, *, tx=None, rx=None, txbuf=-1, rxbuf=-1, timeout=0,
             timeout_char=0):  # fmt: skip
        """Set it up; what came in before is gone."""
        if CHIP == "esp32":
            self._check_esp32(tx, rx, txbuf, rxbuf)
        else:
            rxbuf = self._check_rp2(tx, rx, rxbuf)
        if baudrate > 0:
            self._baudrate = baudrate
        if txbuf > 0:
            self._txbuf = txbuf
        if rxbuf > 0:
            self._rxbuf = rxbuf
        self._byte_us = _BITS * 1000000 / self._baudrate
        self._timeout_ms = timeout
        self._timeout_char_ms = max(timeout_char, 13000 // self._baudrate + 1) if CHIP == "rp2" else timeout_char
        self._ring = bytearray()
        self._sent_us = _chip.true_us()  # when all that was written has left
        self._came_us = None  # when the last bytes came, until the line has been idle
        self._on = True
        self._wire(self._baudrate)

    def _check_esp32(self, tx, rx, txbuf, rxbuf):
        if self._id == 0 and (txbuf >= 0 or rxbuf >= 0):
            raise ValueError("REPL UART buffer size is fixed")
        for pin in (tx, rx):
            if isinstance(pin, int) and not 0 <= pin <= 39:
                raise ValueError("invalid pin")
        if 0 <= rxbuf <= _FIFO or 0 < txbuf <= _FIFO:
            raise _error(-1, "ESP_FAIL")
        if isinstance(tx, int) and tx >= 34:  # input only
            raise _error(-258, "ESP_ERR_INVALID_ARG")

    def _check_rp2(self, tx, rx, rxbuf):
        for pin, remainder, name in ((tx, 0, "TX"), (rx, 1, "RX")):
            if pin is not None and (pin & 3 != remainder or (pin + 4 & 8) >> 3 != self._id):
                raise ValueError("bad %s pin" % name)
        low, high = _RP2_RXBUF
        if rxbuf > high:
            raise ValueError("rxbuf too large")
        return max(rxbuf, low) if rxbuf > 0 else rxbuf

    def deinit(self):
        """Take it out of use, once what was written has left."""
        while not self.txdone():
            utime.sleep_us(int(self._byte_us))
        self._on = False
        self._handler = None
        self._wire(0)

    def _wire(self, baudrate):
        if self._id == _BUS_ID:
            flags = bytes((1 if _SINGLE_WIRE else 0,))
            _chip.air.transmit(bytes((WIRE,)) + _chip.MAC + baudrate.to_bytes(4, "little") + flags)

    def _interrupt(self, datagram, start, end):
        """What the UART's interrupt does on a device, with a datagram from the medium."""
        if self._on and self._id == _BUS_ID and datagram[start] == BYTES:
            room = max(0, self._rxbuf - len(self._ring))
            self._ring += datagram[start + 1 : min(end, start + 1 + room)]
            self._came_us = _chip.true_us()

    def irq(self, handler=None, trigger=0, hard=False):
        """Have handler(self) scheduled once the line is idle for two bytes' time after some came in."""
        if handler is not None and not callable(handler):
            raise ValueError("handler must be None or callable")
        if trigger & ~UART.IRQ_RXIDLE:
            raise ValueError("trigger 0x%04x unsupported" % (trigger & ~UART.IRQ_RXIDLE))
        self._handler = handler if trigger else None

    def _look_for_idle(self):
        if self._came_us is not None and _chip.true_us() - self._came_us >= max(500, 2 * self._byte_us):
            self._came_us = None
            if self._on and self._handler is not None:
                _chip.schedule(self._handler, self)

    def any(self):
        """How many bytes wait."""
        _chip.air.poll()
        return len(self._ring)

    def _await(self, count, timeout_ms):
        """Let interrupts happen until count bytes wait, or for more than timeout_ms."""
        end_us = _chip.true_us() + timeout_ms * 1000
        while self.any() < count and _chip.true_us() <= end_us:
            utime.sleep_us(100)

    def readinto(self, buffer, count=None):
        """Read up to count bytes into buffer; how many that were, or None."""
        wanted = len(buffer) if count is None else min(count, len(buffer))
        if not self.any() and self._timeout_ms:
            self._await(1, self._timeout_ms)
        while 0 < self.any() < wanted and self._timeout_char_ms:
            before = len(self._ring)
            self._await(before + 1, self._timeout_char_ms)
            if len(self._ring) == before:
                break
        length = min(wanted, len(self._ring))
        if not length:
            return None
        buffer[:length] = self._ring[:length]
        self._ring = self._ring[length:]
        return length

    def write(self, data):
        """Queue bytes; how many, or None for none. It waits for room on an ESP32, and leaves off on an RP2040."""
        now_us = _chip.true_us()
        start_us = max(now_us, self._sent_us)
        capacity = self._txbuf + _FIFO
        length = len(data)
        if CHIP == "rp2":
            waiting = int((start_us - now_us) / self._byte_us + 0.999)
            length = min(length, capacity - waiting)
            if length <= 0:
                return None
        self._sent_us = start_us + length * self._byte_us
        if self._id == _BUS_ID:
            _chip.air.transmit(bytes((BYTES,)) + _chip.MAC + bytes(data[:length]))
        while self._sent_us - _chip.true_us() > capacity * self._byte_us:
            utime.sleep_us(int(self._byte_us))
        return length

    def txdone(self):
        """Whether the last bit of what was written has left."""
        return _chip.true_us() >= self._sent_us

"""A serial line for the UART link on any runtime: frames among noise, in pieces as they come."""

import sys

from faction.cobs import encode

RING = 16_384


class _Uart:
    """machine.UART, of which bytes can be read as they are written by SerialLine.fill()."""

    def __init__(self, *_, **__):
        self.data = bytearray(RING)
        self.at = self.end = 0
        self.random = None

    def any(self):
        """A random part of what is left, as if more were still to come."""
        left = self.end - self.at
        return min(left, 1 + self.random.below(100)) if left else 0

    def readinto(self, buffer, count):
        """The next count bytes."""
        i = 0
        while i < count:
            buffer[i] = self.data[self.at + i]
            i += 1
        self.at += count
        return count


class _Machine:
    UART = _Uart
    Pin = None


class _Board:
    UART = {"id": 1, "tx": 4, "rx": 5}


class SerialLine:
    """A link, `link`, with its `buffer`, and what is on its wire."""

    def __init__(self, random, members):
        sys.modules["machine"] = _Machine
        from faction.links.uart import UartLink

        self.link = UartLink({"baud": 115_200, "members": range(members), "node": 1}, _Board)
        self.buffer = self.link.receive_buffer()
        self._uart = self.link._uart
        self._uart.random = self._random = random
        self._wire = bytearray(300)
        self._copy = "298s"
        # Frames that must come out, by where their bytes begin in _frames, in order.
        self._expected = []
        self._next = 0
        self._clean = True

    def fill(self, buffers, lengths):
        """Put frames on the wire, with noise between some: it may cost the frame that it runs into, and no other."""
        uart = self._uart
        uart.at = uart.end = self._next = 0
        self._expected = []
        self._put(b"\0", 1)  # whatever was there before ends here
        clean = True
        for i in range(len(buffers)):
            kind = self._random.below(8)
            if kind == 0:
                self._noise()
                clean = False
            if not 0 < lengths[i] <= 250:
                continue
            if clean and lengths[i] < len(self.buffer):
                self._expected.append((buffers[i], lengths[i]))
            length = encode(buffers[i], lengths[i], self._wire, self._copy)
            self._put(self._wire, length)
            clean = True

    def more(self):
        """Whether there is anything left to receive."""
        return self._uart.at < self._uart.end or self.link._at < self.link._end

    def check(self, length):
        """A frame of that length is in buffer: see whether it is the next that must come out. Takes no memory."""
        if self._next < len(self._expected):
            expected = self._expected[self._next]
            if length == expected[1] and self._same(expected[0], length):
                self._next += 1

    def lost(self):
        """How many of the frames that noise has not touched have not come out since fill()."""
        return len(self._expected) - self._next

    def _same(self, buffer, length):
        while length:
            length -= 1
            if buffer[length] != self.buffer[length]:
                return False
        return True

    def _noise(self):
        """Random bytes, ended or not; some longer than any frame, and some beginnings of frames."""
        count = 1 + self._random.below((8, 60, 300)[self._random.below(3)])
        self._random.fill(self._wire, 0, count)
        if not self._random.below(3):
            for i in range(count):
                self._wire[i] |= 1
        self._put(self._wire, count)

    def _put(self, data, count):
        uart = self._uart
        for i in range(count):
            uart.data[uart.end + i] = data[i]
        uart.end += count

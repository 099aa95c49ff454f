"""Media: who hears a transmission, when it leaves, and what collides with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarm.device.library import max_length
from swarm.rig import air

if TYPE_CHECKING:
    from swarm.sim.kernel import Kernel


class Transmission:
    """One frame on a medium, from start to end in microseconds; hearers and disturbed are bit sets of places."""

    __slots__ = ("start", "end", "sender", "hearers", "disturbed", "frame", "payload")

    def __init__(self, start: int, end: int, sender: int, hearers: int, frame: bytes, payload: Any) -> None:
        self.start = start
        self.end = end
        self.sender = sender
        self.hearers = hearers
        self.disturbed = 0  # where another transmission spoils it
        self.frame = frame
        self.payload = payload


class Medium:
    """A shared medium with carrier sense and collisions; nobody hears while sending.

    in_range: for each place (0 ... n - 1) the bit set of places that hear it. weather.arrive() decides what becomes of
    a frame on its way to one hearer. hidden_wait_us: the longest random wait of the link itself between taking a frame
    and trying to send it; 0 also means that a board can tell whether the medium is free before it builds a frame.
    late_reports: the share of late ones of its reports that a frame has left. busy_us counts the time on the air.
    """

    GAP_US = 0  # a free medium is sent on this long after it has become free, and
    SLOT_US = 0  # that many of
    SLOTS = 1  # these slots later, drawn at random
    BYTE_US = 0  # of a line, which hands over byte by byte and not frame by frame
    SENSE_US = 0  # a transmission that began less than this ago is not sensed yet
    REPORT_US = 0  # behind a hidden wait, a board is told up to that much later that its frame has left,
    LATE_US = 0  # or up to that much, by a share of late_reports,
    BELIEVED_US = 0  # takes it to have waited for that long at most,
    SURE_US = 0  # and knows nothing if it may have waited for longer than that

    def __init__(
        self, kernel: Kernel, in_range: list[int], weather, hidden_wait_us: int = 0, late_reports: float = 0
    ) -> None:
        self.kernel = kernel
        self.in_range = in_range
        self.hidden_wait_us = hidden_wait_us
        self.late_reports = late_reports
        self.weather = weather
        self.busy_us = 0
        self._hearers: dict[int, list] = {}
        self._near = [[i for i in range(len(in_range)) if mask >> i & 1] for mask in in_range]
        self._active: list[Transmission] = []
        self._random = kernel.random(type(self).__name__)
        self._pending: set = set()

    @staticmethod
    def airtime_us(length: int) -> int:
        """Microseconds that a frame of length bytes is on the medium."""
        raise NotImplementedError

    @staticmethod
    def ring_bytes(members: int) -> int:
        """What a link holds of frames that wait to be received, in a swarm of that many."""
        raise NotImplementedError

    @staticmethod
    def in_ring(length: int) -> int:
        """What a frame of length bytes takes of it."""
        raise NotImplementedError

    def attach(self, board) -> None:
        """Let a board hear; it stands at board.place."""
        self._hearers.setdefault(board.place, []).append(board)

    def can_send(self, board) -> bool:
        """Whether the board may hand over a frame now; if not, board.wake() is called when it may."""
        if board in self._pending:
            return False
        free = 0 if self.hidden_wait_us else self._free_at(board.place)
        if free:
            self.kernel.at(free + self._backoff(), board.wake)
        return not free

    def send(self, board, frame: bytes, payload: Any) -> None:
        """Take a frame of a board that can send; it leaves after the hidden wait, when the medium is free."""
        self._pending.add(board)
        now = self.kernel.now
        if self.hidden_wait_us:
            wait = self._random.randrange(self.hidden_wait_us + 1)
            self.kernel.at(now + wait, self._try, board, board.life, frame, payload, now)
        else:
            self._try(board, board.life, frame, payload, now)

    def _backoff(self) -> int:
        return self.GAP_US + self.SLOT_US * self._random.randrange(self.SLOTS)

    def _free_at(self, place: int) -> int:
        """When what is sensed at that place ends, or 0 when nothing is."""
        free = 0
        sensed = self.kernel.now - self.SENSE_US
        for one in self._active:
            if one.end > free and (one.hearers >> place & 1 and one.start <= sensed or one.sender == place):
                free = one.end
        return free

    def _try(self, board, life: int, frame: bytes, payload: Any, given: int) -> None:
        if board.life != life:  # power was lost with the frame in the link
            self._pending.discard(board)
            board.wake()  # it may have booted since, and wait for the link
            return
        free = self._free_at(board.place)
        if free:
            self.kernel.at(free + self._backoff(), self._try, board, life, frame, payload, given)
            return
        now = self.kernel.now
        place = board.place
        sent = Transmission(now, now + self.airtime_us(len(frame)), place, self.in_range[place], frame, payload)
        for other in self._active:
            if other.end > now:
                other.disturbed |= sent.hearers | 1 << place
                sent.disturbed |= other.hearers | 1 << other.sender
        self._active.append(sent)
        self.busy_us += sent.end - now
        self.kernel.note("sends", board.number, frame)
        self.kernel.at(sent.end, self._end, board, life, sent, given)

    def _end(self, board, life: int, sent: Transmission, given: int) -> None:
        self._active.remove(sent)
        disturbed = sent.disturbed
        for place in self._near[sent.sender]:
            if not disturbed >> place & 1:
                for hearer in self._hearers.get(place, ()):
                    if hearer is not board:
                        self.weather.arrive(self, board, hearer, sent)
        if not self.hidden_wait_us:
            self._report(board, life, sent.start)
        else:
            tail = self._random.random() < self.late_reports
            late = self._random.randint(0, self.LATE_US if tail else self.REPORT_US)
            waited = sent.start + late - given  # as far as the board can tell
            # Once there is a series, no report is believed.
            believed_us = 0 if board.life == life and getattr(board, "in_series", False) else self.BELIEVED_US
            left = given + min(max(waited - self.REPORT_US, 0), believed_us) if waited < self.SURE_US else None
            self.kernel.at(sent.end + late, self._report, board, life, left)

    def _report(self, board, life: int, left: int | None) -> None:
        """Tell a board that its frame has left, and when, as far as it can know."""
        self._pending.discard(board)
        if board.life == life:
            board.left(left)
        board.wake()


class Radio(Medium):
    """ESP-NOW at 1 Mbit/s: IEEE 802.11's carrier sense with long slots."""

    GAP_US = 50
    SLOT_US = 20
    SLOTS = 32
    SENSE_US = 15
    REPORT_US = 250  # EspNowLink's, as BELIEVED_US and SURE_US
    LATE_US = 4_000  # assumed: the WiFi task reports, and nothing in MicroPython's C bounds when
    BELIEVED_US = 2_000
    SURE_US = 3_250

    @staticmethod
    def airtime_us(length: int) -> int:
        """Microseconds that a frame of length bytes is on the air."""
        return air.airtime_us(length)

    @staticmethod
    def ring_bytes(members: int) -> int:
        """As EspNowLink sizes it."""
        return 264 + min(max(members, 4), 24) * Radio.in_ring(max_length(members))

    @staticmethod
    def in_ring(length: int) -> int:
        """With the radio's head."""
        return 14 + length


class Bus(Medium):
    """A multi-drop UART at 115200 baud: ten bits a byte, COBS and a closing zero around each frame."""

    BAUD = 115_200
    GAP_US = 200
    SLOT_US = 200
    SLOTS = 32
    BYTE_US = 87
    SENSE_US = BYTE_US  # a byte is noticed when it has come whole
    SPREAD_US = 130  # UartLink's random time before it sends is up to seven of these

    @staticmethod
    def airtime_us(length: int) -> int:
        """Microseconds that a frame of length bytes occupies the line."""
        return Bus.in_ring(length) * 10 * 1_000_000 // Bus.BAUD

    @staticmethod
    def ring_bytes(members: int) -> int:
        """As UartLink sizes it."""
        return max(256, 4 * Bus.in_ring(max_length(members)), Bus.BAUD // 320)

    @staticmethod
    def in_ring(length: int) -> int:
        """With COBS and the closing zero."""
        return length + 2


class AccessPoint(Medium):
    """UDP over a WiFi network: each frame goes to the access point, and from there in one broadcast to everybody.

    There it waits for the next beacon, as it does while any client saves power, and all that wait leave one after the
    other at 1 Mbit/s. On its way up it is acknowledged and repeated, so that none is lost there. Who hears a frame
    cannot tell for how long it was kept.
    """

    BEACON_US = 102_400
    UP_US = 400  # the way up at 24 Mbit/s, with its acknowledgement
    GAP_US = 50
    SLOT_US = 20
    SLOTS = 16
    HEADS = 44  # bytes of IP, UDP, LLC and WPA, besides the radio's own
    QUEUE = 4  # datagrams that an RP2040 holds

    def __init__(self, *what: Any) -> None:
        super().__init__(*what)
        self._length = max_length(len(self.in_range)) + 1  # of every datagram
        self._begun = self._random.randrange(self.BEACON_US)  # a beacon's time
        self._free = 0  # when the channel is
        self._kept: list[tuple[Any, Transmission]] = []  # with whose they are

    @staticmethod
    def airtime_us(length: int) -> int:
        """None that a hearer could reckon with: UdpLink takes nothing off."""
        return 0

    @staticmethod
    def ring_bytes(members: int) -> int:
        """Datagrams, here."""
        return AccessPoint.QUEUE

    @staticmethod
    def in_ring(length: int) -> int:
        """One datagram, of whatever length."""
        return 1

    def can_send(self, board) -> bool:
        """Whether the last frame is on its way: what WiFi is given meanwhile would wait in it."""
        return board not in self._pending

    def send(self, board, frame: bytes, payload: Any) -> None:
        """Take a frame of a board that can send; it goes up when the channel is free."""
        self._pending.add(board)
        now = self.kernel.now
        sent = Transmission(now, now, board.place, self.in_range[board.place], frame, payload)
        self.kernel.at(self._occupy(self.UP_US), self._up, board, board.life, sent)

    def _occupy(self, us: int) -> int:
        """Have the channel for that time, once it is free; returns when that ends."""
        self._free = max(self._free, self.kernel.now) + self._backoff() + us
        self.busy_us += us
        return self._free

    def _up(self, board, life: int, sent: Transmission) -> None:
        self._pending.discard(board)
        if board.life != life:  # power was lost with the frame in the link
            return
        self.kernel.note("sends", board.number, sent.frame)
        board.left(None)
        if not self._kept:
            past = (self.kernel.now - self._begun) % self.BEACON_US
            self.kernel.at(self.kernel.now + self.BEACON_US - past, self._beacon)
        self._kept.append((board, sent))
        board.wake()

    def _beacon(self) -> None:
        kept, self._kept = self._kept, []
        for board, sent in kept:
            self.kernel.at(self._occupy(air.airtime_us(self._length + self.HEADS)), self._pass_on, board, sent)

    def _pass_on(self, board, sent: Transmission) -> None:
        for place in self._near[sent.sender]:
            for hearer in self._hearers.get(place, ()):
                if hearer is not board:
                    self.weather.arrive(self, board, hearer, sent)

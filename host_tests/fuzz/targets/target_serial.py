"""What a misbehaving board sends in answer to the tools: each ends with a value or a plain error, soon, whatever comes.

Input: a byte that chooses what is asked, then what the board sends: bytes as they are, but for 0xFE, where it waits
until something is written to it, 0xFD, where it is silent for as many seconds as the next byte says, and 0xFF, from
where on it repeats the rest for ever. The clock of the tools runs as their port and their waiting let it.
"""

import json
import secrets

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError

from swarm.serial import application, port, raw_paste, targets
from swarm.serial import prompt as prompts
from swarm.serial.port import BoardError
from swarm.serial.prompt import prompt
from swarm.serial.prompt import run as run_code
from swarm.serial.status import read_runtime, read_screen, read_status
from swarm.serial.targets import Target
from swarm.watch import instants, node_table

MOST = 700
_DONE = b"\x04\x04>"
_RAW = b"\xfe\xferaw REPL; CTRL-B to exit\r\n>"  # to the second of what is written
_PASTE = b"\xfeR\x01\x80\x00"
_STATUS = (
    b'{"answer": {"swarm": "a", "node": 3, "session": 1, "state": "Pinging", "heard": [1], "ready": [], '
    b'"missing": [1], "required": 2, "generation": 0, "restarts": 0, "timeouts": 0, "conflict": false, '
    b'"instant_in_us": null, "sample": null, "counters": {"foreign": 1, "forged": 0}, "errors": []}}\r\n'
)
_KEYS = json.loads(_STATUS)["answer"].keys()
_ASKED = _RAW + _PASTE + b"\xfe\x04<<< micropython 1 28 0 >>>\r\n" + _DONE  # which Python answers
_TO_STATUS = _ASKED + _PASTE + b"\xfe\x04" + _STATUS + _DONE
SEEDS = (
    b"\x00",
    b"\x00" + _TO_STATUS,
    b"\x00" + _TO_STATUS.replace(b'"sample": null', b'"sample": {"node": 3, "late_us": 5, "value": 1, "late": true}'),
    b"\x00" + _TO_STATUS.replace(b'"Pinging"', b'"\\u001b[2J"'),
    b"\x00" + _TO_STATUS.replace(b"[]", b"5"),
    b"\x01" + _TO_STATUS + _PASTE + b"\xfe\x01\x04" + b"\x1b[Hscreen\r\n" + _DONE,
    b"\x02" + _ASKED + _PASTE + b"\xfe\x04" + b'{"answer": ["micropython", [1, 28, 0], 2147483647]}' + _DONE,
    b"\x03" + _ASKED + _PASTE + b"\xfe\x04" + b"<<< 'rp2' >>>" + _DONE,
    b"\x04" + _ASKED + _PASTE + b"\xfe\x04\x04Traceback (most recent call last):\r\nOSError: 28\r\n\x04>",
    b"\x04" + _ASKED + _PASTE + b"\xfe\x04\x04\x1b[2J\xc3\x28\x04>",
    b"\x04" + _ASKED + _PASTE + b"\xfe\x04\x04 \r\n\x04>",
    b"\x00\xff" + b"noise ",
    b"\x05\xff" + b"noise ",
    b"\x05\xfe>>> ",
    b"\x05\xfe\xfe" + _STATUS[11:-3] + b"\r\n",
    b"\x00" + _ASKED + _PASTE + b"\xfe\xff\x01",
    b"\x00" + _ASKED.replace(b"micropython", b"\x1b[2Jpython") + _PASTE,
    b"\x00" + _ASKED.replace(b"28", b"9" * 600) + _PASTE,
    b"\x06" + _ASKED + _PASTE + b"\xfe\x04" + b"\xfe<<< -5 >>>" * 5 + _DONE,
    b"\x06" + _ASKED + _PASTE + b"\xfe\x04" + b"\xfe<<< " + b"9" * 100 + b" >>>",
    b"\x06" + _ASKED + _PASTE + b"\xfe\x04\xff" + b"noise ",
)
WORDS = (
    "raw REPL; CTRL-B to exit\r\n>",
    "R\x01",
    "\x04",
    "\x04>",
    "answer",
    "error",
    "absent",
    "stopped",
    "<<<",
    ">>>",
)
LONGEST_S = 600  # by the tools' clock
_BYTE_S = 0.02  # to read it, or as many as are there
_LOOK_S = 0.002
_WAITING = 4095  # of the bytes that a board sends without end, so many are there at a time
_PORT = "fuzz://"
_TARGET = Target("fuzz", _PORT)


class Clock:
    """`time` of the tools."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        """Seconds; a look at it takes time."""
        self.pass_(_LOOK_S)
        return self.now

    def sleep(self, seconds):
        """Let time pass."""
        self.pass_(seconds)

    time = monotonic

    def pass_(self, seconds):
        """Let time pass, of which no tool may take too much."""
        self.now += seconds
        assert self.now < LONGEST_S, "it does not come to an end"


clock = Clock()
script = b""


class Port:
    """serial.Serial with the misbehaving board behind it."""

    def __init__(self, *_, timeout=None, **__):
        self.timeout = timeout
        self.fd = None
        self._said, _, endless = script.partition(b"\xff")
        self._endless = bytes(byte for byte in endless if byte < 0xFD)
        self._at = 0
        self._silent_until = 0.0
        self._written = False

    def open(self):
        """Nothing to open."""

    close = flush = open

    def _next(self):
        """The byte that is there, or None."""
        while self._at < len(self._said):
            byte = self._said[self._at]
            if clock.now < self._silent_until or byte == 0xFE and not self._written:
                return None
            if byte < 0xFD:
                return byte
            self._at += 1
            if byte == 0xFE:
                self._written = False
            else:
                self._silent_until = clock.now + int.from_bytes(self._said[self._at : self._at + 1], "big")
                self._at += 1
        if not self._endless or clock.now < self._silent_until:
            return None
        return self._endless[(self._at - len(self._said)) % len(self._endless)]

    @property
    def in_waiting(self):
        """How many bytes can be read at once."""
        clock.pass_(_LOOK_S)
        if self._next() is None:
            return 0
        return 1 if self._at < len(self._said) else _WAITING

    def read(self, count=1):
        """So many bytes, or those that have come when the time is over."""
        data = bytearray()
        end = clock.now + self.timeout
        while len(data) < count:
            byte = self._next()
            if byte is None:
                if clock.now >= end:
                    break
                clock.pass_(0.01)
                continue
            data.append(byte)
            self._at += 1
        clock.pass_(_BYTE_S)
        return bytes(data)

    def write(self, data):
        """The board sees that something is written."""
        self._written = True
        return len(data)


serial.serial_for_url = Port
for module in (transport_serial, port, raw_paste, targets, prompts, application, instants):
    module.time = clock
secrets.token_hex = lambda _: ""  # so that what a board sends is an answer


def _harmless(text):
    """Whether it cannot take over the terminal that shows it."""
    return all(sign.isprintable() or sign == "\n" for sign in text)


def _status(transport):
    status = read_status(transport, _PORT)
    if status.keys() >= _KEYS:
        cells = node_table.cells(_TARGET, status)
        assert all(map(_harmless, cells)), cells


def _screen(transport):
    screen = read_screen(transport, _PORT)
    assert _harmless(screen), screen


def _runtime(transport):
    runtime = read_runtime(transport, _PORT)
    assert [type(runtime[key]) for key in ("implementation", "version", "maxsize")] == [str, list, int]


def _value(transport):
    transport.eval("value")


def _output(transport):
    assert isinstance(run_code(transport, _PORT, "code" * 100), str)


def _application(transport):
    status = application.of_application(transport, _PORT)
    assert status is None or isinstance(status, dict)


def _sampled(transport):
    status = {"sample": {"late_us": 5}, "instant_in_us": -5}
    bounds = instants.read(transport, _PORT, status)["instant"]
    assert bounds is None or bounds.low_us <= bounds.high_us


_TOOLS = (_status, _screen, _runtime, _value, _output, None, _sampled)  # at a prompt; None: without one


def run(data):
    """One input."""
    global script
    script = data[1:]
    clock.now = 0.0
    try:
        tool = _TOOLS[data[0] % len(_TOOLS)] if data else _status
        with port.open_port(_PORT) as transport:
            if tool is None:
                _application(transport)
            else:
                with prompt(transport, _PORT):
                    tool(transport)
    except (BoardError, TransportError) as error:
        assert _harmless(str(error)), error

"""Opens a board's serial port, with mpremote's own transport, without disturbing the board.

mpremote opens a port with pyserial's defaults, which move DTR and RTS; on many ESP32 boards those lines reset the chip.
pyserial sets DTR first and RTS after it, and the state between the two is what resets. Here neither is touched: at the
first opening the system raises both at once, which those circuits take for no reset and which a Pico wants to see, and
there they stay.
"""

from __future__ import annotations

import ast
import errno
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import serial
from mpremote import transport_serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from swarm.serial import permission, raw_paste
from swarm.serial.answer import SHOWN, plain
from swarm.serial.holder import THIS, find_holder

termios: ModuleType | None
try:
    import termios
except ImportError:  # Windows has none
    termios = None

ANSWER_S = 3.0  # time for a board's prompt to answer
# What a port that goes away in the middle raises, from whichever layer notices first.
GONE = (OSError, termios.error) if termios else (OSError,)
# Of one answer, so that a board that never comes to an end of it is given up.
_LONGEST_S = 120.0
_LONGEST = 1 << 20  # bytes
_LOOKS = ("swarm monitor", "swarm status", "swarm doctor", "swarm collect")  # have a port open for a moment only
_LOOK_S = 7.0  # a member that is asked through a board and is silent takes 5 s
_AGAIN_S = 0.1
_BANNER = b"raw REPL; CTRL-B to exit\r\n"


def _print_nothing(*_: object) -> None:
    """Stands in mpremote where it prints what it did not understand: that may be the echo of a key it had just sent.

    For the whole process, since several boards are read at once and standard output is one.
    """


transport_serial.print = _print_nothing  # type: ignore[attr-defined]


class BoardError(Exception):
    """A board could not be read; the message says why and what to do.

    kind: the same for programs: "absent", "forbidden", "busy" or "unusable" of the port, "silent" when no MicroPython
    answers there, "foreign" when another Python does, "no node" when none runs, "other version" or "other node" when
    another than is wanted, else "failed". holder: the program that has a busy port open, where the system tells.
    """

    def __init__(self, text: str, kind: str = "failed", holder: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.holder = holder


class _QuietTransport(SerialTransport):
    """mpremote's transport on a port whose DTR and RTS nobody moves, to a board whose node may print at any time."""

    def __init__(self, port: str, baudrate: int = 115200) -> None:
        # SerialTransport's own start opens the port with the lines moving, so it is not used.
        self.in_raw_repl = False
        self.use_raw_paste = True
        self.device_name = port
        self.mounted = False
        self.serial = serial.serial_for_url(
            port,
            do_not_open=True,
            baudrate=baudrate,
            timeout=ANSWER_S,
            write_timeout=ANSWER_S,
            inter_byte_timeout=1,
            exclusive=True,
        )
        if hasattr(self.serial, "_update_dtr_state"):
            self.serial._update_dtr_state = self.serial._update_rts_state = _leave_the_lines
        self.serial.open()
        _keep_lines_at_close(self.serial)
        self.is_pty = self._is_pty_device(port)

    def read_until(self, min_num_bytes, ending, timeout=10, data_consumer=None, timeout_overall=None):
        """What comes up to ending; without it at the end when it does not come in time, or too much does before it.

        As mpremote's, which ends on no limit but ending as long as anything comes.
        """
        data = bytearray()
        now = time.monotonic()
        heard, end = now, now + (timeout_overall or _LONGEST_S)
        while not data.endswith(ending) and now < end and len(data) < _LONGEST:
            byte = self.serial.read(1) if self.is_pty or self.serial.in_waiting else b""
            now = time.monotonic()
            if byte:
                heard = now
                data += byte
                if data_consumer:
                    data_consumer(byte)
            elif now >= heard + timeout:
                break
            else:
                time.sleep(0.01)
        return bytes(data)

    def enter_raw_repl(self, soft_reset=False, timeout_overall=ANSWER_S):
        """Interrupt what runs in the foreground and enter the raw REPL, without a soft reset. TransportError."""
        self.serial.write(b"\r\x03")
        self.serial.read(self.serial.in_waiting)  # once: from some boards something comes all the time
        self.serial.write(b"\r\x01")
        if not self.read_until(1, _BANNER, timeout_overall=timeout_overall).endswith(_BANNER):
            raise TransportError("could not enter raw repl")
        self.in_raw_repl = True

    def soft_reset(self):
        """In the raw REPL: start the interpreter again, without main.py. TransportError when it does not."""
        self.serial.write(b"\x04")
        self.read_until(1, b"soft reboot\r\n", timeout_overall=ANSWER_S)
        if not self.read_until(1, _BANNER, timeout_overall=ANSWER_S).endswith(_BANNER):
            raise TransportError("no soft reset")

    def exec_raw_no_follow(self, command: str | bytes) -> None:
        if not self.read_until(1, b">").endswith(b">"):
            raise TransportError("the board shows no prompt")
        raw_paste.send(self.serial, command.encode() if isinstance(command, str) else command)

    def exec(self, command, data_consumer=None):
        said, complaint = self.exec_raw(command, data_consumer=data_consumer)
        if complaint:
            raise TransportExecError(said, plain(complaint.decode("utf-8", "replace")))
        return said

    def eval(self, expression: str, parse: bool = True):
        """The value of an expression on the board; between marks, since its node may print a line beside it.

        TransportError when what comes is no value.
        """
        value = f"repr({expression})" if parse else expression
        mark = secrets.token_hex(4)  # no line that the user's code prints has it
        # In one call, and without a string that takes memory.
        said = self.exec(f"print('<<<{mark}', {value}, '{mark}>>>')").decode("utf-8", "replace")
        try:
            answer = said[said.index(f"<<<{mark}") + 3 + len(mark) : said.rindex(f"{mark}>>>")].strip().encode()
            return ast.literal_eval(answer.decode()) if parse else answer
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise TransportError(f"the board's answer is no value: {said[:SHOWN]!r}") from None

    def close(self) -> None:
        self.serial.close()


def _leave_the_lines() -> None:
    """Stands where pyserial would set DTR, and after that RTS."""


def _keep_lines_at_close(port: serial.Serial) -> None:
    """Have the system leave DTR and RTS as they are when the port closes."""
    if termios is None or not isinstance(getattr(port, "fd", None), int):
        return
    attributes = termios.tcgetattr(port.fd)
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(port.fd, termios.TCSANOW, attributes)


def _why_not(port: str, error: Exception) -> BoardError:
    """What to tell a user whose port does not open."""
    code = getattr(error, "errno", None)
    path = Path(port)
    if "://" not in port and not path.exists():
        return BoardError(
            f"{port}: no such port; plug the board in, or see the ports with `mpremote connect list`", "absent"
        )
    if code in (errno.EACCES, errno.EPERM) or "ermission denied" in str(error):
        return BoardError(f"{port}: no permission; {permission.remedy(port)}", "forbidden")
    if code in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error).lower():
        holder = find_holder(port)
        if holder == THIS:
            told = f"busy: {THIS} has it open under another name; list each board once"
        elif holder:
            told = f"busy: {holder} has it open; close {holder}"
        else:
            told = "busy; close the other program that has it open (a terminal, mpremote, an editor)"
        return BoardError(f"{port}: {told}", "busy", holder)
    if code in (errno.EMFILE, errno.ENFILE):
        return BoardError(f"{port}: too many files are open here; type `ulimit -n 1024`, and repeat this", "unusable")
    no_terminal = f"({errno.ENOTTY}, " in str(error)  # pyserial's words have it, not its errno
    if no_terminal or path.exists() and not stat.S_ISCHR(path.stat().st_mode):
        return BoardError(f"{port}: not a serial port", "unusable")
    return BoardError(f"{port}: {error}", "unusable")


def _open(port: str) -> SerialTransport:
    """The port, opened; waited for while another of our own commands only looks at the board."""
    deadline = time.monotonic() + _LOOK_S
    unknown = False
    while True:
        try:
            return _QuietTransport(port)
        except (OSError, serial.SerialException, ValueError) as error:
            why = _why_not(port, error)
            # A holder that is not found may have just gone: that is tried once.
            was_unknown, unknown = unknown, why.kind == "busy" and why.holder is None
            passing = unknown and not was_unknown or (why.holder or "").startswith(_LOOKS)
            if not passing or time.monotonic() > deadline:
                raise why from error
        time.sleep(_AGAIN_S)


@contextmanager
def open_port(port: str) -> Iterator[SerialTransport]:
    """A board's serial port, where nothing is sent to the board; BoardError when it does not open."""
    transport = _open(port)
    try:
        yield transport
    finally:
        transport.close()

"""Talks to a board's prompt over its serial port, with mpremote's own transport, without disturbing the board.

mpremote opens a port with pyserial's defaults, which move DTR and RTS; on many ESP32 boards those lines reset the chip.
pyserial sets DTR first and RTS after it, and the state between the two is what resets. Here neither is touched: at the
first opening the system raises both at once, which those circuits take for no reset and which a Pico wants to see, and
there they stay. The raw REPL is entered without a soft reset, so a node that runs from a timer goes on meanwhile.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import json
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

from swarm.serial import raw_paste

termios: ModuleType | None
try:
    import termios
except ImportError:  # Windows has none
    termios = None

ANSWER_S = 3.0  # time for a board's prompt to answer
_ATTEMPTS = 3  # at that, in this time
# Of one answer, so that a board that never comes to an end of it is given up.
_LONGEST_S = 120.0
_LONGEST = 1 << 20  # bytes
_SHOWN = 200  # characters of what a board says that go into a message
_BANNER = b"raw REPL; CTRL-B to exit\r\n"


def _print_nothing(*_: object) -> None:
    """Stands in mpremote where it prints what it did not understand: that may be the echo of a key it had just sent.

    For the whole process, since several boards are read at once and standard output is one.
    """


transport_serial.print = _print_nothing  # type: ignore[attr-defined]


class BoardError(Exception):
    """A board could not be read; the message says why and what to do.

    kind: the same for programs: "absent", "forbidden", "busy" or "unusable" of the port, "silent" when no MicroPython
    answers there, else "failed".
    """

    def __init__(self, text: str, kind: str = "failed") -> None:
        super().__init__(text)
        self.kind = kind


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
        said = self.exec(f"print('<<<', {value}, '>>>')")  # in one call, and without a string that takes memory
        try:
            answer = said[said.index(b"<<<") + 3 : said.rindex(b">>>")].strip()
            return ast.literal_eval(answer.decode()) if parse else answer
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise TransportError(f"the board's answer is no value: {said[:_SHOWN]!r}") from None

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
        group = ""
        with contextlib.suppress(KeyError, ImportError, OSError):
            import grp

            group = grp.getgrgid(path.stat().st_gid).gr_name
        return BoardError(
            f"{port}: no permission; type `sudo usermod -a -G {group or 'dialout'} $USER`, then log out and in again",
            "forbidden",
        )
    if code in (errno.EBUSY, errno.EAGAIN) or "lock" in str(error).lower():
        return BoardError(
            f"{port}: busy; close the other program that has it open (a terminal, mpremote, an editor)", "busy"
        )
    no_terminal = f"({errno.ENOTTY}, " in str(error)  # pyserial's words have it, not its errno
    if no_terminal or path.exists() and not stat.S_ISCHR(path.stat().st_mode):
        return BoardError(f"{port}: not a serial port", "unusable")
    return BoardError(f"{port}: {error}", "unusable")


@contextmanager
def open_port(port: str) -> Iterator[SerialTransport]:
    """A board's serial port, where nothing is sent to the board; BoardError when it does not open."""
    try:
        transport = _QuietTransport(port)
    except (OSError, serial.SerialException, ValueError) as error:
        raise _why_not(port, error) from error
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def raw_repl(port: str) -> Iterator[SerialTransport]:
    """The board's raw REPL at a port, for transport.exec() and eval(); BoardError when it cannot be had."""
    with open_port(port) as transport, prompt(transport, port):
        yield transport


@contextmanager
def prompt(transport: SerialTransport, port: str) -> Iterator[None]:
    """The raw REPL at an open port, left again at the end; BoardError when no MicroPython answers."""
    try:
        try:
            _enter(transport)
        except (TransportError, OSError, serial.SerialException) as error:
            raise BoardError(
                f"{port}: no MicroPython prompt answers; is it a board with MicroPython, and does no program keep it "
                f"busy? `mpremote connect {port} reset` starts it again",
                "silent",
            ) from error
        yield
    finally:
        with contextlib.suppress(Exception):
            transport.exit_raw_repl()
            transport.serial.flush()


def _enter(transport: SerialTransport) -> None:
    """Enter the raw REPL; asked again after a while, since a board that just starts may have thrown the first away."""
    transport.serial.timeout = ANSWER_S / _ATTEMPTS
    for attempt in range(_ATTEMPTS):
        try:
            transport.enter_raw_repl(soft_reset=False, timeout_overall=ANSWER_S / _ATTEMPTS)
            break
        except TransportError:
            if attempt == _ATTEMPTS - 1:
                raise
    transport.serial.timeout = ANSWER_S


_STATUS = """
import json
try:
    import faction
except ImportError:
    print(json.dumps({"answer": {"error": "absent"}}))
else:
    try:
        print(json.dumps({"answer": faction.status_dict()}))
    except RuntimeError as error:
        print(json.dumps({"answer": {"error": "stopped", "why": str(error)}}))
"""

# What kinds of values a status holds: of a list's parts, of what a dict has at least, one of several in a tuple.
_TOLD = {
    **dict.fromkeys(("swarm", "state"), str),
    **dict.fromkeys(("node", "session", "required", "generation", "restarts", "timeouts"), int),
    **dict.fromkeys(("heard", "ready", "missing"), [int]),
    "conflict": bool,
    "instant_in_us": (int, None),
    "sample": ({"node": int, "late_us": int, "value": object, "late": bool}, None),
    "counters": {"foreign": int, "forged": int},
    "errors": [str],
}

_RUNTIME = """
import sys, json
print(json.dumps({"answer": [sys.implementation.name, list(sys.implementation.version), sys.maxsize]}))
"""


def read_status(transport: SerialTransport, port: str) -> dict:
    """The node's status_dict; BoardError when the board has no faction, or its node was not started."""
    status = _json(transport, port, _STATUS)
    check_status(status, port)
    if status.get("error") == "absent":
        raise BoardError(
            f"{port}: MicroPython answers, but there is no faction on it; copy it there as the README says"
        )
    if status.get("error") == "stopped":
        why = status.get("why")
        raise BoardError(f"{port}: {why}; put that right, then `mpremote connect {port} reset` starts the board again")
    return status


def check_status(status: object, port: str) -> None:
    """BoardError unless what a status tells is of the kinds that a node tells; it need not tell all of it."""
    if not isinstance(status, dict) or not all(_fits(status[key], _TOLD[key]) for key in _TOLD.keys() & status.keys()):
        raise _not_understood(port, repr(status))


def _fits(value: object, kind) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(_fits(part, kind[0]) for part in value)
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(key in value and _fits(value[key], kind[key]) for key in kind)
    if isinstance(kind, tuple):
        return any(_fits(value, one) for one in kind)
    return kind is object or value is None is kind or type(value) is kind


def read_screen(transport: SerialTransport, port: str) -> str:
    """The status screen that faction.status() prints on the board."""
    read_status(transport, port)
    return plain(run(transport, port, "import faction\nfaction.status()")).rstrip("\n")


def read_runtime(transport: SerialTransport, port: str) -> dict:
    """What the node runs on: {"implementation", "version", "maxsize"}."""
    answer = _json(transport, port, _RUNTIME)
    if not isinstance(answer, list) or [type(part) for part in answer] != [str, list, int]:
        raise _not_understood(port, repr(answer))
    return dict(zip(("implementation", "version", "maxsize"), answer, strict=True))


def _json(transport: SerialTransport, port: str, code: str):
    """The answer that code prints on the board, among lines the node may print meanwhile, some of them JSON."""
    for _ in range(_ATTEMPTS):  # a node's line may come in the middle of the answer
        output = run(transport, port, code)
        for line in output.splitlines():
            with contextlib.suppress(ValueError):
                found = parse(line)
                if isinstance(found, dict) and "answer" in found:
                    return found["answer"]
    raise _not_understood(port, repr(output))


def _not_understood(port: str, answer: str) -> BoardError:
    return BoardError(f"{port}: the board's answer is not understood: {answer[:_SHOWN]}")


def parse(line: str | bytes):
    """The JSON that a board has sent, its texts plain(). ValueError when it is none."""
    try:
        return _all_plain(json.loads(line))
    except RecursionError:
        raise ValueError("brackets within brackets without end") from None


def _all_plain(value):
    if isinstance(value, dict):
        return {plain(key): _all_plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_all_plain(part) for part in value]
    return plain(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Text of a board without what could take over the terminal that shows it: control characters become U+FFFD."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text.replace("\r\n", "\n"))


def run(transport: SerialTransport, port: str, code: str) -> str:
    """What code prints at the board's raw REPL, and the node meanwhile; BoardError when that fails."""
    try:
        return transport.exec(code).decode("utf-8", "replace")
    except TransportExecError as error:
        said = error.error_output.strip().splitlines() or ["an error without words"]
        raise BoardError(f"{port}: the board reports: {said[-1][:_SHOWN]}") from error
    except (TransportError, OSError, serial.SerialException) as error:
        raise BoardError(f"{port}: the board stopped answering ({error})") from error

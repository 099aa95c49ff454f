"""A virtual board: a MicroPython process with its own directory, clock, sensor, radio and serial port.

`VirtualBoard` gives the board power and a serial port: a PTY whose path a tool such as mpremote opens. Between that PTY
and the process's own stands this supervisor, because a process at a PTY is not a board: Ctrl-C has to become an
interrupt, and a process that ended at Ctrl-D has to come back as a board's soft reset does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from swarm.paths import SHIMS
from swarm.rig.interrupt import interrupt
from swarm.rig.launcher import INTERRUPT
from swarm.rig.personality import Clock, make_clock, make_sensor, true_us

DEVICE_SHIMS = SHIMS / "device"
RUNTIMES = ("unix", "cpython")

_RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n"
_PROMPT = b">>> "
_CTRL_A, _CTRL_C = b"\x01", b"\x03"
_RESET = b"R"  # a board's request for one (host_tests/shims/device/_chip.py)
_TAKEN_S = 0.02  # for a program to take an interrupt; whoever does reads what comes behind it, as on a device
_LINE_MAX = 4096
_HELD_MAX = 65536  # bytes held for a program that does not read
_STUCK_S = 0.25  # how long the board waits for a reader of its port that does not read


def unix_port_missing() -> str | None:
    """Why nodes cannot run on MicroPython's unix port here, or None when they can."""
    try:
        import micropython_run  # noqa: F401
    except ImportError as error:
        return f"PyPI has no MicroPython unix port for this machine, or it is not installed ({error})"
    return None


def _raw(descriptor: int) -> None:
    """Make a terminal pass bytes as they are, both ways."""
    attributes = termios.tcgetattr(descriptor)
    attributes[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.ISTRIP | termios.BRKINT)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def _ignore_interrupts() -> None:
    """Until the board's program runs and takes interrupts, a Ctrl-C must not end its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class VirtualBoard:
    """One board with its power switch and its serial port.

    The owner calls `pump()` whenever one of `descriptors()` is readable, and at least every 20 ms.
    on_line(board, true_us, line) is called for each line the board prints, on_boot(board, kind, clock) at each start.
    """

    def __init__(
        self,
        node: int,
        directory: Path,
        radio_port: int,
        seed: int,
        runtime: str = "unix",
        on_line: Callable[[VirtualBoard, int, str], None] = lambda *_: None,
        on_boot: Callable[[VirtualBoard, str, Clock], None] = lambda *_: None,
    ) -> None:
        self.node = node
        self.directory = directory
        self.radio_port = radio_port
        self.seed = seed
        self.runtime = runtime
        self.sensor = make_sensor(seed, node)
        self.clock = Clock(true_us(), 0, 0)
        self.boots = 0
        self.process: subprocess.Popen | None = None
        self._on_line, self._on_boot = on_line, on_boot
        self._inner, self._inner_end = os.openpty()  # supervisor <-> process
        self._outer, outer_end = os.openpty()  # supervisor <-> whoever opens the port
        self.port = os.ttyname(outer_end)
        for end in (self._inner_end, outer_end):
            _raw(end)
        os.close(outer_end)  # so that the port tells whether somebody has it open
        for descriptor in (self._inner, self._outer):
            os.set_blocking(descriptor, False)
        self._requests, self._requests_end = os.pipe()
        os.set_blocking(self._requests, False)
        self._watched = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the board is there
        self._raw_repl = False
        self._power_on_us = 0
        self._tail = b""
        self._line = b""
        self._to_port = self._to_process = b""
        self._port_stuck_s: float | None = None
        self._interrupted_s = 0.0

    def descriptors(self) -> tuple[int, ...]:
        """File descriptors whose readability asks for a pump(); ask again each time."""
        if self._port_is_open():
            return (self._inner, self._requests, self._outer)
        return (self._inner, self._requests)  # a port that nobody has open is always "readable"

    @property
    def powered(self) -> bool:
        """Whether it has power."""
        return self.process is not None

    def power_on(self, kind: str = "power") -> None:
        """Give the board power; nothing happens when it has it."""
        if self.process is None:
            self.boots += 1
            self._power_on_us = true_us()
            self.clock = make_clock(self.seed, self.node, self.boots, self._power_on_us)
            self._raw_repl = False
            self._retained.unlink(missing_ok=True)
            self._start(kind)

    def power_off(self) -> None:
        """Cut the power: the process is gone at once, in the middle of whatever it did."""
        process, self.process = self.process, None
        self._watched.truncate(0)
        if process is not None:
            process.kill()
            process.wait()
            # What it has said has been said; in the next life it would be taken for that one's.
            self._from_process()
            termios.tcflush(self._inner_end, termios.TCIOFLUSH)
            self._from_process()
            self._line = b""

    def close(self) -> None:
        """Cut the power and take the port away."""
        self.power_off()
        for descriptor in (self._inner, self._inner_end, self._outer, self._requests, self._requests_end):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._watched.close()

    @property
    def _retained(self) -> Path:
        """Where the radio's state outlives a soft reset: beside the directory, which is the board's flash."""
        return self.directory.with_name(self.directory.name + ".retained")

    def _start(self, kind: str) -> None:
        environment = dict(os.environ)
        environment.update(
            SWARM_NODE=str(self.node),
            SWARM_BOOT=kind,
            SWARM_RAW_REPL=str(int(self._raw_repl)),
            SWARM_RETAINED=str(self._retained),
            SWARM_SUPERVISOR_FD=str(self._requests_end),
            SWARM_WATCHDOG_FD=str(self._watched.fileno()),
            SWARM_POWER_ON_US=str(self._power_on_us),
            PYTHONPATH=os.pathsep.join(sys.path),  # so that it need not look for its site
            **{f"SWARM_CLOCK_{name.upper()}": str(value) for name, value in asdict(self.clock).items()},
            **{f"SWARM_{name.upper()}": str(value) for name, value in asdict(self.sensor).items()},
        )
        launcher = Path(__file__).with_name("launcher.py" if self.runtime == "unix" else "launcher_cpython.py")
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(launcher), str(self.radio_port), str(DEVICE_SHIMS / "start.py")],
            stdin=self._inner_end,
            stdout=self._inner_end,
            stderr=self._inner_end,
            cwd=self.directory,
            env=environment,
            pass_fds=(self._requests_end, self._watched.fileno()),
            preexec_fn=_ignore_interrupts,
        )
        self._on_boot(self, kind, self.clock)

    def pump(self) -> None:
        """Carry bytes between the port and the process, pass interrupts on, start the board again after a reset."""
        requests = self._read(self._requests)
        if _CTRL_C in requests:
            self._interrupt()
        kind = "reset" if _RESET in requests else "watchdog" if self._watchdog_bites() else None
        if kind and self.process is not None:
            self._from_process()
            self.power_off()
            self.power_on(kind)
        self._from_port()
        self._from_process()
        if self.process is not None and self.process.poll() is not None:
            self._from_process()
            self._restart()

    def _watchdog_bites(self) -> bool:
        """Whether the watchdog was not fed in time: its file holds when that is over, by true time, 0 for never."""
        return 0 < int.from_bytes(os.pread(self._watched.fileno(), 8, 0), "little") < true_us()

    def _restart(self) -> None:
        """A process that has ended is a soft reset."""
        self._line = b""
        self.process = None
        self._to_port += b"MPY: soft reboot\r\n"
        self._flush_port()
        self._to_process = _CTRL_A if self._raw_repl else b""
        self._start("soft")

    @staticmethod
    def _read(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, 4096)
        except OSError:
            return b""  # nothing there, or nobody has the port open

    @staticmethod
    def _write(descriptor: int, data: bytes) -> bytes:
        """Write what fits; what is left."""
        try:
            return data[os.write(descriptor, data) :]
        except BlockingIOError:
            return data
        except OSError:
            return b""  # the other end is gone

    def _from_port(self) -> None:
        if len(self._to_process) < _HELD_MAX:
            data = self._read(self._outer)
            # A prompt that waits for a key takes Ctrl-C as a byte; a program that runs is interrupted by it.
            if _CTRL_C in data and self._interrupt():
                data = data.replace(_CTRL_C, b"")
            self._to_process += data
        if self.process is None:
            self._to_process = b""
        elif self._to_process and time.monotonic() - self._interrupted_s > _TAKEN_S:
            self._to_process = self._write(self._inner, self._to_process)

    def _interrupt(self) -> bool:
        """Interrupt the program that runs; False when none does."""
        by = INTERRUPT if self.runtime == "unix" else signal.SIGINT
        taken = self.process is not None and interrupt(self.process, by)
        if taken:
            self._interrupted_s = time.monotonic()
        return taken

    def _from_process(self) -> None:
        while self._flush_port():
            data = self._read(self._inner)
            if not data:
                return
            now_us = true_us()
            self._tail = (self._tail + data)[-_LINE_MAX:]
            raw, friendly = self._tail.rfind(_RAW_BANNER), self._tail.rfind(_PROMPT)
            if raw != friendly:
                self._raw_repl = raw > friendly
            self._to_port += data
            *lines, self._line = (self._line + data).split(b"\n")
            self._line = self._line[-_LINE_MAX:]
            for line in lines:
                self._on_line(self, now_us, line.decode("utf-8", "replace").strip("\r"))

    def _flush_port(self) -> bool:
        """Write what waits for the port; False while its reader does not keep up, for a while: then it loses bytes."""
        if self._to_port and self._port_is_open():
            left = self._write(self._outer, self._to_port)
            if len(left) < len(self._to_port):
                self._port_stuck_s = None
            self._to_port = left
        else:
            self._to_port = b""
        if not self._to_port:
            self._port_stuck_s = None
            return True
        now = time.monotonic()
        self._port_stuck_s = self._port_stuck_s or now
        if now - self._port_stuck_s < _STUCK_S:
            return False
        self._to_port = b""  # and so does everything more, until the reader takes something
        return True

    def _port_is_open(self) -> bool:
        poll = select.poll()
        poll.register(self._outer, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

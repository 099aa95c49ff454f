"""Becomes one virtual board on CPython, where MicroPython's unix port does not exist.

    python launcher_cpython.py RADIO_PORT START_PY      with the serial line's PTY as standard input and output

The same firmware, shims and signals as launcher.py; the signals run the shims' interrupt work as Python handlers, also
while the prompt waits. The prompt is as much of MicroPython's as tools need: a raw REPL, raw paste, single lines.
"""

import builtins
import io
import os
import select
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path

CTRL_A, CTRL_B, CTRL_C, CTRL_D, CTRL_E = b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"
PASTE_WINDOW = 256
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
BANNER = f"{sys.implementation.name} {sys.version.split()[0]} as a virtual board\r\n>>> ".encode()


def _utime() -> types.ModuleType:
    """MicroPython's own `utime`, which the shims stand on: true time."""
    module = types.ModuleType("utime")
    module.__dict__["ticks_us"] = lambda: time.monotonic_ns() // 1000
    module.__dict__["sleep_us"] = lambda us: time.sleep(us / 1e6)
    for name in ("gmtime", "localtime", "mktime", "time", "time_ns"):
        setattr(module, name, getattr(time, name))
    return module


class _Poll:
    """select.poll() as MicroPython has it."""

    def __init__(self, poll: Callable = select.poll) -> None:
        poller = poll()
        self.register, self.poll, self.ipoll = poller.register, poller.poll, poller.poll


def _install(start: Path) -> None:
    """Make the device's modules importable and give this board its own `time`."""
    from shims.cpython import install

    install()
    sys.modules["utime"] = _utime()
    sys.path.insert(0, str(start.parent))
    host_time = sys.modules["time"]
    board_time = _load("time", start.parent / "time.py")
    for name in dir(host_time):
        if not hasattr(board_time, name):  # what other modules of the standard library want of it
            setattr(board_time, name, getattr(host_time, name))
    sys.modules["time"] = board_time
    select.__dict__["poll"] = _Poll
    sys.__dict__["print_exception"] = lambda error, file=None: traceback.print_exception(error, file=file)
    builtins.__dict__["execfile"] = lambda name, names: exec(compile(Path(name).read_text(), name, "exec"), names)


def _load(name: str, path: Path) -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def _write(data: bytes) -> None:
    os.write(1, data)


class Prompt:
    """The REPL at the end of the serial line."""

    def __init__(self, names: dict) -> None:
        self._names = names
        self._raw = False

    def run(self) -> None:
        """Serve until Ctrl-D at an empty prompt: that is a soft reset."""
        _write(BANNER)
        pending = b""
        while True:
            key = os.read(0, 1)
            if key == CTRL_A and self._raw and pending == CTRL_E + b"A":
                pending = b""
                self._paste()
            elif key == CTRL_A:
                self._raw, pending = True, b""
                _write(RAW_BANNER)
            elif key == CTRL_B:
                self._raw, pending = False, b""
                _write(b"\r\n" + BANNER)
            elif key == CTRL_C:
                pending = b""
                if not self._raw:
                    _write(b"\r\n>>> ")
            elif key in (b"", CTRL_D) and not pending:
                _write(b"\r\n")
                return
            elif self._raw and key == CTRL_D:
                _write(b"OK")
                self._run_raw(pending.decode())
                pending = b""
                _write(b">")
            elif self._raw:
                pending += key
            elif key in b"\r\n":
                _write(b"\r\n")
                self._run_line(pending.decode())
                pending = b""
                _write(b">>> ")
            else:
                pending += key
                _write(key)

    def _run(self, code: str, mode: str) -> str:
        """Run code with Ctrl-C as an interrupt; the traceback, or ''."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            exec(compile(code, "<stdin>", mode), self._names)
        except SystemExit:
            raise
        except BaseException:  # noqa: BLE001 - a prompt reports whatever it is
            return traceback.format_exc()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return ""

    def _paste(self) -> None:
        """Take code in windows, as much at a time as the other side was told."""
        _write(b"R\x01" + PASTE_WINDOW.to_bytes(2, "little"))
        code = b""
        while (key := os.read(0, 1)) not in (CTRL_C, CTRL_D, b""):
            code += key
            if len(code) % PASTE_WINDOW == 0:
                _write(b"\x01")
        _write(CTRL_D)
        self._run_raw(code.decode() if key == CTRL_D else "raise KeyboardInterrupt")
        _write(b">")

    def _run_raw(self, code: str) -> None:
        error = self._run(code, "exec")
        _write(b"\x04" + error.encode() + b"\x04")

    def _run_line(self, line: str) -> None:
        _write(self._run(line, "single").replace("\n", "\r\n").encode())


def main() -> None:
    """Become the board: run its programs in this process. Arguments: the medium's port, the script to start with."""
    radio_port, start = int(sys.argv[1]), Path(sys.argv[2])
    here = Path(__file__).resolve()
    sys.path[0:1] = [str(here.parents[2]), str(start.parents[2])]  # this package, and the shims of what CPython lacks
    from swarm.rig.launcher import arm, die_with_parent, open_radio

    die_with_parent()
    # Unbuffered: the firmware prints from signal handlers, which may interrupt a program in the middle of a print.
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0), write_through=True)
    os.environ["SWARM_RADIO_FD"] = str(open_radio(radio_port))
    _install(start)
    import _chip

    busy = False

    def wake(*_: object) -> None:
        nonlocal busy
        if not busy:  # a signal may come while the work of the last one is going on; callbacks do not nest
            busy = True
            try:
                _chip.run(runs=False)  # as if no program ran
            finally:
                busy = False

    arm(wake)
    names = {"__name__": "__main__"}
    exec(compile(start.read_text(), str(start), "exec"), names)
    try:
        Prompt(names).run()
    except SystemExit as reset:
        os._exit(reset.code if isinstance(reset.code, int) else 0)


if __name__ == "__main__":
    main()

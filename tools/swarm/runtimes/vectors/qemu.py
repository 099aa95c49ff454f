"""MicroPython on bare metal: the micro:bit's firmware on a Cortex-M0 with 16 KB of RAM, emulated by QEMU.

Debian packages bring both: `apt-get install qemu-system-arm firmware-microbit-micropython`. Its MicroPython is 1.9.2
and leaves about 9 KB of heap.
"""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swarm import runtimes

INSTALL = "apt-get install qemu-system-arm firmware-microbit-micropython"
_QEMU = "qemu-system-arm"
_FIRMWARE = Path("/usr/share/firmware-microbit-micropython/firmware.hex")
_ANSWER_S = 20.0  # for one piece of work
_PROMPT = b"\r\n>>> "
_DONE = "=done"  # printed after a piece that has not raised
_CHUNK = 32  # bytes sent before their echo is awaited; the firmware's buffer holds 64
_WRITTEN = 256  # bytes of a file that go into one write


def missing() -> str | None:
    """Why there is no such runtime here, with the command that installs it; None when there is one."""
    if not shutil.which(_QEMU):
        return f"no {_QEMU} on PATH: {INSTALL}"
    if not _FIRMWARE.exists():
        return f"no {_FIRMWARE}: {INSTALL}"
    return None


@contextmanager
def microbit() -> Iterator["Microbit"]:
    """An emulated micro:bit that has just been switched on. runtimes.RuntimeMissing when the packages are not there."""
    lacking = missing()
    if lacking:
        raise runtimes.RuntimeMissing(lacking)
    line = [_QEMU, "-M", "microbit", "-device", f"loader,file={_FIRMWARE}"]
    line += ["-nodefaults", "-display", "none", "-serial", "stdio"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Microbit(process)
        finally:
            process.kill()


class Microbit:
    """The prompt of an emulated micro:bit; a pieces.Device.

    Its paste mode is used, which echoes what it reads: that paces the host. QEMU delivers characters as fast as the
    interrupt takes them, and the firmware drops those that do not fit into its buffer.
    """

    max_members = 33  # what its heap holds beside the machine's code

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout
        self._to, self._from = process.stdin, process.stdout
        self._pending = b""
        self._until(_PROMPT)

    def load(self, source: str) -> None:
        """Write source to the file system as a module, and import all that it defines.

        The compiler has more room for a file than for a paste: it reads as it goes. A soft reset before it gives it a
        heap in one piece.
        """
        self.execute("f = open('core.py', 'w')")
        for start in range(0, len(source), _WRITTEN):
            self.execute(f"f.write({source[start : start + _WRITTEN]!r})")
        self.execute("f.close()")
        self._send(b"\x04")
        self._until(_PROMPT)
        self.execute("from core import *")

    def execute(self, code: str) -> str:
        """Run code and return what it printed. runtimes.ScriptFailed with the traceback when it raises."""
        self._send(b"\x05")
        self._until(b"\n=== ")
        # Collected at the end, so that the next piece is read and compiled in an unbroken heap.
        text = f"{code}\nimport gc\ngc.collect()\nprint('{_DONE}')".encode()
        for start in range(0, len(text), _CHUNK):
            chunk = text[start : start + _CHUNK]
            self._send(chunk)
            self._until(chunk)
        self._send(b"\x04")
        output = self._until(_PROMPT)[: -len(_PROMPT)].decode("utf-8", "replace")
        if not output.rstrip().endswith(_DONE):
            raise runtimes.ScriptFailed(f"on the emulated micro:bit: {output.strip()}\nin {code[:60]}")
        return output.strip()[: -len(_DONE)]

    def _send(self, data: bytes) -> None:
        self._to.write(data)
        self._to.flush()

    def _until(self, end: bytes) -> bytes:
        """All that came, up to and with end."""
        deadline = time.monotonic() + _ANSWER_S
        while end not in self._pending:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self._from.fileno(), 65536) if ready else b""
            if not data:
                state = "ended" if ready else f"did not answer within {_ANSWER_S:.0f} s"
                raise runtimes.ScriptFailed(f"the emulated micro:bit {state}; it said {self._pending[-200:]!r}")
            self._pending += data
        answer, _, self._pending = self._pending.partition(end)
        return answer + end

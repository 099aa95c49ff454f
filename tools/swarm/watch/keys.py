"""Single keys from the terminal, which is as it was again at every end of the block."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
from types import ModuleType

termios: ModuleType | None
try:
    import termios
except ImportError:  # Windows has none
    termios = None

_ARROWS = {b"\x1b[A": "up", b"\x1b[B": "down", b"\x1bOA": "up", b"\x1bOB": "down"}
_KEY = re.compile(rb"\x1b[\[O][0-9;]*.|.", re.DOTALL)


class Keys:
    """A context manager: the terminal hands over keys at once and does not show them.

    Ctrl-C stays an interrupt; Ctrl-Z, which would leave the terminal like this, does nothing. An end from outside
    (SIGTERM, SIGHUP) becomes SystemExit, so that the terminal is put right then as well.
    """

    def __init__(self) -> None:
        self._before: list | None = None
        self._signals: dict[int, object] = {}

    def __enter__(self) -> Keys:
        assert termios is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._signals[number] = signal.signal(number, _end)
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)
        quiet = termios.tcgetattr(self._descriptor)
        quiet[3] &= ~(termios.ICANON | termios.ECHO)
        quiet[6][termios.VSUSP] = b"\x00"
        quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._descriptor, termios.TCSANOW, quiet)
        return self

    def __exit__(self, *_: object) -> None:
        assert termios is not None
        with contextlib.suppress(termios.error):  # where the terminal has gone, which was why this ends
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
        for number, handler in self._signals.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def read(self, seconds: float) -> list[str]:
        """The keys pressed since, each as itself or up or down, waiting at most that long for one.

        EOFError when the terminal has gone.
        """
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return []
        try:
            data = os.read(self._descriptor, 1024)
        except OSError:
            data = b""
        if not data:
            raise EOFError("the terminal has gone")
        return [_ARROWS.get(key, key.decode("ascii", "replace")) for key in _KEY.findall(data)]


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)

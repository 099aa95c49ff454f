"""What onboard.py does on a board, called from the host at the board's raw REPL."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from swarm.serial.strip import strip

_ATTEMPTS = 3  # at an answer that a node's own line may spoil
_CHUNK = 1024  # bytes written by one command to the board
_FAILURES = (TransportError, OSError, serial.SerialException, struct.error)
_TRY_AGAIN = "check its cable, then deploy again"
MAKE_ROOM = "remove files of yours (`mpremote connect PORT resume fs tree` lists them), then deploy again"
_RESTART_S = 1.0  # for it to say that it restarts
_RAISED = re.compile(r"[A-Z]\w*(Error|Exception|Interrupt|Exit)\b")  # the line of a traceback that tells what
_SENT = "_deploy"  # the one name that onboard.py takes at the board's prompt


class DeployError(Exception):
    """A board was not brought to the new version; the message says why and what to do."""


class BadVersion(DeployError):
    """The version itself is at fault: other boards would fare no better."""


class NoRoom(DeployError):
    """The board's file system is full."""


class Disturbed(DeployError):
    """The board does not do what it is asked to: what runs there may be why."""


class Garbled(Disturbed):
    """The board's answer to a question is missing or spoiled."""


class Silent(Disturbed):
    """The board stopped answering."""


@lru_cache(maxsize=8)
def stripped(file: Path) -> str:
    """A source as it is sent to a board."""
    return strip(file.read_text("utf-8"))


class Remote:
    """What onboard.py offers, called at a board's raw REPL. DeployError when the board fails or stops answering."""

    def __init__(self, transport: SerialTransport) -> None:
        self._transport = transport
        self._mark = f"deploy {secrets.token_hex(4)}: "  # no line that the user's code prints has it
        self._run(f"{_SENT} = {{}}")
        self.load(Path(__file__).with_name("onboard.py"))

    def load(self, file: Path) -> None:
        """Define on the board what a source file defines."""
        self._run(f"exec({stripped(file)!r}, {_SENT})\n{_SENT}['MARK'] = {self._mark!r}")

    def survey(self) -> dict:
        """What the board is, holds and runs, as onboard_survey.survey answers it."""
        self.load(Path(__file__).with_name("onboard_survey.py"))
        return self.ask_again("survey")

    def call(self, function: str, *arguments: object) -> None:
        """Call a function that prints nothing."""
        self._run(f"{_SENT}[{function!r}]{arguments!r}")

    def ask(self, function: str, *arguments: object):
        """Call a function and return its answer; the node may print lines of its own before and after it.

        Garbled when one came in the middle of it.
        """
        output = self._run(f"{_SENT}[{function!r}]{arguments!r}")
        for line in output.splitlines():
            _, mark, text = line.partition(self._mark)
            if mark:
                try:
                    return json.loads(text)
                except ValueError:
                    break
        raise Garbled(f"its answer to {function} is not understood: repeat this command")

    def ask_again(self, function: str, *arguments: object):
        """Ask what changes nothing, again when a line that the node printed has spoiled the answer."""
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(Garbled):
                return self.ask(function, *arguments)
        return self.ask(function, *arguments)

    def write(self, path: str, data: bytes, progress: Callable[[int], None]) -> None:
        """Write a file; progress is called with the bytes written so far. NoRoom when the file system is full."""
        try:
            self._transport.fs_writefile(path, data, _CHUNK, lambda written, _: progress(written))
        except _FAILURES as error:
            if _is_full(error):
                raise NoRoom(f"its flash is full: {MAKE_ROOM}") from None
            # Nothing of the error is shown: it may hold what was sent, and that may be the key.
            raise Silent(f"it stopped answering while {path} was sent: {_TRY_AGAIN}") from None

    def forget(self) -> None:
        """Give the board's memory back."""
        self._run(f"del {_SENT}")

    def reset(self) -> None:
        """Restart the board as its reset button does. What it has said before is read: what comes next is the start."""
        try:
            self._transport.exec_raw_no_follow(f"{_SENT}['restart']()")
            self._transport.read_until(1, self._mark.encode() + b"null", timeout=_RESTART_S, timeout_overall=_RESTART_S)
        except _FAILURES:
            raise Silent(f"it stopped answering before its restart: {_TRY_AGAIN}") from None

    def _run(self, code: str) -> str:
        try:
            return self._transport.exec(code).decode("utf-8", "replace")
        except TransportExecError as error:
            if _is_full(error):
                raise NoRoom(f"its flash is full: {MAKE_ROOM}") from None
            said = error.error_output.strip().splitlines() or ["an error without words"]
            raised = [line for line in said if _RAISED.match(line)] or said  # beside what its node has said meanwhile
            if raised[-1].startswith("KeyboardInterrupt"):  # a board that is busy takes a Ctrl-C late
                raise Silent(f"a Ctrl-C has ended what it was asked: {_TRY_AGAIN}") from None
            raise Disturbed(f"it reports: {raised[-1]}") from None
        except _FAILURES:
            raise Silent(f"it stopped answering: {_TRY_AGAIN}") from None


def _is_full(error: Exception) -> bool:
    if isinstance(error, TransportExecError):
        return bool(re.search(r"ENOSPC|OSError: (\[Errno )?28\b", error.error_output))
    return isinstance(error, OSError) and error.errno == 28

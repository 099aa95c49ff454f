"""A command that runs along, and gets each sample as a line of JSON on its standard input."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress

from swarm.sinks.sink import END_S, Sink, line
from swarm.watch import samples
from swarm.watch.samples import Sample

_LOOK_S = 0.5  # between two looks whether it runs still, while nothing comes
_KILL_S = 1.0  # for a command to end once it is told to


def parse(text: str) -> list[str]:
    """A command's words, as a shell's; no shell reads them. ValueError when there are none."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"--exec {text!r}: {error}: quote it as in a shell") from None
    if not words:
        raise ValueError("--exec: no command: name a program, and what it is to be given")
    return words


class Command(Sink):
    """Starts a command; ValueError when that cannot be done.

    It is in a session of its own, so that a Ctrl-C does not end it before it has read all. Who ends before the reading
    does, or with another exit status than 0, has failed; the reading goes on, as `tee` does.
    """

    def __init__(self, words: list[str], table: list[Sample]) -> None:
        super().__init__(f"--exec {words[0]}", table)
        try:
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            raise ValueError(f"{self.label}: cannot be started ({error.strerror}): name a program that can") from None
        assert self._process.stdin
        self._input = self._process.stdin
        self.start()

    def run(self) -> None:
        """As Sink.run()."""
        try:
            while self._process.poll() is None:
                one = self.next(_LOOK_S)
                if one is not None:
                    self._input.write(line(one).encode() + b"\n")
                    self._input.flush()
                    self.done()
                elif self.ends:
                    return
        except OSError:  # it reads no more
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_S)
        if not (self.ends and self.left_s == 0):  # then end() tells it
            self._tell_end()

    def close(self) -> None:
        """As Sink.close(): its input ends, and then so does it, or it is ended."""
        if not self._ended_in(self.left_s):
            self._end_all(signal.SIGTERM)
            if not self._ended_in(_KILL_S):
                self._end_all(signal.SIGKILL)
                self._ended_in(END_S)
            if not self.failed and self._next == self._safe:
                self.say(f"was not done {END_S:.0f} s after its last sample, and was ended")
                self.failed = True
        elif self._process.returncode and not self.failed and self._next == self._safe:
            self.say(f"{_ended(self._process.returncode)} after all that there were: {self._given()}")
            self.failed = True

    def _ended_in(self, seconds: float) -> bool:
        """Whether it ends in that time; who does not read holds up run(), and does not see the end of its input."""
        self.join(seconds)
        if not self.is_alive():
            with suppress(OSError):
                self._input.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None and not self.is_alive()

    def _end_all(self, sign: signal.Signals) -> None:
        """Send a signal to it, and to what it has started."""
        with suppress(OSError):
            os.killpg(self._process.pid, sign)

    def _given(self) -> str:
        return samples.counted(self._next - self._begin)

    def _tell_end(self) -> None:
        self.failed = True
        status = self._process.poll()
        how = "reads no more" if status is None else _ended(status)
        self.say(f"{how} after {self._given()}; they go on to the file")


def _ended(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with exit status {status}"

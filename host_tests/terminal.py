"""A terminal for tests: a program in a PTY, and what its screen shows, by a terminal emulator."""

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import time

import pyte


class Terminal:
    """Runs a command in a terminal of that size; a context manager that ends it if need be."""

    def __init__(self, command, columns=110, lines=24):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._here, self._there = os.openpty()
        fcntl.ioctl(self._there, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = self.settings()
        self.process = subprocess.Popen(
            command,
            stdin=self._there,
            stdout=self._there,
            stderr=self._there,
            start_new_session=True,
            preexec_fn=self._control,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
        )

    def _control(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C and Ctrl-Z at it become signals

    def settings(self):
        """What the terminal is set to."""
        return termios.tcgetattr(self._there)

    def press(self, keys):
        """Type that."""
        os.write(self._here, keys.encode())

    def show(self, seconds=0.0):
        """Take what came, for a while; the screen's lines."""
        end = time.monotonic() + seconds
        while select.select([self._here], [], [], max(0.0, end - time.monotonic()))[0]:
            self._stream.feed(os.read(self._here, 65536))
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        """The screen as one text."""
        return "\n".join(self.show())

    def wait(self, done, seconds=15.0):
        """Wait until done(text of the screen) is true; fails with the screen."""
        end = time.monotonic() + seconds
        while not done(self.text()):
            assert time.monotonic() < end, "the screen never showed it:\n" + self.text()
            self.show(0.05)

    def colour(self, word):
        """Colour of a word on the screen, of its first place."""
        for row, line in enumerate(self.screen.display):
            if word in line:
                return self.screen.buffer[row][line.index(word)].fg
        raise AssertionError(f"{word!r} is not on the screen:\n" + self.text())

    def end(self, seconds=15.0):
        """Exit status of the program once it has ended by itself."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, "it goes on:\n" + self.text()
            self.show(0.05)
        self.show(0.05)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._here, self._there):
            with contextlib.suppress(OSError):
                os.close(descriptor)

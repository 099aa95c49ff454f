"""A file system with which the power goes at a chosen operation: boot.py of a virtual board, or a bare board's prompt.

An operation is whatever changes files: opening for writing, a write, closing, rename, remove, mkdir and rmdir. The
power goes when it has been done, or in a write when a share of the bytes is written.

On a virtual board the file power.cut says where ("OPERATION SHARE"); the process then stops for good, and whoever
switches the board finds its line "power cut". As a script of its own it takes both as arguments, and code from its
standard input as a prompt does; then the process ends.
"""

import builtins
import sys

if "os" not in sys.modules and sys.implementation.name == "micropython":
    import _os

    sys.modules["os"] = _os
import os as _whole_os

_open = builtins.open
PLAN = "power.cut"


class Power:
    """Counts operations, and ends at one of them. at: its number from 0, -1 for none; share: 1 when it is done in full,
    less for a write that is cut."""

    def __init__(self, at, share, end):
        self.at = at
        self.share = share
        self.done = []  # what the operations were
        self._end = end

    def write(self, path, data, write):
        """Write data to a file of that path, or a share of it; write: what does that."""
        if self.share < 1 and len(self.done) == self.at:
            write(data[: int(len(data) * self.share)])
            self._end("write " + path)
        written = write(data)
        self.step("write " + path)
        return written

    def step(self, what):
        """An operation has been done."""
        self.done.append(what)
        if len(self.done) == self.at + 1:
            self._end(what)


class Files:
    """`os` whose operations are counted."""

    def __init__(self, power):
        for name in ("rename", "remove", "unlink", "mkdir", "rmdir"):
            setattr(self, name, self._counted(power, name, getattr(_whole_os, name)))

    def _counted(self, power, name, function):
        def call(*arguments):
            function(*arguments)
            power.step(name + " " + arguments[0])

        return call

    def __getattr__(self, name):
        return getattr(_whole_os, name)


class File:
    """A file that is written; what reads it is the file's own."""

    def __init__(self, power, path, file):
        self._power = power
        self._path = path
        self._file = file

    def write(self, data):
        return self._power.write(self._path, data, self._file.write)

    def close(self):
        self._file.close()
        self._power.step("close " + self._path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def install(at, share, end):
    """Have the power go at an operation; returns the Power that counts."""
    power = Power(at, share, end)

    def counted(path, mode="r", *more):
        # A path from the root is none of the board's: the shims keep there what a chip remembers.
        if not isinstance(path, str) or path[0] == "/" or not any(letter in mode for letter in "wa+x"):
            return _open(path, mode, *more)
        file = File(power, path, _open(path, mode, *more))
        power.step("open " + path)
        return file

    builtins.open = counted
    sys.modules["os"] = Files(power)
    return power


def _stop(what):
    """Stand still in the middle of it, until the power goes."""
    print("\npower cut:", what)
    _whole_os.system("kill -STOP $PPID")


def _end(_):
    _whole_os.system("kill -KILL $PPID")


def _serve():
    """Run pieces of code, each after a line with its length, and answer what each prints, and how it ended."""
    power = install(int(sys.argv[1]), float(sys.argv[2]), _end)
    scope = {"power": power}
    while True:
        length = sys.stdin.buffer.readline()
        if not length:
            return
        code = sys.stdin.buffer.read(int(length))
        try:
            exec(code, scope)
            print("\x04")
        except Exception as error:
            sys.print_exception(error)
            print("\x05")


if len(sys.argv) == 3:
    _serve()
else:
    try:
        with _open(PLAN) as _file:
            _at, _share = _file.read().split()
        power = install(int(_at), float(_share), _stop)  # for who asks at the prompt
    except OSError:
        pass

"""Standard output and error, which may be a terminal, a file, or a program that reads no more of it.

What a reader that leaves early, as that of `swarm status | head -1` does, has not read goes nowhere, and the work that
was begun goes on: boards are not left half deployed.
"""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console, RenderableType

_UNBOUNDED = 10_000  # columns, where the output is no terminal: a program or a file has no edge


_NAMES = {1: "standard output", 2: "standard error"}


class _Stream(io.FileIO):
    """An open descriptor that becomes the null device when its reader is gone."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self.fileno())
            os.close(sink)
            return super().write(data)
        except OSError as error:  # as of a full disk
            raise OSError(error.errno, error.strerror, _NAMES[self.fileno()]) from None


def outlive_readers() -> None:
    """From now on this process's output may be cut short by whoever reads it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed from the start, as by >&-
            continue
        stream.flush()
        raw = _Stream(stream.fileno(), "wb", closefd=False)
        text = io.TextIOWrapper(
            raw if stream.write_through else io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, text)


def show(renderable: RenderableType) -> None:
    """Print to the terminal, or else as lines of whatever length without blanks at their ends."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(renderable)
        return
    console.width = _UNBOUNDED
    with console.capture() as captured:
        console.print(renderable)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def fail(verb: str, why: object, status: int) -> int:
    """Say on standard error why a verb does not do what was asked, its name before each line; returns the status."""
    for line in str(why).splitlines():
        print(f"swarm {verb}: {line}", file=sys.stderr)
    return status

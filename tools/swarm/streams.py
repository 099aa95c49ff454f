"""Standard output and error for a reader that leaves early, as that of `swarm status | head -1` does.

What it does not read goes nowhere, and the work that was begun goes on: boards are not left half deployed.
"""

from __future__ import annotations

import io
import os
import sys


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

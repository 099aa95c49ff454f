"""Reads the samples that a node keeps on its flash, at its board's prompt or from an application's node by lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from mpremote.transport_serial import SerialTransport

from swarm.serial import application
from swarm.serial.port import BoardError
from swarm.serial.prompt import run

_ATTEMPTS = 3  # at reading a board's samples without the node's own lines in between

# One line a sample, numbered, since the node may print its own lines at any time.
_SCRIPT = """
import json
n = 0
for name in ("samples.jsonl.old", "samples.jsonl"):
    try:
        with open(name, "rb") as file:
            for line in file:
                print(json.dumps(["sample", n, "".join(chr(b) for b in line.strip())]))
                n += 1
    except OSError:
        pass
print(json.dumps(["samples", n]))
"""


def fetch(transport: SerialTransport, port: str, status: dict) -> dict:
    """The lines of a board's sample files, oldest first, and when the status was read: {"lines", "read_s"}. BoardError.

    What targets.ask_all takes to read more than the status.
    """
    return _read(port, lambda: run(transport, port, _SCRIPT))


def fetch_by_line(transport: SerialTransport, port: str, status: dict) -> dict:
    """As fetch(), of an application on asyncio, which goes on."""
    return _read(port, lambda: application.read_samples(transport))


def _read(port: str, say: Callable[[], str]) -> dict:
    read_s = time.time()
    for _ in range(_ATTEMPTS):
        lines: dict[int, str] = {}
        count = None
        for printed in say().splitlines():
            try:
                kind, number, *text = json.loads(printed)
            except (ValueError, TypeError):
                continue  # a line of the node's own
            if kind == "sample":
                lines[number] = text[0].encode("latin-1").decode("utf-8", "replace")
            elif kind == "samples":
                count = number
        if count == len(lines):
            return {"lines": [lines[number] for number in sorted(lines)], "read_s": read_s}
    raise BoardError(f"{port}: the node's own lines came between its samples {_ATTEMPTS} times: collect again")

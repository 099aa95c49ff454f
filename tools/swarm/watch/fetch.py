"""Reads the samples that a node keeps on its flash, at its board's prompt or from an application's node by lines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from mpremote.transport_serial import SerialTransport

from swarm.serial import application
from swarm.serial.port import BoardError
from swarm.serial.prompt import run
from swarm.watch import instants

_ATTEMPTS = 3  # at reading a board's samples without the node's own lines in between
_TOTAL = re.compile(rb'\["bytes", (\d+)\]')  # of what is to come, before it

# One line a sample, numbered, since the node may print its own lines at any time. What is newer than the last one that
# is known, if that is still there: its place may move between two looks, when a full file takes that of the one before
# it, and then all is read again. Lines that are still to be written are taken before the files are, which only grow.
# Nothing is printed just before a beat, for which a slow line would be in the way.
_SCRIPT = """
def _swarm_samples(last):
    import faction, json, os, time
    names = ("samples.jsonl.old", "samples.jsonl")
    series = faction.app and getattr(faction.app, "series", None)
    left_us = faction.app.node.first_sample.remaining_us if series else lambda now: 0
    def size(name):
        try:
            return os.stat(name)[6]
        except OSError:
            return 0
    def lines():
        for name in names:
            try:
                end = sizes[name]
                with open(name, "rb") as file:
                    while file.tell() < end:
                        yield file.readline()
            except OSError:
                pass
        for line in pending:
            yield line
    def is_last(line):
        if last[0] in line and last[1] in line:
            try:
                one = json.loads(line)
                return one["session"] == last[2] and one["n"] == last[3] and "value" in one
            except (ValueError, KeyError, TypeError):
                pass
        return False
    pending = sizes = None
    while sizes != {name: size(name) for name in names}:
        sizes = {name: size(name) for name in names}
        pending = list(series.unwritten()) if series else ()
    skips = False
    todo = 0
    for line in lines():
        todo += len(line)
        if last and is_last(line):
            skips = True
            todo = 0
    print(json.dumps(["bytes", todo]))
    n = 0
    for line in lines():
        if skips:
            skips = not is_last(line)
            continue
        while 0 < left_us(time.ticks_us()) < 30_000:
            time.sleep_ms(1)
        print(json.dumps(["sample", n, "".join(chr(b) for b in line.strip())]))
        n += 1
    whole = sizes[names[0]] == size(names[0]) and sizes[names[1]] <= size(names[1])
    print(json.dumps(["samples", n if whole else -1]))
_swarm_samples({})
del _swarm_samples
"""


class Fetch:
    """Reads boards' samples: prompt() and by_line() are what targets.ask_all takes to read more than the status.

    known: by node the session and the beat of the last sample of a series that is known: with all before it that is not
    read again. told: called with a node, the bytes that have come of it, and how many there are in all.
    """

    def __init__(
        self, known: dict[int, tuple[int, int]] | None = None, told: Callable[[int, int, int], None] | None = None
    ) -> None:
        self._known = known or {}
        self._told = told

    def prompt(self, transport: SerialTransport, port: str, status: dict) -> dict:
        """The lines of a board's samples, oldest first, and when its instant is: {"lines", "clock_s", "instant"}.

        clock_s: what this computer's clock is ahead of its monotonic one. BoardError when they cannot be read. Where an
        application has the prompt, as by_line().
        """
        if not transport.in_raw_repl:
            return self.by_line(transport, port, status)
        last = "None"
        if known := self._known.get(status["node"]):
            session, n = known
            last = repr((f'"session": {session}'.encode(), f'"n": {n}'.encode(), session, n))
        code = _SCRIPT.replace("({})", f"({last})")
        told = self._meter(status["node"])
        return _read(port, lambda: run(transport, port, code, told)) | instants.read(transport, port, status)

    def by_line(self, transport: SerialTransport, port: str, status: dict) -> dict:
        """As prompt(), of an application on asyncio, which goes on; all is read."""
        return _read(port, lambda: application.read_samples(transport)) | instants.read_by_line(transport, port, status)

    def _meter(self, node: int) -> Callable[[bytes], None] | None:
        """What takes a board's bytes as they come, to tell how far it is."""
        if self._told is None:
            return None
        came, total = bytearray(), 0

        def take(data: bytes) -> None:
            nonlocal total
            came.extend(data)
            if data == b"\n" and not total and (found := _TOTAL.search(came)):  # a line of the node's own may be first
                total = int(found[1])
            if data == b"\n" and total and self._told:
                self._told(node, len(came), total)

        return take


def _read(port: str, say: Callable[[], str]) -> dict:
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
            return {"lines": [lines[number] for number in sorted(lines)], "clock_s": time.time() - time.monotonic()}
    raise BoardError(f"{port}: the node's own lines came between its samples {_ATTEMPTS} times: collect again")

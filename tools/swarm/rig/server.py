"""The rig's process: it holds a medium and virtual boards, switches their power, and reports what they print.

    python -m swarm.rig.server      with JSON lines on standard input and output; `Rig` is the other end

The first line in says what to build:

    {"seed": 1, "runtime": "unix", "weather": {...}, "boards": {"1": "DIRECTORY", ...}, "remove": "DIRECTORY" or null}

then commands: {"do": "power", "node": 1, "on": true, "after_ms": 250}, {"do": "keep"}, {"do": "quit"}. Events come out:

    {"event": "ready", "pid": ..., "medium": PORT, "medium_pid": PID, "ports": {"1": "/dev/pts/4", ...}}
    {"event": "boot", "node": 1, "kind": "power", "pid": PID, "t_us": ..., "base_us": ..., "offset_us": ..., "ppb": ...}
    {"event": "off", "node": 1, "t_us": ...}
    {"event": "switched", "node": 1, "on": true}      a `power` command has been carried out
    {"event": "line", "node": 1, "t_us": ..., "line": "..."}

When its input ends without "keep", or on SIGTERM, it switches everything off, removes the directory it was told to,
and ends; and should it be killed, the kernel ends its boards and its medium.
"""

from __future__ import annotations

import heapq
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from swarm.rig.personality import Clock, true_us
from swarm.rig.virtual_board import VirtualBoard

_IDLE_S = 0.02
_EVENTS_MAX = 1 << 22  # bytes of events held for a reader that is slow; more are lost


class _Server:
    """The rig's inside."""

    def __init__(self, plan: dict) -> None:
        self._kept = False
        self._done = False
        self._remove: str | None = plan["remove"]
        self._deaf = False
        self._input = b""
        self._events = b""
        os.set_blocking(1, False)
        self._switches: list[tuple[int, int, bool]] = []  # true time, node, on
        self._medium = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "swarm.rig.medium",
                "--seed",
                str(plan["seed"]),
                "--weather",
                json.dumps(plan["weather"]),
            ],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._medium.stdout is not None
        self._medium_port = int(self._medium.stdout.readline())
        self._boards = {
            int(node): VirtualBoard(
                int(node),
                Path(directory),
                self._medium_port,
                plan["seed"],
                plan["runtime"],
                on_line=self._line,
                on_boot=self._boot,
            )
            for node, directory in plan["boards"].items()
        }

    def _tell(self, event: str, **facts) -> None:
        if len(self._events) < _EVENTS_MAX and not self._deaf:
            self._events += (json.dumps({"event": event, **facts}) + "\n").encode()

    def _flush(self) -> None:
        """Hand over what events the reader takes: a reader that does not read must not hold the boards up."""
        try:
            self._events = self._events[os.write(1, self._events) :]
        except BlockingIOError:
            pass
        except OSError:  # whoever listened is gone
            self._deaf, self._events = True, b""
            self._done = not self._kept

    def _line(self, board: VirtualBoard, when_us: int, line: str) -> None:
        self._tell("line", node=board.node, t_us=when_us, line=line)

    def _boot(self, board: VirtualBoard, kind: str, clock: Clock) -> None:
        assert board.process is not None
        self._tell("boot", node=board.node, kind=kind, pid=board.process.pid, t_us=true_us(), **asdict(clock))

    def run(self) -> None:
        """Serve until told to quit."""
        self._tell(
            "ready",
            pid=os.getpid(),
            medium=self._medium_port,
            medium_pid=self._medium.pid,
            ports={str(node): board.port for node, board in self._boards.items()},
        )
        listening = True
        while not self._done:
            sources = [descriptor for board in self._boards.values() for descriptor in board.descriptors()]
            ready, _, _ = select.select(sources + [0] * listening, [], [], self._wait_s())
            if 0 in ready:
                listening = self._commands()
            if self._events:
                self._flush()
            self._switch()
            for board in self._boards.values():
                board.pump()

    def _wait_s(self) -> float:
        if not self._switches:
            return _IDLE_S
        return max(0.0, min(_IDLE_S, (self._switches[0][0] - true_us()) / 1e6))

    def _switch(self) -> None:
        while self._switches and self._switches[0][0] <= true_us():
            _, node, on = heapq.heappop(self._switches)
            board = self._boards[node]
            if on:
                board.power_on()
            elif board.powered:
                board.power_off()
                self._tell("off", node=node, t_us=true_us())
            self._tell("switched", node=node, on=on)

    def _commands(self) -> bool:
        """Take what came in; False at the end of input."""
        data = os.read(0, 65536)
        if not data:
            self._done = not self._kept
            return False
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if command["do"] == "power":
                when_us = true_us() + int(command.get("after_ms", 0) * 1000)
                heapq.heappush(self._switches, (when_us, int(command["node"]), bool(command["on"])))
            elif command["do"] == "keep":
                self._kept = True
            else:
                self._done = True
        return True

    def close(self) -> None:
        """Switch everything off."""
        for board in self._boards.values():
            board.close()
        self._medium.kill()
        self._medium.wait()
        if self._remove is not None:
            shutil.rmtree(self._remove, ignore_errors=True)


def _terminate(*_: object) -> None:
    raise SystemExit(0)


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is for whoever started the rig
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    first = b""
    while not first.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return
        first += byte
    try:
        server = _Server(json.loads(first))
    except OSError as error:
        raise SystemExit(f"the rig: {error}") from None
    try:
        server.run()
    finally:
        server.close()


if __name__ == "__main__":
    _serve()

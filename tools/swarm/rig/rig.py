"""The rig: one process that holds a medium and virtual boards, switches their power, and reports what they print.

    python -m swarm.rig.rig      with JSON lines on standard input and output; `Rig` is the other end

The first line in says what to build:

    {"seed": 1, "runtime": "unix", "weather": {...}, "boards": {"1": "DIRECTORY", ...}, "remove": "DIRECTORY" or null}

then commands: {"do": "power", "node": 1, "on": true, "after_ms": 250}, {"do": "keep"}, {"do": "quit"}. Events come out:

    {"event": "ready", "pid": ..., "medium": PORT, "medium_pid": PID, "ports": {"1": "/dev/pts/4", ...}}
    {"event": "boot", "node": 1, "kind": "power", "pid": PID, "t_us": ..., "base_us": ..., "offset_us": ..., "ppb": ...}
    {"event": "off", "node": 1, "t_us": ...}
    {"event": "line", "node": 1, "t_us": ..., "line": "..."}

When its input ends without "keep", or on SIGTERM, it switches everything off, removes the directory it was told to,
and ends; and should it be killed, the kernel ends its boards and its medium.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from swarm.rig.medium import MediumClient, true_us
from swarm.rig.virtual_board import Clock, VirtualBoard

_TOOLS = Path(__file__).resolve().parents[1]
_IDLE_S = 0.01
_EVENTS_MAX = 1 << 22  # bytes of events held for a reader that is slow; more are lost
_START_S = 20.0
_QUIT_S = 5.0


def _environment() -> dict[str, str]:
    """This process's environment, with the package importable whatever the working directory is."""
    paths = [str(_TOOLS), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


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
    os.environ.update(_environment())
    server = _Server(json.loads(first))
    try:
        server.run()
    finally:
        server.close()


class Rig:
    """A rig process and its boards: a context manager that leaves no process behind.

    boards: node -> directory, prepared; remove: a directory that goes when the rig does, however it ends but by
    SIGKILL; silent: its standard error goes nowhere. `ports` and `pids` are by node; `medium` steers the air;
    `events()` yields what has happened since.
    """

    def __init__(
        self,
        boards: dict[int, Path],
        seed: int,
        runtime: str = "unix",
        weather: dict[str, float] | None = None,
        remove: Path | None = None,
        silent: bool = False,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "swarm.rig.rig"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            # One that is kept must not hold the standard error of whoever started it.
            stderr=subprocess.DEVNULL if silent else None,
            start_new_session=True,  # Ctrl-C at the terminal reaches the caller, who then closes this in order
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._partial = b""
        self.pids: dict[int, int] = {}
        self._say(
            seed=seed,
            runtime=runtime,
            weather=weather or {},
            boards={str(node): str(directory) for node, directory in boards.items()},
            remove=str(remove) if remove else None,
        )
        ready = self._wait_for_ready()
        self.pid: int = ready["pid"]
        self.medium_pid: int = ready["medium_pid"]
        self.medium_port: int = ready["medium"]
        self.ports = {int(node): port for node, port in ready["ports"].items()}
        self.medium = MediumClient(ready["medium"])

    def _wait_for_ready(self) -> dict:
        deadline = time.monotonic() + _START_S
        try:
            while time.monotonic() < deadline:
                for event in self._take(0.1):
                    if event["event"] == "ready":
                        return event
        except EOFError:
            pass
        self.close()
        raise OSError("the rig did not start; what it printed above says why")

    def _say(self, **command) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(command) + "\n").encode())
        self._process.stdin.flush()

    def power(self, node: int, on: bool, after_ms: float = 0) -> None:
        """Switch a board's power, `after_ms` from now. Off is a power cut; its files stay."""
        self._say(do="power", node=node, on=on, after_ms=after_ms)

    def events(self, wait_s: float = 0.0) -> list[dict]:
        """What has happened since the last call, waiting up to wait_s for it. EOFError when the rig has ended."""
        events = self._take(wait_s)
        for event in events:
            if event["event"] == "boot":
                self.pids[event["node"]] = event["pid"]
            elif event["event"] == "off":
                self.pids.pop(event["node"], None)
        return events

    def _take(self, wait_s: float) -> list[dict]:
        ready, _, _ = select.select([self._output], [], [], wait_s)
        if not ready:
            return []
        data = os.read(self._output, 1 << 20)
        if not data:
            raise EOFError("the rig has ended; see the messages above")
        *lines, self._partial = (self._partial + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def keep(self) -> None:
        """Have the rig go on when this process ends, and let go of it."""
        self._say(do="keep")
        self.medium.close()

    def close(self) -> None:
        """Switch everything off and wait until it is."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(_QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children die with it
            self._process.wait()
        if hasattr(self, "medium"):
            self.medium.close()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


if __name__ == "__main__":
    _serve()

"""A rig: virtual boards and the medium between them. They are a process of their own (server.py), steered from here."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from swarm.rig.medium_client import MediumClient

_TOOLS = Path(__file__).resolve().parents[2]
_START_S = 20.0
_QUIT_S = 5.0


def _environment() -> dict[str, str]:
    """This process's environment, with the package importable whatever the working directory is."""
    paths = [str(_TOOLS), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


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
            [sys.executable, "-m", "swarm.rig.server"],
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

"""The boards that were left running, by --keep or --background: where they are written down, how they are stopped."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path

_STOP_S = 5.0


def _file() -> Path:
    """Where the running demo is written down: in a folder of this user's only."""
    folder = Path(tempfile.gettempdir()) / f"faction-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; remove it")
    return folder / "demo.json"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _runs_rig(pid: int) -> bool:
    """Whether a process is a rig, as far as this system tells: a number may have gone to another program since."""
    try:
        return b"swarm.rig" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def load() -> dict | None:
    """The running demo: {"pid", "medium", "ports"}; None when there is none."""
    try:
        demo = json.loads(_file().read_text())
    except (OSError, ValueError):
        return None
    return demo if _alive(demo["pid"]) and _runs_rig(demo["pid"]) else None


def save(pid: int, medium: int, ports: dict[int, str]) -> None:
    """Write the running demo down."""
    facts = {
        "pid": pid,
        "medium": medium,
        "ports": {str(node): port for node, port in ports.items()},
    }
    _file().write_text(json.dumps(facts) + "\n")


def stop() -> bool:
    """Stop the running demo; its boards' files go with it. False when there is none."""
    demo = load()
    if demo is None:
        return False
    os.kill(demo["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while _alive(demo["pid"]):
        if time.monotonic() > deadline:
            os.kill(demo["pid"], signal.SIGKILL)  # its boards and its medium die with it
            break
        time.sleep(0.02)
    _file().unlink(missing_ok=True)
    return True

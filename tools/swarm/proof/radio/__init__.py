"""An hour at a radio that strangers fill with packets of every length: what is lost of a member, and the memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm import paths, runtimes

VERSIONS = ("1.28", "1.29")  # of MicroPython, between which the radio's ring differs
MINUTES = 60
STRANGERS = 10_000
LOST_MS = 1000  # for which nothing of a member may be lost
FLAT = 4096  # bytes by which the heap may differ from that of the second minute: an address takes 80 for good


def hour(
    minutes: int, strangers: int, runtime: str = "wasm", version: str = VERSIONS[0], lib: Sequence[Path] = (paths.LIB,)
) -> dict[str, Any]:
    """What hour.py says of so many minutes with so many strangers; lib: where the library is.

    Raises runtimes.RuntimeMissing and runtimes.ScriptFailed.
    """
    device = paths.SHIMS / "device"
    folders = [*([paths.SHIMS / "wasm"] if runtime == "wasm" else []), *lib]
    shown = sorted(device.glob("*.py")) if runtime == "wasm" else []
    arguments = [minutes, strangers, version, device]
    script = Path(__file__).with_name("hour.py")
    return json.loads(runtimes.run(runtime, script, arguments, paths=folders, files=shown, timeout=1200))


def broken(said: dict[str, Any]) -> list[str]:
    """What of it must not be, in words."""
    heap = said["heap"][1:]
    grown = max(heap) - heap[0]
    found = []
    if said["longest_ms"] > LOST_MS:
        found.append(f"nothing of a member was heard for {said['longest_ms']} ms: more than {LOST_MS}")
    if grown > FLAT:
        found.append(f"the heap grew by {grown} bytes: more than {FLAT}")
    if said["error"]:
        found.append(f"a stranger's packet is kept as this node's error: {said['error']}")
    return found

"""Which program has a serial port open."""

from __future__ import annotations

import os
from pathlib import Path


def find_holder(port: str) -> str | None:
    """The program that has a port open, where the system tells: its name and its process's number."""
    device = os.path.realpath(port)
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == device for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return None

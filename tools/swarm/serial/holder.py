"""Which program has a serial port open."""

from __future__ import annotations

import os
from pathlib import Path

THIS = "this command"


def find_holder(port: str) -> str | None:
    """The program that has a port open, where the system tells: its name, with the verb of one of ours, and its
    process's number; THIS for our own process."""
    device = os.path.realpath(port)
    own = None
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(_is(link, device) for link in (folder / "fd").iterdir()):
                if int(folder.name) != os.getpid():
                    return f"{_name(folder)} (process {folder.name})"
                own = THIS
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return own


def _is(link: Path, device: str) -> bool:
    try:
        return os.readlink(link) == device
    except OSError:
        return False  # it was closed meanwhile


def _name(folder: Path) -> str:
    """A process's name: `swarm monitor` of that command, which would be called python otherwise."""
    words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    for place, word in enumerate(words[:-1]):
        if os.path.basename(word) == "swarm" and words[place + 1].isalpha():
            return f"swarm {words[place + 1]}"
    return (folder / "comm").read_text("utf-8", "replace").strip()

"""The boards of this project: boards/NAME/ holds board.json (what it is) and board.py (where its pins are)."""

import json
from pathlib import Path
from typing import Any

from swarm.paths import BOARDS as FOLDER

FROZEN = "with faction"  # in what a build with the node frozen in calls its board (boards/*/mpconfigboard.h)
_PLATFORMS = {"unix": ("linux", "darwin")}  # sys.platform of a port, where it is not the port's own name


class BoardError(Exception):
    """A board cannot be used; the message names it and says what to do."""


def names() -> list[str]:
    """Names of all boards, sorted."""
    return sorted(file.parent.name for file in FOLDER.glob("*/board.json"))


def facts(name: str) -> dict[str, Any]:
    """A board's board.json. BoardError, which lists the boards, when there is none of that name."""
    if name not in names():
        raise BoardError(f"no board {name!r}: choose one of {', '.join(names())}")
    return json.loads((FOLDER / name / "board.json").read_text("utf-8"))


def pins(name: str) -> dict[str, Any]:
    """What a board's board.py holds, by name. BoardError as facts()."""
    facts(name)
    found: dict[str, Any] = {}
    exec((FOLDER / name / "board.py").read_text("utf-8"), found)
    return {key: value for key, value in found.items() if key.isupper()}


def folder(name: str) -> Path:
    """A board's folder. BoardError as facts()."""
    facts(name)
    return FOLDER / name


def unlike(name: str, platform: str, machine: str) -> str | None:
    """The platform or the chip of a board that is another kind than the named one; None when it may be one.

    platform: its sys.platform; machine: its sys.implementation._machine, such as `ESP32C3 module with ESP32C3`. A build
    calls the board there as it likes, and the chip as it is; a chip that no board here has is not judged.
    """
    board = facts(name)
    if platform not in _PLATFORMS.get(board["port"], (board["port"],)):
        return platform
    said = machine.rpartition(" with ")[2]
    plain = said.lower().replace("-", "")
    known = {facts(other)["mcu"] for other in names()}
    chip = max((mcu for mcu in known if plain.startswith(mcu)), key=len, default=board["mcu"])
    return None if chip == board["mcu"] else said

"""The boards of this project: boards/NAME/ holds board.json (what it is) and board.py (where its pins are)."""

import json
from pathlib import Path
from typing import Any

from swarm.paths import BOARDS as FOLDER


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

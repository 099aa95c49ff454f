"""The files of a virtual board, laid into the directory that is its flash."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from swarm.paths import BOARDS, FIRMWARE, LIB

BOARD = BOARDS / "VIRTUAL"


def prepare(
    directory: Path,
    config: dict,
    key: bytes | None = None,
    firmware: Path = FIRMWARE,
    library: Path = LIB,
    wifi: str | None = None,
) -> None:
    """Lay a board's files into its directory as a deploy would: firmware, library, board.py, faction.json, faction.key.

    config: for faction.json; key: 16 bytes, None for the demonstration key; wifi: password, None: it has no `udp`.
    What the board itself wrote there, such as its session number, stays.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for source in sorted(firmware.glob("*.py")):
        shutil.copy(source, directory / source.name)
    shutil.copy(BOARD / "board.py", directory / "board.py")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.md")
    shutil.copytree(library, directory / "lib", dirs_exist_ok=True, ignore=ignore)
    (directory / "faction.json").write_text(json.dumps(config) + "\n")
    for kind, secret in (("key", key and key.hex()), ("wifi", wifi)):
        if secret is not None:
            file = directory / f"faction.{kind}"
            file.touch(mode=0o600)
            file.write_text(secret + "\n")

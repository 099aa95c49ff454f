"""Checks the types of device code against MicroPython's stubs, for each kind of board and supported firmware version.

    python -m swarm.runtimes.stubs install     fetch the stubs from PyPI into build/stubs, one folder a port and version
    python -m swarm.runtimes.stubs check       run mypy for every kind of board with every version of its port

The stubs of two ports have the same module names, so each has a folder of its own, outside the environment, where they
would hide modules of CPython's own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from swarm import boards
from swarm.paths import BUILD, ROOT

FIRMWARE_VERSIONS = ("1.28", "1.29")
PORTS = ("esp32", "rp2")
FOLDER = BUILD / "stubs"
_CONFIG = Path(__file__).with_name("device_mypy.ini")


def combinations() -> list[tuple[str, str]]:
    """(board, firmware version) of what is checked; of boards that are alike for a type checker, the first."""
    kinds: dict[tuple, str] = {}
    for name in boards.names():
        port = boards.facts(name)["port"]
        if port in PORTS:
            kinds.setdefault((port, *(type(value) for value in boards.pins(name).values())), name)
    return [(name, version) for name in kinds.values() for version in FIRMWARE_VERSIONS]


def check(board: str, version: str, root: Path = ROOT) -> str:
    """What mypy finds in root's lib, firmware and board.py, as text; empty when there is nothing."""
    port = boards.facts(board)["port"]
    folder = FOLDER / f"{port}-{version}"
    if not folder.is_dir():
        return f"no stubs in {folder}: `make setup` fetches them"
    environment = {**os.environ, "MICROPYTHON_STUBS": str(folder), "BOARD_FOLDER": f"boards/{board}"}
    cache = ROOT / ".mypy_cache" / folder.name
    line = [sys.executable, "-m", "mypy", "--config-file", _CONFIG, "--platform", port, "--cache-dir", cache]
    done = subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def install() -> int:
    """Fetch all stubs; returns pip's exit status."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for port in PORTS:
        for version in FIRMWARE_VERSIONS:
            line = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
            line += ["--no-warn-conflicts", "--target", FOLDER / f"{port}-{version}"]
            status = subprocess.run([*line, f"micropython-{port}-stubs=={version}.*"]).returncode
            if status:
                return status
    return 0


def main(argv: list[str]) -> int:
    """Install or check; returns the exit status: 0 done, 1 failed, 2 used wrongly."""
    if argv == ["install"]:
        return install()
    if argv != ["check"]:
        print(__doc__, file=sys.stderr)
        return 2
    status = 0
    for board, version in combinations():
        found = check(board, version)
        if found:
            status = 1
            print(f"types, {board} with firmware {version}:\n{found}", end="")
    print(f"types checked against the stubs of {len(combinations())} kinds of boards and versions")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

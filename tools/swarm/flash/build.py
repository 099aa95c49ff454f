"""Builds a board's firmware with the node frozen in: `make firmware BOARD=NAME MICROPY_DIR=...`.

The work is the port's own: this calls `make` in MICROPY_DIR/ports/PORT with the board's folder, and says beforehand
what that would miss. The board is built under a name of its own, so that its build folder, which lies in the port's, is
not that of the official board.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from swarm import boards

_PREFIX = "FACTION_"
_PROGRAMS = {
    "esp32": {"idf.py": "install ESP-IDF in the version that ports/esp32/README.md names, then `. export.sh` in it"},
    "rp2": {
        "cmake": "apt-get install cmake",
        "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    },
}
# A file of each submodule that a fresh clone lacks and without which the build stops half-way.
_SUBMODULES = {
    "esp32": ["lib/micropython-lib/README.md"],
    "rp2": ["lib/micropython-lib/README.md", "lib/pico-sdk/README.md"],
}


class BuildError(Exception):
    """The firmware cannot be built; the message says what is missing and how to get it."""


def command(board: str, micropython: str) -> tuple[list[str], Path]:
    """The command line that builds a board's firmware in a MicroPython tree, and the file that will be made.

    Raises BuildError, which names what is missing, and boards.BoardError for a board that does not exist.
    """
    facts = boards.facts(board)
    port = facts["port"]
    if port not in _PROGRAMS:
        raise BuildError(f"{board} has no firmware to build: it runs this machine's MicroPython")
    if not micropython:
        raise BuildError(
            "MICROPY_DIR is not set: clone https://github.com/micropython/micropython and name its folder, "
            f"make firmware BOARD={board} MICROPY_DIR=/path/to/micropython"
        )
    tree = Path(micropython).expanduser().resolve()
    port_folder = tree / "ports" / port
    if not (port_folder / "Makefile").exists():
        raise BuildError(f"{tree} is not a MicroPython tree: it has no ports/{port}/Makefile")
    for program, remedy in _PROGRAMS[port].items():
        if not shutil.which(program):
            raise BuildError(f"{program} is not on PATH, and MicroPython's {port} port needs it: {remedy}")
    # BUILD is left alone: make would hand it on to the build of mpy-cross, which then is not where the port looks.
    where = ["-C", str(port_folder), f"BOARD={_PREFIX}{board}", f"BOARD_DIR={boards.folder(board)}"]
    if not all((tree / file).exists() for file in _SUBMODULES[port]):
        raise BuildError(f"{tree} lacks the {port} port's libraries: make {' '.join(where)} submodules")
    return ["make", *where], port_folder / f"build-{_PREFIX}{board}" / facts["flash"]["file"]


def how_to_flash(board: str, file: Path) -> str:
    """How the file that was built gets onto the board, in one line."""
    flash = boards.facts(board)["flash"]
    if flash["tool"] == "uf2":
        return f"hold BOOTSEL while plugging in, then copy {file} to the drive {flash['drive']}"
    return f"esptool --chip {flash['chip']} --port PORT write_flash {flash['offset']} {file}"


def main(argv: list[str] | None = None) -> int:
    """Build; returns the exit status: 0 built, 1 the build failed, 2 something is missing."""
    parser = argparse.ArgumentParser(prog="make firmware", description=__doc__)
    parser.add_argument("--board", default="", help="one of the folders in boards/")
    parser.add_argument("--micropython", default="", help="MicroPython's source tree")
    options = parser.parse_args(argv)
    try:
        if not options.board:
            raise BuildError(f"BOARD is not set: make firmware BOARD=..., one of {', '.join(boards.names())}")
        line, file = command(options.board, options.micropython)
    except (BuildError, boards.BoardError) as error:
        print(f"make firmware: {error}", file=sys.stderr)
        return 2
    # The flags of the make that calls this are not meant for the port's.
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    if subprocess.run(line, env=environment).returncode:
        print(f"make firmware: the port's build failed, see above: {' '.join(line)}", file=sys.stderr)
        return 1
    print(f"to flash it: {how_to_flash(options.board, file)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

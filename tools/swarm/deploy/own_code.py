"""The user's own code beside swarm.toml: sensor.py, application.py, and drivers in lib/.

What can be wrong with it is told on the host, before any board is touched.
"""

from __future__ import annotations

import ast
import codecs
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.output import readable
from swarm.serial import strip

SENSOR, APPLICATION, LIBRARY = "sensor.py", "application.py", "lib"
_DEFINES = ("warm_up", "sample")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEFT_OUT = ("__pycache__", "*.pyc", "*.pyi", "*~", ".*", "*.dist-info")  # of lib/: nothing that a board can use
_DYNAMIC = {"exec", "execfile", "globals", "setattr"}  # who calls these may define what nobody can read
_MPY_HEADER = 4  # bytes


class PayloadError(Exception):
    """The files for a board cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class OwnFile:
    """A file of the user's. path: in a version on a board; source: on the host; data: without a byte order mark."""

    path: str
    source: Path
    data: bytes


def collect(folder: Path, ours: Collection[str], needed: Collection[str]) -> list[OwnFile]:
    """The user's files beside the swarm.toml in a folder.

    ours: names that the node's own modules and files have; needed: those of MicroPython's modules that they import.
    Raises PayloadError for a file that cannot be read, is no UTF-8 text, or has a name that is taken.
    """
    found = [_own_file(name, folder / name) for name in (SENSOR, APPLICATION) if (folder / name).exists()]
    library = folder / LIBRARY
    if not library.exists():
        return found
    if not library.is_dir():
        raise PayloadError(f"{library}: is no folder: drivers are files in a folder of that name")
    modules: dict[str, Path] = {}
    for source in sorted(library.rglob("*")):
        path = source.relative_to(library)
        if not source.is_file() or any(Path(part).match(out) for part in path.parts for out in _LEFT_OUT):
            continue
        _refuse_taken(source, path.parts[0].partition(".")[0], ours, needed)
        module = path.with_suffix("").as_posix() if path.suffix in (".py", ".mpy") else path.as_posix()
        if other := modules.get(module):
            raise PayloadError(f"{source}: {other.name} is the same module: keep one of them")
        modules[module] = source
        found.append(_own_file(path.as_posix(), source))
    return found


def _refuse_taken(source: Path, name: str, ours: Collection[str], needed: Collection[str]) -> None:
    if name in ours:
        raise PayloadError(f"{source}: the node has a {name} of its own: give yours another name")
    if name in needed:
        raise PayloadError(
            f"{source}: it would take the place of MicroPython's {name}, which the node needs: give it another name"
        )


def _own_file(path: str, source: Path) -> OwnFile:
    try:
        data = readable.read(source)
    except OSError as error:
        raise PayloadError(f"{source}: cannot be read: {error.strerror}: put that right") from None
    if path.endswith(".py"):
        data = data.removeprefix(codecs.BOM_UTF8)  # some editors write it, and no board reads it
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise PayloadError(f"{source}:{line}: is no UTF-8 text: save it as UTF-8") from None
    return OwnFile(path, source, data)


def describe(files: list[OwnFile]) -> str:
    """The user's files in words; empty when there are none."""
    own = [file.path for file in files if file.path in (SENSOR, APPLICATION)]
    drivers = sorted({file.path.split("/")[0] for file in files} - set(own))
    if drivers:
        count = len(files) - len(own)
        own.append(f"lib/ with {', '.join(drivers)} ({count} file{'' if count == 1 else 's'})")
    return "; ".join(own)


def check(files: list[OwnFile]) -> None:
    """Raise PayloadError when sensor.py or application.py does not define what it has to."""
    bound = {file.path: _bound(tree) for file in files if (tree := parse(file)) and not _is_dynamic(tree)}
    for file in files:
        if file.path == SENSOR and SENSOR in bound:
            _check_sensor(file.source, bound[SENSOR], any(file.path == APPLICATION for file in files))
        elif file.path == APPLICATION and APPLICATION in bound:
            _check_application(file.source, bound[APPLICATION])


def _check_sensor(source: Path, bound: dict[str, ast.AST], with_application: bool) -> None:
    for name in _DEFINES:
        if name not in bound and "*" not in bound:
            raise PayloadError(f"{source}: has no {name}(): write it")
        defined = bound.get(name)
        if isinstance(defined, ast.AsyncFunctionDef) and not with_application:
            raise PayloadError(
                f"{source}:{defined.lineno}: {name}() is async, which needs an application on asyncio: "
                f"write it without async, or add {APPLICATION}"
            )
        if isinstance(defined, _FUNCTIONS) and _needs(defined.args):
            raise PayloadError(f"{source}:{defined.lineno}: {name}() is called with nothing: write `def {name}():`")


def _check_application(source: Path, bound: dict[str, ast.AST]) -> None:
    """A board calls main, a coroutine, with one thing."""
    main = bound.get("main")
    if main is None and "*" not in bound:
        raise PayloadError(f"{source}: has no main: write `async def main(swarm):`")
    if isinstance(main, (ast.FunctionDef, ast.ClassDef)):
        raise PayloadError(f"{source}:{main.lineno}: main is no coroutine: write `async def main(swarm):`")
    if isinstance(main, ast.AsyncFunctionDef):
        taken = main.args
        if _needs(taken) > 1 or not (taken.posonlyargs or taken.args or taken.vararg):
            raise PayloadError(
                f"{source}:{main.lineno}: main takes one thing, the swarm: write `async def main(swarm):`"
            )


def _needs(taken: ast.arguments) -> int:
    """How many arguments a function cannot do without; more than one where some of them have to be named."""
    named = 2 * sum(default is None for default in taken.kw_defaults)
    return len(taken.posonlyargs) + len(taken.args) - len(taken.defaults) + named


def parse(file: OwnFile) -> ast.Module | None:
    """A Python file's syntax tree; None for another file, and for what only MicroPython understands."""
    try:
        return strip.parse(file.data) if file.path.endswith(".py") else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # mpy-cross has the word


def _is_dynamic(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id in _DYNAMIC for node in ast.walk(tree))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that a module's import may execute: those of its functions and classes are left out."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for part in ast.iter_child_nodes(statement):
            if isinstance(part, ast.stmt):
                yield from _statements([part])
            elif isinstance(part, (ast.ExceptHandler, ast.match_case)):
                yield from _statements(part.body)


def _bound(tree: ast.Module) -> dict[str, ast.AST]:
    """What a module's names are bound to, as far as its text shows; "*" for an import of all names."""
    bound: dict[str, ast.AST] = {}
    for statement in _statements(tree.body):
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound[statement.name] = statement
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    bound[alias.asname or alias.name.partition(".")[0]] = statement
            case _:
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                        bound[node.id] = statement
    return bound

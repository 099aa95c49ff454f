"""`make picture`: the README's picture of `swarm monitor`, taken of virtual boards that agree just then.

python -m swarm.documents.screenshot [--output FILE.svg] [--seed N]

Six real nodes start one after the other, of which five must be ready. What the live view shows once they have sampled
is saved as SVG.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from swarm.output import svg, writable
from swarm.paths import ROOT
from swarm.rig.files import prepare
from swarm.rig.rig import Rig
from swarm.rig.virtual_board import unix_port_missing
from swarm.serial.targets import Target
from swarm.watch.changes import Watch
from swarm.watch.live import Monitor
from swarm.watch.turns import Turns

FILE = ROOT / "tools" / "figures" / "monitor.svg"
_NODES = 6
_REQUIRED = 5
_EVERY_S = 0.2
_APART_MS = 700  # from one node's power to the next one's; the last comes when all others have sampled
_LAST_MS = 9_000
_PATIENCE_S = 60.0
_SCREEN = (96, 22)  # characters and lines


def take(folder: Path, seed: int) -> str:
    """The picture, as SVG, of a swarm whose boards live in a folder. TimeoutError when its samples do not come."""
    boards = {node: folder / f"node-{node}" for node in range(1, _NODES + 1)}
    for node, home in boards.items():
        prepare(home, {"swarm": "greenhouse", "members": list(boards), "node": node, "required": _REQUIRED})
    with Rig(boards, seed, weather={"loss": 0.1}) as rig, ExitStack() as stack:
        watch = Watch([Target(str(node), rig.ports[node], node) for node in boards])
        turns = Turns(watch.targets, _EVERY_S)
        stack.callback(turns.end)
        monitor = Monitor(watch, turns)
        for node in boards:
            rig.power(node, True, _LAST_MS if node == _NODES else node * _APART_MS)
        deadline = time.monotonic() + _PATIENCE_S
        while sum(bool(status and status.get("sample")) for _, status in watch.rows) < _NODES:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not every node has sampled within {_PATIENCE_S:g} s")
            monitor.ask()
            rig.events(0.05)
            monitor.take()
        return monitor.picture(*_SCREEN)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m swarm.documents.screenshot", description=__doc__.split("\n\n")[0].split(": ", 1)[1]
    )
    parser.add_argument("--output", default=str(FILE), metavar="FILE.svg", help="where it goes (default: the README's)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the boards' clocks and weather")
    options = parser.parse_args(argv)
    if missing := unix_port_missing():
        parser.error(f"{missing}: `make setup` installs it where there is one")
    try:
        svg.check(options.output)
        with tempfile.TemporaryDirectory(prefix="swarm-picture-") as folder:
            writable.write_atomically(Path(options.output), take(Path(folder), options.seed))
    except (TimeoutError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

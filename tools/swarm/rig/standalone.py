"""Virtual boards by themselves, as from the factory: each at a port that has a name in a folder, with a flash there."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from swarm.rig.rig import Rig
from swarm.serial import kept

_WAIT_S = 1.0


def names_in(home: Path) -> Path:
    """The folder of the ports' names in a folder of boards; it is there while they run."""
    return home / "ports"


class Standalone:
    """Boards that have power until the end of this context manager, unless let_go() is called.

    nodes: their numbers, which radio addresses and clocks come from; home: the folder where their flash and the names
    of their ports are, and their flash stays, None for one that goes with them; stays: they are to run on. `names` is
    by number.
    """

    def __init__(self, nodes: list[int], seed: int, home: Path | None, stays: bool = False) -> None:
        self.names: dict[int, Path] = {}
        with ExitStack() as cleanup:
            if home is None:
                home = Path(tempfile.mkdtemp(prefix="swarm-board-"))
                remove = home
            else:
                remove = names_in(home).absolute()
            cleanup.callback(shutil.rmtree, remove, ignore_errors=True)
            flash = {node: (home / f"board-{node}").absolute() for node in nodes}
            for folder in (*flash.values(), names_in(home)):
                folder.mkdir(parents=True, exist_ok=True)
            self._rig = Rig(flash, seed, remove=remove, silent=stays)
            cleanup.callback(self._rig.close)
            for node in nodes:
                self.names[node] = names_in(home) / str(node)
                self.names[node].symlink_to(self._rig.ports[node])
                self._rig.power(node, True)
            while len(self._rig.pids) < len(nodes):
                self._rig.events(_WAIT_S)
            self._cleanup = cleanup.pop_all()

    def __enter__(self) -> Standalone:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def run(self) -> None:
        """Have them run until an interrupt."""
        while True:
            self._rig.events(_WAIT_S)  # what they print is at their ports

    def let_go(self) -> None:
        """Have them run on when this process ends, and write down that they do."""
        self._rig.keep()
        kept.save(self._rig.pid, self._rig.medium_port, self._rig.ports)
        self._cleanup.pop_all()

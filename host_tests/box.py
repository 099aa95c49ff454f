"""A box of virtual boards for tests of the tools: powered, fresh from the factory, with what they print kept."""

import os
import threading
import time
from collections import defaultdict
from pathlib import Path

from swarm import cli
from swarm.rig.rig import Rig

SLOTS = ("faction.a", "faction.b")


class Box:
    """Boards 1 ... count with an empty flash, in folders board-N of home; a context manager.

    A thread takes what the rig tells, so that tests may take their time: lines, boots and pids by board.
    """

    def __init__(self, home, count, seed):
        self.home = Path(home)
        self.seed = seed
        self.nodes = list(range(1, count + 1))
        self.lines = defaultdict(list)
        self.boots = defaultdict(int)
        self.pids = {}
        for node in self.nodes:
            self.flash(node).mkdir(parents=True)
        before = os.umask(0o077)
        self.rig = Rig({node: self.flash(node) for node in self.nodes}, seed)
        os.umask(before)
        self.ports = self.rig.ports
        self._change = threading.Condition()
        self._ends = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def flash(self, node):
        """A board's folder: its file system."""
        return self.home / f"board-{node}"

    def power(self, node, on, after_ms=0):
        """Switch a board's power and, unless that is for later, wait until it is done."""
        boots = self.boots[node]
        self.rig.power(node, on, after_ms)
        if not after_ms:
            self.wait(lambda: self.boots[node] > boots if on else node not in self.pids, f"power of {node}")

    def boot(self, node):
        """Switch a board on, and wait for its prompt: until then an interrupt would hit its main.py."""
        since = len(self.lines[node])
        self.power(node, True)
        self.wait_line(node, 'Type "help()"', since)

    def wait(self, done, what, seconds=20):
        """Wait until done() is true; fails, showing what the boards said, when it takes too long."""
        with self._change:
            told = self._change.wait_for(done, seconds)
        assert told, f"seed {self.seed}: {what}: did not happen: { {n: said[-8:] for n, said in self.lines.items()} }"

    def wait_line(self, node, text, since=0):
        """Wait until a board has printed a line that contains text, not counting the first `since` lines."""
        self.wait(lambda: any(text in line for line in self.lines[node][since:]), f"{text!r} from {node}")

    def _follow(self):
        while not self._ends:
            try:
                events = self.rig.events(0.05)
            except EOFError:
                return
            with self._change:
                for event in events:
                    node = event["node"]
                    if event["event"] == "line":
                        self.lines[node].append(event["line"])
                    elif event["event"] == "boot":
                        self.boots[node] += 1
                        self.pids[node] = event["pid"]
                    else:
                        self.pids.pop(node, None)
                self._change.notify_all()

    def pointed(self, node):
        """The slot that a board's pointer names; None without one."""
        pointer = self.flash(node) / "faction.slot"
        return pointer.read_text() if pointer.exists() else None

    def slot(self, node, name):
        """What a board holds in a slot: {path: content}."""
        folder = self.flash(node) / name
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join()
        self.rig.close()


def describe(folder, box, *options):
    """Write a swarm.toml, with a key, for all the boards of a box, and a sensor that is ready at once; its path."""
    folder.mkdir(exist_ok=True)
    write_sensor(folder, 1)
    ports = [box.ports[node] for node in box.nodes]
    assert cli.main(["init", str(folder), "--name", "box", "--board", "VIRTUAL", *options, "--ports", *ports]) == 0
    return folder / "swarm.toml"


def write_sensor(folder, value):
    """Write a sensor that is ready at once and always reads that value."""
    (folder / "sensor.py").write_text(f"def warm_up():\n    return True\n\n\ndef sample():\n    return {value}\n")


def eventually(done, seconds=10.0):
    """Whether done() becomes true in that time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

"""A rig for tests: waits for what boards say, and talks to them as users do, with the real mpremote."""

import json
import subprocess
import sys
import time
from pathlib import Path

from swarm.rig.demo_run import Run
from swarm.rig.rig import Rig
from swarm.rig.virtual_board import FIRMWARE, LIB, prepare


def swarm_config(node, members, **changes):
    """faction.json of one member; short of patience, so that a failure shows soon."""
    config = {"swarm": "test", "members": list(members), "node": node, "deadline_ms": 20_000, "on_timeout": "halt"}
    return {**config, **changes}


def lay_boards(directory, members, firmware=FIRMWARE, library=LIB, **changes):
    """Prepare a directory for each member's board; {node: directory}."""
    boards = {node: Path(directory) / f"board-{node}" for node in members}
    for node, home in boards.items():
        prepare(home, swarm_config(node, members, **changes), firmware=firmware, library=library)
    return boards


class Table(Rig):
    """A rig that follows what its boards do in `run`, for tests."""

    def __init__(self, boards, seed, **options):
        super().__init__(boards, seed, **options)
        self.run = Run(list(boards))
        self.seed = seed

    def wait(self, done, seconds=15.0, what="what the test waits for"):
        """Take events until done() is true; fails, showing what the boards said, when it takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, f"seed {self.seed}: {what} did not happen: {self.story()}"
            for event in self.events(0.05):
                self.run.take(event)

    def wait_line(self, node, text, seconds=10.0):
        """Wait until a board has printed a line that contains text."""
        self.wait(lambda: any(text in line for line in self.run.nodes[node].output), seconds, f"{text!r} from {node}")

    def story(self):
        """What happened, as text."""
        said = {node.node: node.output[-6:] for node in self.run.nodes.values()}
        return "\n".join([*self.run.story, json.dumps(said, indent=1)])

    def start(self, *nodes):
        """Switch boards on, all at once."""
        for node in nodes:
            self.power(node, True)

    def mpremote(self, node, *arguments, timeout=30, check=True):
        """Run the mpremote command on a board's port; what it printed."""
        command = [sys.executable, "-m", "mpremote", "connect", self.ports[node], *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}{self.story()}"
        return done.stdout + done.stderr

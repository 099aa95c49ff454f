"""Frames that nobody with the key has sent change nothing but counters, raise nothing and take no memory."""

import random
import shutil
import sys

import pytest

import swarm_fixture
from requirements import require, values
from swarm import paths
from swarm.proof.fuzz import nodes

SEED = 20261128
FRAMES = {"cpython": 20_000, "unix": 20_000, "wasm": 1000}  # `make fuzz` does many more


def test_nothing_happens(runtime):
    totals = nodes.fuzz(runtime, FRAMES[runtime], SEED)
    assert [totals[name] for name in ("exceptions", "changes", "grown", "lost", "first")] == [0, 0, 0, 0, None], SEED
    assert totals["frames"] >= FRAMES[runtime] and totals["serial"] > 0.05 * totals["frames"]
    # Every check of the decoder has had its share, and so have recordings.
    assert all(count > 0 for count in totals["counters"][:8]), totals
    forged = totals["counters"][6]
    assert forged > 0.1 * totals["frames"], "frames that only the tag tells from authentic ones"


SKIP = "            self._at += 1\n"
# What is changed in which module, and which of the totals must show it.
DEFECTS = {
    "a tag that is not looked at": ("frame.py", "if self._cmac.differs(buffer, length):", "if False:", "changes"),
    "a report that is read as a PING": ("frame.py", "if not self.ready and buffer[0] != _PING or", "if", "changes"),
    "half a tag": ("cmac.py", "in range(8):", "in range(4):", "changes"),
    "recordings that count": ("node.py", "if not verdict:\n", "if verdict in (0, 7, 8):\n", "changes"),
    "a length that is believed": ("frame.py", " or length > len(buffer):", ":", "exceptions"),
    "memory for each frame": ("node.py", "if not verdict:\n", "if not [verdict][0]:\n", "grown"),
    "a code misread": ("cobs.py", "code = buffer[-1] - 1", "code = buffer[-1]", "lost"),
    "noise that costs two frames": ("links/uart.py", SKIP, SKIP[:-2] + "1 + (self._fill >= len(buffer))\n", "lost"),
}
SHORT = {"a tag that is not looked at", "a length that is believed", "memory for each frame"}  # the others are long


@pytest.mark.parametrize("defect", values(DEFECTS, long=DEFECTS.keys() - SHORT))
def test_a_defect_is_noticed(tmp_path, defect):
    module, here, there, noticed = DEFECTS[defect]
    lib = shutil.copytree(paths.LIB, tmp_path / "lib")
    changed = lib / "faction" / module
    source = changed.read_text()
    assert source.count(here) == 1
    changed.write_text(source.replace(here, there))
    assert nodes.fuzz(require("unix"), 8000, SEED, lib)[noticed] > 0


def test_all_that_a_node_remembers_is_watched(monkeypatch):
    monkeypatch.syspath_prepend(str(nodes.SCRIPTS))
    from hostile import Attacker, Random, Watch

    attacker = Attacker(Random(random.Random(SEED).randrange(1, 1 << 30)))
    watch = Watch(attacker.node)
    watched = set(zip(map(id, watch.holders), watch.names, strict=True))
    node = attacker.node
    # What no call changes is not worth a look at each frame.
    settings = {
        "_retry",
        "_deadline_ms",
        "_linger_ms",
        "me",
        "_width",
        "_least_ms",
        "imax_ms",
        "redundancy",
        "lead_ms",
        "soon_us",  # of who has no period
        "_session",
    }
    settings |= {"_reach", "_tolerance_us", "mark_us", "shift", "_half_us", "_number"}  # of a swarm's clock
    settings |= {"_heard", "_live"}  # of the echoes: those of the sessions, which are watched
    settings |= {"peer_id", "required_count", "ids", "_ids", "outcomes", "outcome_count"}
    parts = swarm_fixture.memory(node)
    holders = (node, node.machine, *(getattr(node, part) for part in swarm_fixture.PARTS[2:]))
    for holder, part in zip(holders, parts, strict=True):
        for name in part.keys() - settings:
            assert (id(holder), name) in watched, f"{name} of {type(holder).__name__}"
    sys.modules.pop("hostile")

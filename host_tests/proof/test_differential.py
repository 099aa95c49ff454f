"""The same frames at the same times have every runtime send, remember and count the same, bit for bit."""

import shutil

import pytest

from faction import names
from requirements import require
from swarm import paths
from swarm.proof.fuzz import nodes

SEED = 20261124
STEPS = {"cpython": 10_000, "unix": 10_000, "wasm": 1000}  # `make fuzz` does ten times as many


@pytest.fixture(scope="module")
def on_cpython():
    return nodes.differential("cpython", STEPS["cpython"], SEED)


def test_no_difference(micropython, on_cpython):
    digests, _ = nodes.differential(micropython, STEPS[micropython], SEED)
    assert len(digests) == STEPS[micropython] // nodes.PRINTED
    expected, _ = on_cpython
    assert digests == {step: expected[step] for step in digests}, f"seed {SEED}"


def test_the_steps_lead_everywhere(on_cpython):
    _, said = on_cpython
    counters = dict(zip(names.COUNTERS, said["counters"], strict=True))
    assert all(count > 50 for count in counters.values()), counters
    states = dict(zip(names.STATES, said["states"], strict=True))
    assert states.pop("Initial") == 0, "a started node has left it"
    assert all(count > 500 for count in states.values()), states
    assert said["samples"] > 10 and said["conflicts"] > 5 and said["wraps"] > 50 and said["generation"] == 2**30 - 1


@pytest.mark.parametrize(
    "module, here, there",
    (
        pytest.param("node.py", "_IMAX_MS = const(2048)", "_IMAX_MS = const(2049)", marks=pytest.mark.long),
        pytest.param("first_sample.py", "_EARLIER_US = const(200)", "_EARLIER_US = const(201)", marks=pytest.mark.long),
        ("sessions.py", "return _STALE", "return _REPLAYED"),
    ),
)
def test_the_least_difference_shows(tmp_path, on_cpython, module, here, there):
    lib = shutil.copytree(paths.LIB, tmp_path / "lib")
    changed = lib / "faction" / module
    source = changed.read_text()
    assert here in source
    changed.write_text(source.replace(here, there))
    digests, _ = nodes.differential(require("unix"), STEPS["unix"], SEED, lib)
    assert nodes.differences(on_cpython[0], digests) > 0

"""`swarm demo` of a series: every beat with its spread, and what counts as missed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require
from swarm import cli
from swarm.rig.demo.beats import Beats
from swarm.rig.demo.demo import Demo
from swarm.rig.demo.plan import Settings

SEED = 12
SWARM = str(Path(sys.executable).with_name("swarm"))
RUN_S = 120
SPREAD_MAX_US = 100_000  # half a period, against nonsense: how near samples are is shown in simulated time


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def record(n, node=1, session=1, late=False):
    return {"node": node, "session": session, "series": 7, "n": n, "late": late}


def test_a_beat_is_missed_between_two_that_one_session_sampled():
    beats = Beats(6)
    for n in (0, 1, 3):
        beats.take(record(n), 1000 * n)
    for n, late in ((1, True), (2, False), (5, False), (9, False)):
        beats.take(record(n, node=2, late=late), 1000 * n + 400)
    assert beats.missed() == [(1, 2), (2, 3), (2, 4)]
    # What lies between a session and the next a reboot has taken; nobody has asked for what comes behind the sixth.
    beats.take(record(5, session=2), 5000)
    assert beats.missed() == [(1, 2), (2, 3), (2, 4)]
    assert beats.told() == [
        {"n": 0, "nodes": 1, "spread_us": None},
        {"n": 1, "nodes": 1, "spread_us": None},
        {"n": 2, "nodes": 1, "spread_us": None},
        {"n": 3, "nodes": 1, "spread_us": None},
        {"n": 5, "nodes": 2, "spread_us": 400},
    ]


def test_a_series_with_a_reboot():
    require("unix")
    arguments = ["--nodes", "3", "--period", "200", "--beats", "8", "--reboot", "2@2600", "--seed", str(SEED), "--json"]
    done = subprocess.run([SWARM, "demo", *arguments], capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    beats = json.loads(done.stdout)["beats"]
    assert [beat["n"] for beat in beats] == list(range(8))
    assert {beat["nodes"] for beat in beats} <= {2, 3}, "the third is back by the end, or was not away yet"
    assert all(beat["spread_us"] < SPREAD_MAX_US for beat in beats), beats


def test_a_beat_that_is_missed_is_told(tmp_path):
    settings = Settings(3, "espnow", 3, 0, 10_000, "halt", SEED, period_ms=200, beats=3)
    with Demo(settings, "cpython") as demo:
        for node in demo.run.nodes.values():
            node.powered, node.conclusion, node.sample = True, "Bootstrapped", record(0, node.node)
        for n in (0, 2):
            demo.run.beats.take(record(n), 0)
        assert demo.problem() == "not all nodes sampled 3 beats in time"
        demo.in_time = True
        assert demo.problem() == "missed without a fault to blame: node 1 beat 1"
        demo.run.beats.take(record(1), 0)
        assert demo.problem() is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--period", "50"], "--period 50 is outside 100 ... 2592000000"),
        (["--beats", "3"], "--beats 3: write 1 or more, beside the --period of a series"),
        (["--period", "500", "--beats", "0"], "--beats 0: write 1 or more"),
    ],
)
def test_wrong_use(arguments, says, capsys):
    assert cli.main(["demo", *arguments]) == 2
    assert says in capsys.readouterr().err

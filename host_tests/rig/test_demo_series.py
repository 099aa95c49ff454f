"""`swarm demo` of a series: every beat with its spread, what counts as missed, and what a gateway has gathered."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from requirements import require
from swarm import cli
from swarm.rig.demo.beats import Beats
from swarm.rig.demo.demo import Demo
from swarm.rig.demo.gathered import Gathered
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
    # A host that is busy stops a board for more than 200 ms at times, and a beat in that time would be missed.
    arguments = ["--nodes", 3, "--period", 1000, "--beats", 6, "--reboot", "2@2600", "--seed", SEED, "--json"]
    done = subprocess.run([SWARM, "demo", *map(str, arguments)], capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    beats = json.loads(done.stdout)["beats"]
    assert [beat["n"] for beat in beats] == list(range(6))
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


def test_what_has_come_to_a_gateway_and_what_not():
    gathered = Gathered(Beats(3))
    for n, node, late in ((0, 2, False), (1, 2, False), (1, 3, False), (2, 3, True), (3, 2, False)):
        gathered.say(record(n, node, late=late), 1_000_000 * n)
    assert gathered.told() == {"samples": 3, "gathered": 0, "after_ms": {"p50": None, "max": None}}
    assert gathered.come(record(1, 2), 1_012_000) == 12_000
    assert gathered.come(record(1, 3), 1_030_000) == 30_000
    assert gathered.come(record(9, 3), 0) is None, "of that it was not told"
    assert gathered.told() == {"samples": 3, "gathered": 2, "after_ms": {"p50": 12.0, "max": 30.0}}
    assert gathered.lacks({2: 1, 3: 1}) == [(2, 0)]
    assert gathered.lacks({2: 4, 3: 1}) == [], "it has restarted since"


def test_what_the_others_measure_comes_to_a_gateway():
    require("unix")
    arguments = ["--nodes", "3", "--period", "2000", "--beats", "2", "--via", "2", "--seed", str(SEED)]
    done = subprocess.run([SWARM, "demo", *arguments], capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    assert re.search(r"node 2 has beat 1 of node 1: [\d.]+, \d+ ms after it was measured", done.stdout)
    assert re.search(r"\nnode 2 gathered (\d) of the \1 samples of the others, half of them within", done.stdout)


def test_a_sample_that_has_not_come_to_the_gateway_is_told():
    settings = Settings(2, "espnow", 2, 0, 10_000, "halt", SEED, period_ms=200, beats=1, via=2)
    with Demo(settings, "cpython") as demo:
        for node in demo.run.nodes.values():
            node.powered, node.conclusion, node.sample, node.session = True, "Bootstrapped", record(0, node.node), 1
        demo.in_time = True
        demo.run.gathered.say(record(0, 1), 0)
        assert demo.problem() == "node 2 has not gathered beat 0 of node 1"
        demo.run.nodes[2].powered = False
        assert demo.problem() is None
        demo.run.nodes[2].powered = True
        demo.run.gathered.come(record(0, 1), 0)
        assert demo.problem() is None
        assert demo.result()["gathered"]["gathered"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--period", "50"], "--period 50 is outside 100 ... 2592000000"),
        (["--beats", "3"], "--beats 3: write 1 or more, beside the --period of a series"),
        (["--period", "500", "--beats", "0"], "--beats 0: write 1 or more"),
        (["--via", "1"], "--via 1: samples of a series go over the air: give it a --period, such as 1000"),
        (["--via", "6", "--period", "500"], "--via 6: there is no node 6; the nodes are 1 ... 5"),
    ],
)
def test_wrong_use(arguments, says, capsys):
    assert cli.main(["demo", *arguments]) == 2
    assert says in capsys.readouterr().err

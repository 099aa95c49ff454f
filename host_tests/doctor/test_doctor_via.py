"""swarm doctor --via: what is wrong with boards that are known by what comes of them over the air."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from box import Box, deploy, describe
from requirements import require
from rig_fixture import execute
from swarm import cli
from swarm.doctor import places
from swarm.serial import via
from swarm.serial.targets import Target

SEED = 43
SWARM = str(Path(sys.executable).with_name("swarm"))
OFF = 5  # the member without power


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Five members that gather at nobody in particular, the last of which never had power."""
    require("unix")
    home = tmp_path_factory.mktemp("via")
    with Box(home, OFF, SEED) as box, ThreadPoolExecutor() as pool:
        box.file = describe(
            home / "swarm", box, "--period", "1000", "--round", "10000", "--gateway", "any", "--quorum", "4"
        )
        there = box.nodes[:-1]
        list(pool.map(box.boot, there))
        deploy(box, *map(str, there))
        yield box


def doctor(box, *arguments, status, file=None):
    command = [SWARM, "doctor", "--via", box.ports[1], "--swarm", str(file or box.file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def findings(box, **options):
    told = json.loads(doctor(box, "--json", status=1, **options))
    assert told["looked_at"] == [box.ports[1], "node 2", "node 3", "node 4"] and told["over_the_air"] == [2, 3, 4]
    return {(one["fault"], one["node"]): one for one in told["findings"]}


PLANT = {
    2: "faction.app.note('sample()', OSError(5))",
    3: "faction.__version__ = '0.9'; faction.app.note('application', KeyboardInterrupt())",
    4: "faction.app.sensor.health = lambda: 1 // 0",
}
MEND = {
    2: "faction.app.errors.clear()",
    3: "faction.__version__ = '1.0.0'; faction.app.errors.clear()",
    4: "del faction.app.sensor.health",
}
FAULTS = {("sensor fails", 2), ("version", 3), ("application", 3), ("health fails", 4)}


@contextmanager
def planted(box):
    """Something wrong with each of the members that are asked over the air."""
    try:
        for node, code in PLANT.items():
            execute(box, node, code)
        yield
    finally:
        for node, code in MEND.items():
            execute(box, node, code)


def test_each_member_is_looked_at_and_what_cannot_be_is_said(box):
    lines = doctor(box, status=1).splitlines()
    assert lines[-2:] == [
        "not looked at over the air: files, own code, key and MicroPython of node 2, 3, 4",
        "4 boards were looked at, 1 thing is wrong",
    ]
    assert re.match(r"node 5: it (is lost: heard not|does not answer through \S+:) ", lines[0])
    assert lines[2] == "    do:   look at it: power, distance, wires; plugged in, `swarm doctor 5` tells more"


def test_what_members_tell_is_found_and_what_to_type_names_no_port_that_they_are_not_at(box):
    with planted(box):
        found = findings(box)
    assert found.keys() - {("lost", OFF), ("silent", OFF)} == FAULTS
    assert found["sensor fails", 2]["what"] == "its sensor fails: sample(): OSError: [Errno 5] EIO"
    assert found["sensor fails", 2]["remedy"].endswith(f", then swarm deploy 2 --swarm {box.file}")
    assert found["version", 3]["what"] == "its faction is 0.9, here is 1.0.0"
    assert found["health fails", 4]["what"].startswith("its health() fails: ZeroDivisionError")
    assert found["application", 3]["remedy"] == "switch it off and on"
    assert not any(one["port"] for one in found.values())


def test_members_that_were_described_otherwise_are_told_by_their_digest(box):
    other = box.file.with_name("other.toml")
    other.write_text(box.file.read_text().replace("period_ms = 1000", "period_ms = 2000"))
    found = findings(box, file=other)
    assert {("digest", node) for node in (1, 2, 3, 4)} <= found.keys()
    assert re.match(r"its digest is \w{8}, the swarm's is \w{8}$", found["digest", 2]["what"])


def test_without_a_gateway_it_says_what_to_write(box, monkeypatch, capsys):
    answer = {"error": "p: its swarm has no gateway: write `gateway = []` into swarm.toml, and deploy all boards"}
    monkeypatch.setattr(via, "ask_all", lambda port, **_: [(Target(port, port), answer | {"kind": "failed"})])
    assert cli.main(["doctor", "--via", box.ports[1], "--swarm", str(box.file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["looked_at"] == [box.ports[1]] and told["over_the_air"] == []
    (one,) = told["findings"]
    assert one["fault"] == "over the air" and one["remedy"].startswith("write `gateway = []` into swarm.toml")
    assert one["why"] == "the other members were not looked at"


def test_rubbish_that_a_member_goes_on_to_hear_is_told(box, monkeypatch, capsys):
    asked = []
    ask_all = via.ask_all

    def noisy(port, **options):
        asked.append(port)
        answers = ask_all(port, **options)
        for target, answer in answers:
            if target.node == 4:
                answer["counters"]["malformed"] += 100 * len(asked)
        return answers

    monkeypatch.setattr(places, "LISTEN_S", 0.0)
    monkeypatch.setattr(via, "ask_all", noisy)
    assert cli.main(["doctor", "--via", box.ports[1], "--swarm", str(box.file), "--json"]) == 1
    found = {(one["fault"], one["node"]): one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert re.match(r"\d+ packets that are no frames were heard just now", found["packets of others", 4]["what"])
    assert len(asked) == 2


def test_it_stands_alone(box, capsys):
    for beside in (["3"], ["--port", "x"]):
        assert cli.main(["doctor", "--via", "p", "--swarm", str(box.file), *beside]) == 2
        assert "give --via alone" in capsys.readouterr().err


def test_a_port_without_a_board_is_what_is_wrong(box, capsys):
    assert cli.main(["doctor", "--via", "/nowhere", "--swarm", str(box.file)]) == 1
    told = capsys.readouterr().out
    assert "no such port" in told and "0 of 1 board could be looked at" in told

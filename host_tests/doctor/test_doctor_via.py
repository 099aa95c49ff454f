"""swarm doctor --via: what is wrong with boards that are known by what comes of them over the air."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncio_application import ON_ASYNCIO
from box import Box, deploy, describe
from requirements import require
from rig_fixture import execute
from swarm import cli
from swarm.doctor import places
from swarm.serial import targets, via
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


def findings(box, there=(2, 3, 4), **options):
    told = json.loads(doctor(box, "--json", status=1, **options))
    assert told["looked_at"] == [box.ports[1], "node 2", "node 3", "node 4"] and told["over_the_air"] == [*there]
    return {(one["fault"], one["node"]): one for one in told["findings"]}


NODE_4 = """
facts = faction.app.series.facts
def late():
    told = facts()
    told["beat"] -= 40
    told["sampled"], told["missed"] = 1, 0  # fewer than any other has, however new they are
    return told
faction.app.series.facts = late
"""
NODE_1 = """
facts = faction.app.series.facts
def old():
    told = facts()
    told["sampled"] = 10_000
    return told
faction.app.series.facts = old
from faction.names import COUNTERS
restarts = COUNTERS.index("restarts")
before = faction.app.node.counters[restarts]
faction.app.node.counters[restarts] = 90
"""
NODE_3 = """
facts = faction.tell
faction.status_dict = lambda: {name: told for name, told in facts("facts").items() if name not in ("digest", "open")}
"""
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
COURSE = {1: NODE_1, 3: NODE_3, 4: NODE_4}
MEND_COURSE = {
    1: "faction.app.series.facts = facts; faction.app.node.counters[restarts] = before",
    3: "faction.status_dict = lambda: facts('facts')",
    4: "faction.app.series.facts = facts",
}
FAULTS = {("sensor fails", 2), ("version", 3), ("application", 3), ("health fails", 4)}


@contextmanager
def planted(box, plant, mend):
    """Something wrong with several boards."""
    try:
        for node, code in plant.items():
            execute(box, node, code)
        yield
    finally:
        for node, code in mend.items():
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
    with planted(box, PLANT, MEND):
        found = findings(box)
    assert found.keys() - {("lost", OFF), ("silent", OFF)} == FAULTS
    assert found["sensor fails", 2]["what"] == "its sensor fails: sample(): OSError: [Errno 5] EIO"
    assert found["sensor fails", 2]["remedy"].endswith(f", then swarm deploy 2 --swarm {box.file}")
    assert found["version", 3]["what"] == "its faction is 0.9, here is 1.0.0"
    assert found["health fails", 4]["what"].startswith("its health() fails: ZeroDivisionError")
    assert found["application", 3]["remedy"] == "switch it off and on"
    assert not any(one["port"] for one in found.values())


def test_clocks_restarts_and_another_version_are_told_by_what_members_tell(box):
    with planted(box, COURSE, MEND_COURSE):
        found = findings(box, there=(2, 4))
    assert found.keys() - {("lost", OFF), ("silent", OFF)} == {("clock", 4), ("restarts", 4), ("version", 3)}
    assert re.fullmatch(r"its clock is (3[5-9]|4[0-5]) s late", found["clock", 4]["what"])
    assert found["restarts", 4]["what"] == "it started 1 s ago, and node 1 has seen 90 restarts in 3 h"
    assert found["version", 3]["why"] == "its status has no digest, open"


def test_members_that_were_described_otherwise_are_told_by_their_digest(box):
    other = box.file.with_name("other.toml")
    other.write_text(box.file.read_text().replace("period_ms = 1000", "period_ms = 2000"))
    found = findings(box, file=other)
    assert [node for fault, node in found if fault == "digest"] == [None], "one for all of them"
    one = found["digest", None]["what"]
    told = r"no board that was looked at has the swarm's digest, \w{8}: \w{8} of node 1-4 \(period_ms 1000, not 2000\)"
    assert re.fullmatch(told, one), one


@pytest.mark.long
def test_through_a_board_that_an_application_has_the_prompt_of(box):
    own = box.file.parent / "application.py"
    try:
        own.write_text(ON_ASYNCIO)
        deploy(box, "1")
        box.wait_line(1, "application: 1")
        with planted(box, {2: PLANT[2]}, {2: MEND[2]}):
            found = findings(box)
        told = targets.ask(Target("", box.ports[1]))
        assert found.keys() - {("lost", OFF), ("silent", OFF)} == {("sensor fails", 2)}
        assert told["application"] == "runs" and told["errors"] == []
    finally:
        own.unlink()
        deploy(box, "1")


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

"""A whole swarm through a board whose prompt an application has: as through a free one, and the application goes on."""

import json
import re
import subprocess
import time

import pytest
import serial

from asyncio_application import ON_ASYNCIO
from requirements import require
from rig_fixture import SWARM, Table, beats, carried, check_as_wired, lay_boards, rows, swarm
from swarm.serial import application, targets
from swarm.serial.targets import Target
from terminal import Terminal

SEED = 23
MEMBERS = [1, 2, 3, 4]
OFF = 4  # the member without power
# Holds its loop up for most of the time, and leaves lines unfinished.
SLOW = """
import time


async def main(swarm):
    print("application: begins")
    while True:
        time.sleep_ms(1300)
        print("slow", end="")
        await swarm.wait()
        until = time.ticks_add(time.ticks_ms(), 100)
        while time.ticks_diff(until, time.ticks_ms()) > 0:
            pass
"""
AMISS = [b"fetch", b"fetch x", b"fetch 3 0", b"fetch 3 0 0 0", b"fetch 3 0 x", b"fetched 999 0 0", b"fetch 999 0 0"]
AMISS += [b"fetch -1 0 0", b"fetch 3 65536 0", b"fetch 3 0 1073741824", b"fetch 3 0 1" + 20 * b"0", b"fetch\xff 3"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Applications on boards 1 and 2, none on 3, and a member without power; a tool may ask any."""
    require("unix")
    boards = lay_boards(
        tmp_path_factory.mktemp("boards"), MEMBERS, period_ms=1000, round_ms=10_000, gateway=[], required=3
    )
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    (boards[2] / "application.py").write_text(SLOW)
    sensor = boards[3] / "sensor.py"
    sensor.write_text(sensor.read_text() + '\n\ndef health():\n    return {"battery_V": 3.71}\n')
    with Table(boards, SEED) as made:
        made.start(1, 2, 3)
        made.wait(lambda: all(beats(made, node) > 5 for node in (1, 2, 3)), what="beats")
        yield made
        for node in (1, 2):
            told = "\n".join(made.run.nodes[node].output)
            assert told.count("application: ") == 1 and "stop" not in told, "no look has stopped an application"


def ask(table, port, request, answer=b"\n"):
    """What comes of bytes on the serial line, up to an answer."""
    with carried(table):
        port.reset_input_buffer()
        port.write(request)
        end = time.monotonic() + 60
        said = b""
        while not re.search(answer, said):
            assert time.monotonic() < end, (request, said)
            said += port.read(port.in_waiting or 1)
    return said.decode("utf-8", "replace")


def free(table, node):
    """The status of a node that an application runs beside."""
    with carried(table):
        told = targets.ask(Target("", table.ports[node]))
    assert told.get("application") == "runs", told
    return told


@pytest.mark.parametrize("through", (1, pytest.param(2, marks=pytest.mark.long)))
def test_what_comes_is_what_the_boards_have_and_the_second_time_what_is_new(table, tmp_path, through):
    out = tmp_path / "air.csv"
    first = swarm(table, "collect", "--via", table.ports[through], "--out", out)
    assert first.returncode == 1 and f"node {OFF}" in first.stderr, first.stdout + first.stderr
    before = rows(out)
    assert {key[0] for key in before} == {"1", "2", "3"}
    newest = max(int(key[3]) for key in before)
    table.wait(lambda: beats(table, 3) > newest + 3, what="more beats")
    second = swarm(table, "collect", "--via", table.ports[through], "--out", out)
    after = rows(out)
    for node in {"1", "2", "3"} - {str(through)}:
        fresh = sum(key[0] == node for key in after.keys() - before.keys())
        assert fresh > 0 and f"node {node}: {fresh} sample{'s' * (fresh > 1)}, {fresh} new\n" in second.stdout
    check_as_wired(table, tmp_path, after)


@pytest.mark.parametrize("through", (1, pytest.param(2, marks=pytest.mark.long)))
def test_the_status_of_every_member_and_one_that_is_silent(table, through):
    done = swarm(table, "status", "--via", table.ports[through], "--json")
    assert done.returncode == 1, f"member {OFF} is not there"
    told = {one["node"]: one for one in json.loads(done.stdout)}
    assert sorted(told) == MEMBERS and {one["via"] for one in told.values()} == {table.ports[through]}
    here = {node: told[node].get("application") for node in (1, 2, 3)}
    assert here == {1: "runs", 2: "runs", 3: None}, done.stderr
    assert told[3]["health"] == {"battery_V": 3.71} and all(told[node]["errors"] == [] for node in (1, 2, 3))
    assert told[OFF]["kind"] in ("silent", "lost") and f"node {OFF}" in told[OFF]["error"]


def test_one_look_of_the_monitor_has_a_row_a_member(table):
    done = swarm(table, "monitor", "--once", "--via", table.ports[1])
    head, titles, *rest = done.stdout.splitlines()
    assert done.returncode == 1 and head.startswith("swarm test: 3 of 4 nodes answer: 3 Bootstrapped")
    told = {line.split()[0]: line for line in rest[:4]}
    assert sorted(told) == ["1", "2", "3", "4"] and "next in" in told["1"]


def test_the_live_view_ends_at_once_while_a_member_is_silent(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1, 2, 3], required=2, period_ms=1000, round_ms=10_000, gateway=[])
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as table:
        table.start(1, 2)
        table.wait(lambda: beats(table, 1) > 2, what="beats")
        port = table.ports[1]
        with carried(table), Terminal([SWARM, "monitor", "--via", port, "--every", "0.3"], columns=140) as seen:
            seen.wait(lambda text: "2 of 3 nodes answer" in text and "last heard" in text)
            table.power(2, False)
            seen.wait(lambda text: re.search(r"^2 .* [34] s ago ", text, re.M), 30)
            seen.press("q")
            assert seen.end(3) == 0
            told = targets.ask(Target("", port))
        table.wait_line(1, '{"failure"', 10)  # so what was asked has been ended
        assert told["application"] == "runs" and told["errors"] == []
        assert subprocess.run([SWARM, "status", "--port", port], capture_output=True, check=False).returncode == 0


def test_lines_that_are_amiss_get_a_plain_answer_and_the_node_goes_on(table):
    with serial.Serial(table.ports[1], timeout=0.1) as port:
        for request in AMISS:
            said = ask(table, port, b"\r" + request + b"\r", rb'\{"failure": "[^\n]*\n')
            (answer,) = [line for line in said.splitlines() if line.startswith('{"failure"')]
            (why,) = json.loads(answer).values()
            assert why and ("999" not in request.decode("latin-1") or why == "no such member, kind or place")
        said = ask(table, port, b"\rfetch 3 0 0\r", rb'\["end", [^\n]*\n')
        assert '["piece", 0, ' in said
    assert free(table, 1)["errors"] == []


def test_another_request_ends_one_that_nobody_waits_for(table):
    with serial.Serial(table.ports[1], timeout=0.1) as port:
        ask(table, port, b"\rfetch 4 0 0\rstatus\r", rb'"state": "Bootstrapped"[^\n]*\n')
        said = ask(table, port, b"\rfetch 3 0 0\rfetch 2 0 0\r", rb'\["end", [^\n]*\n')
        told = "".join(json.loads(line)[3] for line in said.splitlines() if line.startswith('["piece"'))
        assert json.loads(told)["node"] == 2, "the last one's answer alone"


def test_a_board_without_a_gateway_says_so(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1], required=1, period_ms=1000)
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as made:
        made.start(1)
        made.wait_line(1, "application: ")
        with serial.Serial(made.ports[1], timeout=0.1) as port:
            assert '{"failure": "no gateway"}' in ask(made, port, b"\rfetch 1 0 0\r", rb"failure[^\n]*\n")
        done = swarm(made, "status", "--via", made.ports[1])
        assert done.returncode == 1 and "its swarm has no gateway: write" in done.stdout + done.stderr
        assert free(made, 1)["errors"] == []


class Line:
    """A serial line that says what it is given, piece by piece."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.written = b""

    @property
    def in_waiting(self):
        return len(self.pieces[0]) if self.pieces else 0

    def read(self, _count):
        return self.pieces.pop(0)

    def write(self, data):
        self.written += data


@pytest.mark.parametrize("size", (1, 7, 1000))
def test_an_answer_is_found_among_what_the_application_prints(monkeypatch, size):
    monkeypatch.setattr(application, "_PIECE_S", 0.05)
    said = b'{"my": 1}\r\nunfinished["piece", 9, 4, "\\"end\\\\"]\r\n["pie\r\n\x00["end", 9, 4]\r\n["end", 7, 7]\r\n'
    line = Line(*(said[at : at + size] for at in range(0, len(said), size)))
    transport = type("Transport", (), {"serial": line})
    told = application.fetch(transport, "P", 3, 1, 0)
    assert told.splitlines()[:2] == ['["piece", 9, 4, "\\"end\\\\"]', '["end", 9, 4]']
    assert line.written == b"\rfetch 3 1 0\r"
    endless = Line(*100_000 * [b'["piece", 9, 4, "x"]\r\n'])
    monkeypatch.setattr(application, "_SAMPLES_S", 0.1)
    transport.serial = endless
    with pytest.raises(application.BoardError, match="has fallen silent, or tells without end"):
        application.fetch(transport, "P", 3, 1, 0)
    assert endless.pieces, "it is not listened to for ever"
    for silent in (Line(b"words\r\n"), Line(b'["piece", 9, 4, "x"]\r\n'), Line(b'{"failure": "no gateway"}\r\n')):
        transport.serial = silent
        with pytest.raises(application.BoardError, match=r"silent|no gateway"):
            application.fetch(transport, "P", 3, 1, 0)

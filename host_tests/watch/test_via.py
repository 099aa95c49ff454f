"""`swarm status`, `monitor` and `collect` with --via: a whole swarm over the air, through one of its boards."""

import json
import re
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from requirements import require
from rig_fixture import SWARM, Table, beats, carried, check_as_wired, lay_boards, rows, swarm
from swarm import cli
from swarm.serial import via
from swarm.serial.port import BoardError
from swarm.serial.targets import Target
from swarm.watch import node_table
from swarm.watch.changes import Watch
from swarm.watch.samples import counted
from terminal import Terminal

SEED = 19
MEMBERS = [1, 2, 3, 4]
AT_PROMPT = SimpleNamespace(in_raw_repl=True)
LOST = {"number": 5, "length_ms": 10_000, "present": [1], "lost": [[3, 65], [4, None]]}
STATUS = {"node": 1, "gathers": False, "heard": [1], "missing": [3, 4], "presence": LOST}


def test_a_piece_that_a_line_of_the_nodes_own_has_spoilt_is_asked_for_again(monkeypatch):
    lines = [json.dumps(["piece", 9, 4, "one\n"]), json.dumps(["piece", 9, 8, "two\n"])]
    lines += [json.dumps(["piece", 5, 3, "ne\n"]), json.dumps(["end", 5, 3])]
    for spoilt in range(3):
        answers = [[*lines[:spoilt], "faction: 12 node 1 " + lines[spoilt], *lines[spoilt + 1 :]], lines]
        monkeypatch.setattr(via, "run", lambda *_, answers=answers: "\n".join(answers.pop(0)))
        assert via._fetch(AT_PROMPT, "P", 3, 1, 0) == (5, 3, "one\ntwo\nne\n"), spoilt
        assert not answers


@contextmanager
def four(home):
    """Four boards, the last of which never had power; a tool may ask any."""
    require("unix")
    boards = lay_boards(home, MEMBERS, period_ms=1000, round_ms=10_000, gateway=[], required=3)
    sensor = boards[2] / "sensor.py"
    sensor.write_text(sensor.read_text() + '\n\ndef health():\n    return {"battery_V": 3.71}\n')
    with Table(boards, SEED) as made:
        made.start(1, 2, 3)
        made.wait(lambda: all(beats(made, node) > 5 for node in (1, 2, 3)), what="beats")
        yield made


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    with four(tmp_path_factory.mktemp("boards")) as made:
        yield made


def test_what_comes_over_the_air_is_what_the_boards_have_and_the_second_time_what_is_new(table, tmp_path):
    out = tmp_path / "air.csv"
    first = swarm(table, "collect", "--via", table.ports[1], "--out", out)
    assert first.returncode == 1 and "node 4" in first.stderr, "of a member that has no power nothing comes"
    before = rows(out)
    assert {key[0] for key in before} == {"1", "2", "3"}
    newest = max(int(key[3]) for key in before)
    table.wait(lambda: beats(table, 1) > newest + 3, what="more beats")
    second = swarm(table, "collect", "--via", table.ports[1], "--out", out)
    after = rows(out)
    new = {line.split(":")[0]: line.split()[-2] for line in second.stdout.splitlines() if line.startswith("node")}
    for node in ("2", "3"):
        line = next(line for line in second.stdout.splitlines() if line.startswith(f"node {node}:"))
        fresh = sum(key[0] == node for key in after.keys() - before.keys())
        assert fresh > 0 and line == f"node {node}: {counted(fresh)}, {fresh} new", (new, second.stdout)
    check_as_wired(table, tmp_path, after)


def test_the_status_of_every_member_is_a_list_with_an_object_each(table):
    done = swarm(table, "status", "--via", table.ports[1], "--json")
    assert done.returncode == 1, "member 4 is not there"
    told = {one["node"]: one for one in json.loads(done.stdout)}
    assert sorted(told) == MEMBERS and {one["via"] for one in told.values()} == {table.ports[1]}
    assert all(told[node]["state"] == "Bootstrapped" and told[node]["session"] == 1 for node in (1, 2, 3))
    assert {node for node in told if "health" in told[node]} == {2} and told[2]["health"] == {"battery_V": 3.71}
    assert told[4]["kind"] in ("silent", "lost") and "node 4" in told[4]["error"]


def test_the_table_has_a_row_a_member(table):
    done = swarm(table, "status", "--via", table.ports[1])
    assert done.returncode == 1
    first = [line.split()[:2] for line in done.stdout.splitlines()]
    assert all([str(node), "Bootstrapped"] in first for node in (1, 2, 3)), done.stdout
    assert "node 4" in done.stdout
    titles, *rows = done.stdout.splitlines()
    at = titles.index("health")
    shown = {row.split()[0]: row[at : at + 14].strip() for row in rows[:3]}
    assert shown == {"1": "", "2": "battery_V 3.71", "3": ""}


def test_one_look_of_the_monitor_has_a_row_a_member_with_its_age_and_no_skew(table):
    done = swarm(table, "monitor", "--once", "--via", table.ports[1])
    assert done.returncode == 1
    head, titles, *rest = done.stdout.splitlines()
    assert head.startswith("swarm test: 3 of 4 nodes answer: 3 Bootstrapped")
    assert "last heard" in titles and "version" in titles
    told = {line.split()[0]: line for line in rest[:4]}
    assert sorted(told) == ["1", "2", "3", "4"]
    assert all(re.search(r"  (now|\d+ s ago)  ", told[node]) for node in ("1", "2", "3"))
    assert "next in" in told["1"] and not any("next in" in told[node] for node in ("2", "3"))
    assert rest[-1].startswith("series: beat ") and "skew" not in rest[-1]


def watched(table):
    return Terminal([SWARM, "monitor", "--via", table.ports[1], "--every", "0.3"], columns=140)


@pytest.mark.long  # most of a minute, for two to be lost and one to be back
def test_the_live_view_through_one_board(tmp_path):
    """Rows as they come; who is lost and back by that board's own word; quitting does not wait for who is silent."""
    with four(tmp_path) as table, carried(table), watched(table) as seen:
        seen.wait(lambda text: "3 of 4 nodes answer" in text and "last heard" in text)
        assert "skew" not in seen.text()
        seen.wait(lambda text: "node 1 has lost 4" in text and re.search(r"^4 +lost .* never ", text, re.M))
        table.power(3, False)
        seen.wait(lambda text: re.search(r"^3 +no answer .* \d+ s ago ", text, re.M), 30)
        assert "node 3 does not answer through " in seen.text()
        seen.wait(lambda text: "node 1 has lost 3" in text and re.search(r"^3 +lost ", text, re.M))
        table.power(3, True)
        seen.wait(lambda text: "node 1 has 3 back" in text and "node 3 has rebooted: session 1, now 2" in text)
        table.power(2, False)
        seen.wait(lambda text: re.search(r"^2 .* [3-9] s ago ", text, re.M), 30)
        seen.press("p")
        seen.wait(lambda text: "paused" in text, 2)
        seen.press("q")
        assert seen.end(2) == 0
        free = subprocess.run([SWARM, "status", "--port", table.ports[1]], capture_output=True, text=True)
        assert free.returncode == 0, "its prompt is free"


def test_who_is_asked_through_another_tells_neither_when_a_beat_is_nor_who_is_lost():
    asked, other = Target("p", "p"), Target("2", None, 2)
    watch = Watch([asked])
    status = {
        "swarm": "test",
        "node": 1,
        "session": 1,
        "state": "Bootstrapped",
        "heard": [1],
        "ready": [],
        "missing": [],
        "required": 1,
        "generation": 0,
        "restarts": 0,
        "timeouts": 0,
        "conflict": False,
        "instant_in_us": 9_000_000,
        "sample": None,
        "counters": {"foreign": 0},
        "errors": [],
        "version": "1",
        "presence": LOST,
    }
    through = {**status, "node": 2, "seen": 0.0, "via": "p", "presence": {**LOST, "lost": [[4, 1], [5, 1]]}}
    watch.take(other, through, 1.0)
    assert not watch.quiet(9.9) and not any("lost" in event.text for event in watch.events)
    watch.take(asked, status, 1.0)
    assert watch.quiet(9.9) and watch.events[-1].text == "node 1 has lost 3 4"
    watch.take(other, via.lost(status, 3) | {"silent_s": 65}, 2.0)
    assert watch.events[-1].text == "node 1 has lost 3 4", "that is told already"
    watch.take(asked, {**status, "presence": {**LOST, "lost": [[3, 70]]}}, 3.0)
    assert watch.events[-1].text == "node 1 has 4 back", "whatever the other has said before"


def test_how_long_ago_a_member_was_heard(monkeypatch):
    monkeypatch.setattr(node_table.time, "time", lambda: 1000.0)
    lost = {"error": "", "kind": "lost"}
    answers = ({"seen": 999.5}, {"seen": 958.0}, {"seen": 100.0}, {**lost, "silent_s": 65}, {**lost, "silent_s": None})
    assert [node_table.last_heard(answer) for answer in (*answers, {})] == [
        *("now", "42 s ago", "15 min ago", "65 s ago", "never", "")
    ]


@pytest.mark.parametrize("verb", ("status", "monitor --once", "collect"))
@pytest.mark.parametrize("beside", (("3",), ("--all",), ("--port", "a")), ids=("node", "all", "port"))
def test_it_stands_alone(capsys, verb, beside):
    assert cli.main([*verb.split(), "--via", "b", *beside]) == 2
    assert "give --via alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    (
        *('["piece", 9]', '["piece", [], 1, "x"]', '["piece", 9, 1, 5]\n["end", 9, 1]', '["piece", 9, "a", "x"]'),
        *('["end"]', '["end", [], {}]', '["silent"]', "[]", "5", '{"end": 1}', "[" * 9999),
    ),
)
def test_what_is_no_answer_however_it_looks_is_none(monkeypatch, said):
    monkeypatch.setattr(via, "run", lambda *_: said)
    with pytest.raises(BoardError, match="ask again"):
        via._fetch(AT_PROMPT, "P", 3, 1, 0)


def test_a_piece_with_signs_that_are_no_bytes_ends_nothing(monkeypatch):
    monkeypatch.setattr(via, "run", lambda *_: '["piece", 9, 2, "x\u4e00"]\n["end", 9, 2]')
    assert via._fetch(AT_PROMPT, "P", 3, 1, 0) == (9, 2, "x?")


def asked(monkeypatch, status, more=None, fetched=None):
    """What ask_all() answers of a board that tells that status; fetched: members that were asked over the air."""

    def ask(target, read, by_line):
        assert read is by_line, "an application's board is asked for the same"
        try:
            return {**status, **read(None, target.port, status)}
        except BoardError as error:
            return {"error": str(error), "kind": error.kind}

    def silent(_transport, port, member, kind, place):
        if fetched is not None:
            fetched.append((member, kind, place))
        raise BoardError(f"node {member} does not answer through {port}", "silent")

    monkeypatch.setattr(via.targets, "ask", ask)
    monkeypatch.setattr(via, "_fetch", silent)
    return via.ask_all("p", more)


def test_a_lost_member_is_not_asked_and_its_row_tells_since_when(monkeypatch):
    fetched = []
    answers = {target.node: answer for target, answer in asked(monkeypatch, {**STATUS, "heard": [1, 2]}, None, fetched)}
    assert fetched == [(2, 0, 0)]
    assert answers[3] == {"error": "node 3 is lost: heard not for 65 s", "kind": "lost", "silent_s": 65}
    assert answers[4] == {
        "error": "node 4 is lost: heard not since that board's start",
        "kind": "lost",
        "silent_s": None,
    }
    assert answers[2]["kind"] == "silent"


def test_a_board_without_a_gateway_says_what_to_write(monkeypatch):
    for status in ({**STATUS, "gathers": None}, {"node": 1, "heard": [1], "missing": []}):
        ((_, answer),) = asked(monkeypatch, status)
        assert answer["error"].startswith("p: its swarm has no gateway: write `gateway = ")


def test_places_are_kept_as_json_and_nothing_else_is_taken_for_them():
    places = {2: (1, 0), 65535: (65_534, 8192)}
    assert via.load_places(via.dump_places(places)) == places
    for text in ("{", "[]", '{"a": [1, 2]}', '{"1": 2}', '{"1": [1]}', '{"1": [1, null]}'):
        with pytest.raises(ValueError):
            via.load_places(text)

"""`swarm collect` of a series: each record once, dated as exactly as is known, into files of each kind."""

import csv
import json
import random
import sqlite3
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from requirements import require
from rig_fixture import Following, Table, lay_boards
from swarm import cli
from swarm.serial import application, targets
from swarm.serial.port import open_port
from swarm.serial.prompt import prompt, raw_repl
from swarm.serial.status import read_status
from swarm.serial.targets import Target
from swarm.watch import collection, dating, instants, plot, samples
from swarm.watch.collection import Collection
from swarm.watch.dating import Reading
from swarm.watch.fetch import Fetch
from swarm.watch.instants import Bounds
from swarm.watch.samples import Move, Sample, SamplesError

SEED = 14
SWARM = str(Path(sys.executable).with_name("swarm"))
ON_ASYNCIO = "import asyncio\n\n\nasync def main(swarm):\n    while True:\n        await asyncio.sleep(1)\n"
BEGAN_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
TOLD = Bounds(-1000, 1000)


def record(n, node=1, session=3, series=9, value=20.5, late=False, late_us=5):
    return {
        "node": node,
        "session": session,
        "series": series,
        "n": n,
        "late_us": late_us,
        "value": value,
        "late": late,
    }


def answer(*records, beat=10, node=1, instant=TOLD):
    """What a board answers in series 9 of a second's period, which began at BEGAN_S as far as it tells."""
    series = {"id": 9, "period_ms": 1000, "beat": beat}
    lines = [json.dumps(one) for one in records]
    said = {"node": node, "session": 3, "sample": None, "series": series, "clock_s": BEGAN_S}
    return {**said, "lines": lines, "instant": instant}


def collected(*answers, held=None):
    held = held or Collection()
    for one in answers:
        samples.merge(held.samples, samples.parse(one)[0])
        held.moves += samples.moves(one)
    dating.date(held.samples, held.moves, [found for one in answers if (found := dating.reading(one))])
    return held


def test_a_record_is_taken_once_whatever_is_like_it():
    """Beats of two nodes, sessions and series differ; the same beat read twice is one."""
    held = collected(answer(record(1), record(2), record(2, session=4), record(2, series=8)))
    held = collected(answer(record(2), record(3)), answer(record(2, node=2), node=2), held=held)
    assert [one.key for one in held.samples] == [
        (1, 3, 9, 1),
        (1, 3, 9, 2),
        (1, 4, 9, 2),
        (1, 3, 8, 2),
        (1, 3, 9, 3),
        (2, 3, 9, 2),
    ]
    assert samples.newest(held.samples) == {1: (3, 3), 2: (3, 2)}


def test_beats_are_dated_the_less_exactly_the_further_they_are_from_what_was_told():
    held = collected(answer(record(0), record(10), record(110)))
    assert [(one.utc, one.within_s) for one in held.samples] == [
        ("2027-01-15T08:00:00.000Z", 0.002),
        ("2027-01-15T08:00:10.000Z", 0.001),
        ("2027-01-15T08:01:50.000Z", 0.011),
    ]
    # A later reading is nearer to the last, and of the others what was known before stays.
    held = collected(answer(record(108), beat=111, instant=Bounds(1000, 5000)), held=held)
    assert [(one.utc[17:], one.within_s) for one in held.samples] == [
        ("00.000Z", 0.002),
        ("10.000Z", 0.001),
        ("50.003Z", 0.0021),
        ("48.003Z", 0.0023),
    ]
    # The same in the next program, by the rows alone: nobody has to remember readings.
    again = [Sample(**vars(one)) for one in held.samples]
    dating.date(again, [], [Reading(9, 1.0, 500, BEGAN_S, 0.5)])
    assert again == held.samples


def test_a_former_series_is_not_dated_by_this_one():
    held = collected(answer(record(1, series=8), record(2)))
    assert [bool(one.utc) for one in held.samples] == [False, True]


def of_the_next(*records):
    """What the board answers once all boards have restarted: they are in series 10, of the same period."""
    told = answer(*records)
    return {**told, "series": {"id": 10, "period_ms": 1000, "beat": 3}, "clock_s": BEGAN_S + 5000}


def test_a_series_that_has_ended_is_dated_by_what_the_file_has_of_it():
    held = collected(answer(record(8), record(10)))
    held = collected(of_the_next(record(8), record(10), record(110), record(0)), held=held)
    assert {one.n: (one.utc, one.within_s) for one in held.samples} == {
        0: ("2027-01-15T08:00:00.000Z", 0.002),
        8: ("2027-01-15T08:00:08.000Z", 0.0012),
        10: ("2027-01-15T08:00:10.000Z", 0.001),
        110: ("2027-01-15T08:01:50.000Z", 0.011),
    }
    before = [Sample(**vars(one)) for one in held.samples]
    assert collected(of_the_next(), held=held).samples == before, "and no more with each look"


def test_one_beat_tells_no_period_of_a_series_that_has_ended():
    held = collected(answer(record(10)))
    held = collected(of_the_next(record(110), record(1, series=7), record(2, series=7)), held=held)
    assert [bool(one.utc) for one in held.samples] == [True, False, False, False]


def test_a_series_that_has_ended_may_have_had_another_period():
    """That is known by its own beats alone, then: to (1.2 + 1 + 1 ms) / 2, and the drift."""
    held = collected(answer(record(8), record(10)))
    slower = of_the_next(record(30))
    slower["series"]["period_ms"] = 1500
    (late,) = [one for one in collected(slower, held=held).samples if one.n == 30]
    assert (late.utc, late.within_s) == ("2027-01-15T08:00:30.000Z", 0.037)


def test_a_move_after_what_the_file_has_of_a_series_that_has_ended_makes_it_less_exact():
    moved = {"node": 2, "session": 3, "series": 9, "n": 12, "moved_us": 40_000}
    held = collected(answer(record(8), record(10)))
    held = collected(of_the_next(record(12), moved, record(13)), held=held)
    assert [one.within_s for one in held.samples] == [0.0012, 0.001, 0.0012, 0.0413]


def test_what_a_series_that_has_ended_is_dated_is_true(seed=SEED):
    """Readings that are off by what they say, and clocks by what they may be."""
    chance = random.Random(seed)
    for _ in range(200):
        period_s = chance.choice([0.1, 1.0, 60.0, 3600.0])
        real_s = period_s * (1 + chance.uniform(-1e-4, 1e-4))
        readings = []
        for n in sorted(chance.sample(range(1000), chance.randint(1, 4))):
            within_s = 10 ** chance.uniform(-4, -1)
            at_s = BEGAN_S + n * (real_s - period_s) + chance.uniform(-within_s, within_s)
            readings.append(Reading(9, period_s, n, at_s, within_s))
        table = []
        for told in readings:
            beats = [n for n in range(told.n - 20, told.n + 1) if n >= 0]
            table += [Sample(1, 3, 0, "1", False, series=9, n=n) for n in beats if n not in {one.n for one in table}]
            dating.date(table, [], [told])
        added = [Sample(1, 3, 0, "1", False, series=9, n=n) for n in chance.sample(range(1001, 2000), 5)]
        other_s = chance.choice([period_s, period_s * 1.01, period_s / 2])
        dating.date(table + added, [], [Reading(10, other_s, 5, BEGAN_S + 1e7, 0.001)])
        for one in added:
            off_s = abs(samples.seconds(one.utc) - (BEGAN_S + one.n * real_s))
            assert off_s <= one.within_s + 0.001, (seed, readings, other_s, one)


def test_what_was_sampled_before_a_move_was_off_by_that():
    moved = {"node": 1, "session": 3, "series": 9, "n": 4, "moved_us": -40_000}
    held = collected(answer(record(4), moved, record(5)))
    assert held.moves == [Move(1, 3, 9, 4, -40_000)] and samples.parse(answer(moved)) == ([], 0)
    assert [one.within_s for one in held.samples] == [0.0416, 0.0015]
    before = [one.within_s for one in held.samples]
    assert [one.within_s for one in collected(answer(), held=held).samples] == before, "and no more with each look"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.db"])
def test_a_file_of_each_kind_comes_back_as_it_was(name, tmp_path):
    held = collected(answer(record(0, value={"t": 20.5, "state": "ok"}), record(1, value="007"), record(2, value=None)))
    held.samples.append(Sample(2, None, -3, "[1, 2]", True))
    held.moves.append(Move(1, 3, 9, 4, -40_000))
    path = tmp_path / name
    collection.save(path, held)
    assert collection.load(path) == held
    collection.save(path, collection.load(path))
    assert collection.load(path) == held, "written again"
    for text in ("a,b\n1,2\n" * 200, "[1]\n" * 200):
        (tmp_path / f"other{path.suffix}").write_text(text)
        with pytest.raises(SamplesError, match="name another file with --out"):
            collection.load(tmp_path / f"other{path.suffix}")


def test_a_database_keeps_what_else_is_in_it(tmp_path):
    path = tmp_path / "a.db"
    collection.save(path, collected(answer(record(0), record(1, value="wet"))))
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
        database.execute("CREATE VIEW warm AS SELECT n FROM samples WHERE value > 20 AND typeof(value) = 'real'")
    database.close()
    collection.save(path, collected(answer(record(5))))
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT n FROM warm").fetchall() == [(5,)]
        assert database.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    database.close()


def test_a_row_a_beat(tmp_path):
    two = answer(record(1, node=2, value={"t": 1, "h": 40}), record(2, node=2, value={"t": 2}), node=2)
    late = record(1, session=4, value=99, late=True)
    collection.save_wide(tmp_path / "w.csv", collected(answer(record(0), record(1, value=21), late), two))
    assert (tmp_path / "w.csv").read_text().splitlines() == [
        "series,n,utc,within_s,node_1,node_2.t,node_2.h",
        "9,0,2027-01-15T08:00:00.000Z,0.002,20.5,,",
        "9,1,2027-01-15T08:00:01.000Z,0.0019,21,1,40",
        "9,2,2027-01-15T08:00:02.000Z,0.0018,,2,",
    ]


def test_a_picture_has_a_line_a_node_which_ends_where_samples_are_missing():
    one = answer(*(record(n, value=n, late_us=n) for n in (0, 1, 2, 5, 6)))
    two = answer(*(record(n, node=2, value=2 * n, late_us=0) for n in range(7)), node=2)
    picture = plot.picture(collected(one, two).samples, "a")
    root = ElementTree.fromstring(picture)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 + 1 + 2, "two pieces, a whole one, and the lateness within beats in two pieces"
    assert {"node 1", "node 2", "a: 12 samples of series 9"} <= {text.text for text in root.iter() if text.text}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two boards that sample five times a second."""
    require("unix")
    with Table(lay_boards(tmp_path_factory.mktemp("boards"), [1, 2], period_ms=200), SEED) as made:
        made.start(1, 2)
        made.wait(lambda: all(len(beats(made, node)) > 5 for node in (1, 2)), what="beats")
        yield made


def beats(table, node):
    """Numbers of the beats that a board has said; what it answers to `collect` may come in lines like those."""
    said = [json.loads(line) for line in table.run.nodes[node].output if line.startswith("{") and '"value"' in line]
    return [record["n"] for record in said if "n" in record]


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_from_boards_each_record_once_and_only_what_is_new_is_read(table, tmp_path, capsys):
    out = tmp_path / "a.csv"
    arguments = ["collect", "--port", table.ports[1], "--port", table.ports[2], "--out", str(out)]
    assert cli.main(arguments) == 0
    first = len(rows(out))
    table.wait(lambda: len(beats(table, 1)) > first, what="more beats")
    capsys.readouterr()
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out.splitlines()
    new = [int(line.split()[2]) for line in told[:2]]
    assert all(f"{count} new" in line for count, line in zip(new, told, strict=False)), "nothing is read twice"
    found = rows(out)
    assert len(found) == first + sum(new)
    lives = {(row["node"], row["session"]) for row in found}
    assert {node for node, _ in lives} == {"1", "2"}
    for node, session in lives:  # between two of them other tests have taken its power away
        taken = [int(row["n"]) for row in found if (row["node"], row["session"]) == (node, session)]
        assert taken == sorted(set(taken)), "each beat once"
        status = targets.ask(Target(node, table.ports[int(node)]))
        if status["session"] == int(session):
            gaps = taken[-1] - taken[0] + 1 - len(taken)
            assert gaps <= status["series"]["missed"], "each from that on at which it came, but what it has missed"
    assert all(row["utc"] and float(row["within_s"]) < 1 for row in found)
    assert len({row["series"] for row in found}) == 1
    by_beat = {}
    for row in found:
        by_beat.setdefault(row["n"], set()).add(row["utc"])
    assert all(len(utc) == 1 for utc in by_beat.values()), "one time for a beat"


def test_a_sample_that_is_known_no_more_on_the_board_has_all_read(table):
    port = table.ports[1]
    with open_port(port) as transport, prompt(transport, port):
        status = read_status(transport, port)
        whole = Fetch().prompt(transport, port, status)["lines"]
        assert len(Fetch({1: (1, 10**6)}).prompt(transport, port, status)["lines"]) >= len(whole)
        known = json.loads(whole[2])
        seen = []
        later = Fetch({1: (known["session"], known["n"])}, lambda *told: seen.append(told)).prompt(
            transport, port, status
        )["lines"]
        assert later[: len(whole) - 3] == whole[3:]
        assert seen[-1][0] == 1 and seen[-1][1] >= seen[-1][2] > 0, "how far it was"
    with raw_repl(port) as transport:
        assert transport.eval("'_swarm_samples' in globals()") is False


@pytest.mark.parametrize("before", (b"", b'{"node": 1, "n": 5, "value": 20.5}\r\n'))
def test_how_far_it_is_is_told_whatever_line_of_the_nodes_own_comes_first(before):
    seen = []
    take = Fetch(told=lambda *told: seen.append(told))._meter(1)
    said = before + b'["bytes", 40]\r\n["sample", 0, "{}"]\r\n'
    for place in range(len(said)):
        take(said[place : place + 1])
    assert seen == [(1, len(said) - 21, 40), (1, len(said), 40)]


def test_it_follows_boards_that_go_away_and_come_back(table, tmp_path):
    out = tmp_path / "a.csv"
    ports = ["--port", table.ports[1], "--port", table.ports[2]]
    with Following(*ports, "--out", out) as following:
        said = following.said

        def come(text):
            table.wait(lambda: any(text in line for line in said), what=f"{text!r} in {said}")

        come("node 2, beat ")
        table.power(2, False)
        come(f"swarm collect: {table.ports[2]}: no MicroPython prompt answers")
        table.power(2, True)
        come(f"{table.ports[2]}: answers again")
        said.clear()
        come("node 2, beat ")
        following.interrupt()
        assert following.status() == 0, said
    found = rows(out)
    keys = [(row["node"], row["session"], row["series"], row["n"]) for row in found]
    assert len(set(keys)) == len(keys) and {row["session"] for row in found if row["node"] == "2"} == {"1", "2"}


def test_an_application_is_asked_by_lines(tmp_path):
    require("unix")
    boards = lay_boards(tmp_path, [1], required=1, period_ms=200)
    (boards[1] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as made:
        made.start(1)
        made.wait(lambda: len(beats(made, 1)) > 3, what="beats")
        fetch = Fetch()
        asked = targets.ask(Target("1", made.ports[1]), fetch.prompt, fetch.by_line)
        at_prompt = instant_at_prompt(made)
    held = collected(asked)
    assert len(held.samples) > 3 and all(one.utc for one in held.samples), asked
    apart_us = asked["instant"].low_us - at_prompt.high_us, at_prompt.low_us - asked["instant"].high_us
    assert max(apart_us) < 1000, "beat 0 is where the prompt has it too"


def instant_at_prompt(made):
    """When beat 0 of a board's series was, once its application has gone."""
    port = made.ports[1]
    with open_port(port) as transport:
        application.stop(transport, port)
        with prompt(transport, port):
            return instants.read(transport, port, read_status(transport, port))["instant"]

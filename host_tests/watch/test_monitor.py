"""`swarm monitor`: what it makes of nodes' answers, and the live view driven in a real terminal."""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from requirements import require
from rig_fixture import Table, lay_boards
from swarm import cli
from swarm.serial.targets import Target
from swarm.watch import node_table
from swarm.watch.changes import Watch
from swarm.watch.instants import Bounds
from swarm.watch.live import Monitor
from swarm.watch.turns import Turns
from terminal import Terminal

SEED = 21
SWARM = str(Path(sys.executable).with_name("swarm"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """No board that runs in the background belongs to these tests."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def status(node=1, **changes):
    """A node's answer, of a swarm of four of which three are required."""
    said = {
        "swarm": "test",
        "node": node,
        "session": 1,
        "state": "Pinging",
        "heard": [node],
        "ready": [],
        "missing": [1, 2, 3, 4],
        "required": 3,
        "generation": 0,
        "restarts": 0,
        "timeouts": 0,
        "conflict": False,
        "instant_in_us": None,
        "sample": None,
        "counters": {"foreign": 0},
        "errors": [],
    }
    return {**said, **changes}


def record(node, late_us, late=False):
    return {"node": node, "late_us": late_us, "value": 20.5, "late": late}


def watch_of(*nodes):
    return Watch([Target(f"/dev/p{node}", f"/dev/p{node}") for node in nodes])


def told(watch):
    """The events since this was last asked."""
    texts = [event.text for event in watch.events]
    watch.events.clear()
    return texts


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, "itself, 2 of 2-4"),
        ({"ready": [1], "missing": [2, 3, 4], "state": "Collecting"}, "2 of 2-4"),
        ({"ready": [1, 2], "missing": [3, 4], "required": 4, "state": "Collecting"}, "3 4"),
        ({"ready": [2, 3, 4], "missing": [1]}, "itself"),
        ({"ready": [1, 2, 3], "missing": [4], "state": "Bootstrapped"}, ""),
    ],
)
def test_who_waits_for_whom(changes, waits):
    assert node_table.waits_for(status(**changes)) == waits


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("one_line", [False, True])
def test_a_row_keeps_its_id_on_any_terminal(columns, one_line):
    told = status(12, state="Bootstrapped", sample=record(12, 421))
    out = io.StringIO()
    Console(file=out, width=columns).print(node_table.table([(Target("12", "x"), told)], True, one_line))
    assert out.getvalue().splitlines()[1].startswith("12 ")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_what_is_wrong_is_told_whole_however_narrow_the_terminal(columns):
    """Beside the rest where there is room, else below it."""
    port = Target("/dev/p1", "/dev/p1")
    asked = [
        (Target("7", "/dev/p7", 7), {"error": "/dev/p7: no such port; plug the board in, or see the ports"}),
        (port, {"error": "/dev/p1: busy; close the other program that has it open (a terminal, mpremote, an editor)"}),
        (Target("2", "/dev/p2", 2), status(2, errors=["sample(): OSError: no answer of the sensor on the bus"])),
    ]
    out = io.StringIO()
    Console(file=out, width=columns).print(node_table.Nodes(asked))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= columns for line in lines) and ("errors" in lines[0]) == (columns == 200)
    assert lines[1].startswith("7 ") and lines[3].startswith("2 ")
    shown = " ".join(" ".join(lines).split())
    for _, answer in asked:
        for text in [answer["error"].removeprefix("/dev/p1: ")] if "error" in answer else answer["errors"]:
            assert text in shown
    if columns < 200:
        assert "node 7: /dev/p7: no such port" in shown and "/dev/p1: busy" in shown and "node 2: sample()" in shown


def test_words_for_ids_times_and_samples():
    assert node_table.ids([1, 2, 4, 5, 6, 9]) == "1 2 4-6 9" and node_table.ids([]) == ""
    assert [node_table.duration(us) for us in (999, 12_340, -2_500_000)] == ["999 us", "12.3 ms", "-2.5 s"]
    assert node_table.sample(status(sample=record(1, 1500, True))) == "20.5, +1.5 ms late"
    nested = {"value": {"t_C": 20.5, "air": {"hPa": 1013}}, "late_us": 5, "late": False}
    assert node_table.sample(status(sample=nested)) == "t_C 20.5 air hPa 1013, +5 us"
    assert node_table.sample(status(state="Bootstrapped", instant_in_us=300_000)) == "due in 300.0 ms"
    assert node_table.sample(status(state="Bootstrapped", instant_in_us=-5)) == ""


def test_events_of_a_nodes_life():
    watch = watch_of(1)
    (target,) = watch.targets
    watch.take(target, {"error": "/dev/p1: busy"}, 1)
    watch.take(target, {"error": "/dev/p1: busy"}, 2)
    assert told(watch) == ["/dev/p1 does not answer: busy"], "once"
    watch.take(target, status(), 3)
    assert told(watch) == ["node 1 is Pinging, session 1"]
    watch.take(target, status(heard=[1, 2, 3]), 4)
    assert told(watch) == ["node 1 hears 2 3"]
    ready = status(heard=[1, 2, 3], ready=[1], missing=[2, 3, 4], state="Collecting")
    watch.take(target, ready, 5)
    assert told(watch) == ["node 1 is Collecting, was Pinging", "node 1 is ready"]
    ready = {**ready, "timeouts": 1, "generation": 1, "errors": ["espnow: OSError: full"]}
    watch.take(target, ready, 6)
    assert told(watch) == [
        "node 1 begins again, generation 1: a member that was ready has rebooted",
        "node 1 timed out (1), missing 2-4",
        "node 1 error: espnow: OSError: full",
    ]
    watch.take(target, {"error": "gone"}, 7)
    watch.take(target, ready, 8)
    assert told(watch) == ["node 1 does not answer: gone", "node 1 answers again"]
    watch.take(target, status(session=2, conflict=True), 9)
    assert told(watch) == [
        "node 1 has rebooted: session 1, now 2",
        "node 1 error: a second board has this id: give it another, then restart both",
    ]


def test_first_samples_and_their_skew():
    """What nodes say of their lateness is not the skew: that comes of bounds by this computer's clock."""
    watch = watch_of(1, 2, 3)
    one, two, three = watch.targets
    done = {"ready": [1, 2, 3], "missing": [4], "state": "Bootstrapped"}
    watch.take(one, status(1, sample=record(1, -20), **done), 1)
    assert told(watch)[-1] == "node 1 samples 20.5, -20 us" and watch.first_samples() == "first samples: 1"
    watch.take(two, status(2, sample=record(2, 1200), **done), 1)
    assert told(watch)[-1] == "node 2 samples 20.5, +1.2 ms"
    assert watch.first_samples() == "first samples: 2, skew not known: it was too long ago, or not watched"
    watch.take(three, status(3, sample=record(3, 5_000_000, True), instant=Bounds(4e6, 4e6), **done), 1)
    assert told(watch)[-1] == "node 3 samples 20.5, +5.0 s late" and watch.skew() == "", "it was late"
    watch.take(one, status(1, sample=record(1, -20), instant=Bounds(1020, 3020), **done), 2)
    watch.take(two, status(2, sample=record(2, 1200), instant=Bounds(1300, 2800), **done), 2)
    assert watch.first_samples() == "first samples: 3, 1 late, skew at most 3.0 ms"
    watch.take(one, status(1, sample=record(1, -20), instant=Bounds(520, 2020), **done), 3)
    assert watch.skew() == "skew 500 us to 3.0 ms", "each look may tell more, and takes nothing back"
    watch.take(one, status(1, sample=record(1, -20), instant=None, **done), 4)
    assert watch.skew() == "skew 500 us to 3.0 ms"
    watch.take(one, status(1, session=2, sample=record(1, 0), **done), 5)
    assert watch.skew() == "", "it has sampled anew"


def in_series(node, n, *, late_us=0, instant=None, moves=0, missed=0, series=9, period_ms=1000):
    told = {"id": series, "period_ms": period_ms, "beat": n + 1, "beat_in_us": 500_000, "sampled": n, "missed": missed}
    return status(
        node,
        ready=[1, 2, 3],
        missing=[4],
        state="Bootstrapped",
        sample={**record(node, late_us), "series": series, "n": n},
        series={**told, "moves": moves, "moved_us": 7_000 * moves},
        instant_in_us=500_000,
        instant=instant,
    )


def test_a_series_has_its_beats_and_their_spread():
    """By the clock that boards have now: of two looks the later, wider by what clocks drift apart until the last."""
    watch = watch_of(1, 2)
    one, two = watch.targets
    watch.take(one, in_series(1, 4, instant=Bounds(1000, 2000)), 1)
    assert watch.first_samples() == "series: beat 5 next, 0 missed"
    watch.take(two, in_series(2, 4, late_us=300, instant=Bounds(4000, 5000)), 1)
    assert watch.first_samples() == "series: beat 5 next, 0 missed, skew 2.3 ms to 4.3 ms"
    watch.take(one, in_series(1, 6, instant=Bounds(3000, 4000), missed=1), 3)
    assert watch.first_samples() == "series: beat 7 next, 1 missed, skew 100 us to 2.5 ms"
    told(watch)
    watch.take(two, in_series(2, 6, series=8, moves=1), 3)
    assert told(watch) == ["node 2 has moved its clock by 7.0 ms"]
    assert "2 series apart" in watch.first_samples()
    assert not watch.quiet(3.4), "boards that sample each second would never be asked"
    watch.take(one, in_series(1, 6, period_ms=60_000), 3)
    assert watch.quiet(3.4)


def test_a_row_has_the_last_beat_and_the_next():
    answer = in_series(1, 4, late_us=55, moves=2, missed=3)
    assert node_table.sample(answer) == "20.5, +55 us, beat 4, next in 500.0 ms, 3 missed, moved 2 times"


def test_who_is_awaited_and_why():
    watch = watch_of(1, 2, 3)
    one, two, three = watch.targets
    watch.take(one, status(1, ready=[1], missing=[2, 3, 4], state="Collecting"), 1)
    watch.take(two, status(2), 1)
    watch.take(three, {"error": "no power"}, 1)
    assert watch.waits() == (
        "1 node waits for node 1 (ready, not yet heard), 2 for node 2 (warming up), 2 for node 3 (not watched), "
        "2 for node 4 (not watched)"
    )
    watch.take(three, status(3), 1)
    for kind, word in (("silent", "no answer"), ("no node", "no node"), ("busy", "port busy"), ("absent", "no board")):
        watch.take(three, {"error": "why", "kind": kind}, 2)
        assert f"2 for node 3 ({word})" in watch.waits(), "whose board it was is remembered"
    assert watch.states() == [("Collecting", 1), ("Pinging", 1), ("no board", 1)]
    watch.take(three, {"error": "no faction", "kind": "no node"}, 3)
    assert told(watch)[-1] == "node 3 shows no node: no faction"


def test_boards_are_left_in_peace_while_a_first_sample_is_due():
    watch = watch_of(1)
    assert not watch.quiet(9)
    watch.take(watch.targets[0], status(instant_in_us=5_000_000), 10)
    assert [watch.quiet(now_s) for now_s in (10.1, 14.4, 14.6, 15.1, 15.3)] == [False, False, True, True, False]
    watch.take(watch.targets[0], status(instant_in_us=-300_000), 15.3)
    assert not watch.quiet(15.4)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_what_there_is_to_do_is_seen_first_where_not_all_rows_are(columns):
    """20 nodes in 24 lines: no line is wider than the terminal, no title is cut, and a title counts the states."""
    watch = watch_of(*range(1, 21))
    for target in watch.targets[:17]:
        watch.take(target, status(int(target.label[6:]), state="Bootstrapped", ready=[1, 2, 3], missing=[4]), 1)
    watch.take(watch.targets[17], status(18, errors=["sample(): OSError: 5"]), 1)
    watch.take(watch.targets[18], {"error": "/dev/p19: no such port", "kind": "absent"}, 1)
    watch.take(watch.targets[19], status(20), 1)
    out = io.StringIO()
    Console(file=out, width=columns).print(Monitor(watch, Turns(watch.targets, 1))._frame(columns, 24))
    lines = out.getvalue().splitlines()
    assert len(lines) == 24 and max(map(len, lines)) <= columns
    assert lines[0].startswith("swarm test: 19 of 20 nodes answer: 17 Bootstrapped")
    titles = ["node", "state", "heard", "ready", "waits for", "sample", "reboots seen", "errors"]
    left_out = {60: ("heard", "reboots seen", "errors"), 80: ("reboots seen", "errors")}.get(columns, ())
    assert re.split("  +", lines[1].strip()) == [title for title in titles if title not in left_out]
    assert [line.split()[0] for line in lines[2:6]] == ["/dev/p19", "18", "20", "1"]
    assert "rows 1 to 13 of 20, trouble first" in lines[15]


def monitor(*ports, options=()):
    return [SWARM, "monitor", *(word for port in ports for word in ("--port", port)), *options]


@pytest.fixture
def table(tmp_path):
    """Three boards, of which two are required, without power yet."""
    require("unix")
    with Table(lay_boards(tmp_path, [1, 2, 3], required=2), SEED) as made:
        yield made


def test_a_swarm_starts_before_ones_eyes(table):
    """Driven in a terminal: rows, colours, log, skew, a node that dies, every key, and the terminal afterwards."""
    ports = [table.ports[node] for node in (1, 2, 3)]
    with Terminal(monitor(*ports, options=["--every", "0.3"])) as seen:
        seen.wait(lambda text: "0 of 3 nodes answer" in text and "q quit" in text)
        quiet = seen.settings()
        assert quiet != seen.before
        table.start(1)
        seen.wait(lambda text: "1 of 3 nodes answer" in text and "for node 2 (not watched)" in text, 20)
        text = seen.text()
        assert "node 1 is " in text and ("1 of 2 3" in text)
        table.start(2)
        seen.wait(lambda text: "first samples: 2, skew " in text and "not known" not in text, 60)
        text = seen.text()
        assert "node 2 samples " in text and "nobody waits" in text
        assert seen.colour("Bootstrapped") == "green" and seen.colour("no answer") == "red"
        seen.press("l")
        seen.wait(lambda text: "waits for" not in text and "node 1 samples" in text)
        seen.press("l?")
        seen.wait(lambda text: "pause: ask no board" in text)
        seen.press("xp")
        seen.wait(lambda text: "paused" in text and "waits for" in text)
        table.power(2, False)
        seen.show(1.0)
        assert "2 of 3 nodes answer" in seen.text(), "nobody was asked"
        seen.press("p")
        seen.wait(lambda text: "node 2 does not answer" in text and "1 of 3 nodes answer" in text)
        seen.press("\x1a")  # Ctrl-Z would leave the terminal as it is now
        seen.show(0.3)
        seen.press("q")
        assert seen.end() == 0
        assert seen.settings() == seen.before
    assert (
        '"node": 1'
        in subprocess.run([SWARM, "status", "--json", "--port", ports[0]], capture_output=True, text=True).stdout
    ), "its prompt is free"


@pytest.mark.parametrize(("how", "code"), [("\x03", 0), ("terminate", 143)])
def test_the_terminal_is_put_right_at_every_end(how, code, tmp_path):
    with Terminal(monitor(str(tmp_path / "none"))) as seen:
        seen.wait(lambda text: "does not answer" in text and "no such port" in text)
        if how == "terminate":
            seen.process.terminate()
        else:
            seen.press(how)
        assert seen.end() == code
        assert seen.settings() == seen.before


def test_more_nodes_than_lines_scroll(tmp_path):
    ports = [str(tmp_path / f"none-{number}") for number in range(12)]
    with Terminal(monitor(*ports), lines=16) as seen:
        seen.wait(
            lambda text: "rows 1 to 5 of 12" in text and "none-4  no board" in text and "none-5  no board" not in text
        )
        assert "no such port" in seen.text()
        for keys in ("j", "\x1b[B"):
            seen.press(keys)
            seen.show(0.1)
        seen.wait(lambda text: "rows 3 to 7" in text and "none-6  no board" in text)
        seen.press("j" * 20)
        seen.wait(lambda text: "rows 8 to 12" in text)
        seen.press("q")
        assert seen.end() == 0


def test_one_look_for_scripts(table, capsys):
    table.start(1)
    table.wait_line(1, "started")
    ports = ["--port", table.ports[1]]
    assert cli.main(["monitor", "--once", *ports]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("swarm test: 1 of 1 nodes answer: 1 ") and shown[1].split()[:4] == [
        "node",
        "state",
        "heard",
        "ready",
    ]
    assert (
        shown[2].split()[0] == "1"
        and shown[3].startswith("1 node waits for node 1 (")
        and shown[4] == "first samples: 0"
    )
    assert cli.main(["monitor", "--once", *ports, "--port", "/dev/no-such-port"]) == 1
    assert "/dev/no-such-port  no board " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "x"], "the live view needs a terminal; --once prints one look"),
        (["--every", "0.01", "--port", "x"], "--every 0.01 is below 0.2 s"),
        (["--once", "--all", "--port", "x"], "give one of NODE, --all and --port"),
        (["--once", "--swarm", "/nowhere.toml"], "no demo is running"),
        (["--once", "--all", "--swarm", "/nowhere.toml"], "/nowhere.toml: no such file"),
    ],
)
def test_wrong_use(arguments, says, capsys):
    assert cli.main(["monitor", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_help_has_examples_keys_and_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        cli.main(["monitor", "--help"])
    text = capsys.readouterr().out
    assert "swarm monitor --all --once" in text and "q quit" in text and "exit status: 0 " in text


def presence(*lost):
    return {"number": 5, "length_ms": 30_000, "present": [1], "lost": [list(one) for one in lost]}


def test_who_is_lost_is_in_the_row_and_puts_it_before_those_that_miss_nobody():
    told = status(state="Bootstrapped", presence=presence((7, 65), (9, None)), errors=["sample(): OSError"])
    assert node_table.cells(Target("1", "x"), told)[-1] == "lost 7 (65 s), 9 (never heard); sample(): OSError"
    whole = status(state="Bootstrapped", presence=presence())
    assert node_table.cells(Target("1", "x"), whole)[-1] == ""
    assert node_table.trouble(status(state="Bootstrapped", presence=presence((7, 65)))) < node_table.trouble(whole)
    assert node_table.trouble(status(state="Bootstrapped", presence=None)) == node_table.trouble(whole)


def test_that_a_member_is_lost_and_back_is_told_once_for_all_boards():
    boards = [Target(str(node), str(node)) for node in (1, 2)]
    watch = Watch(boards)
    for at_s, lost in enumerate(((), ((7, 65),), ((7, 70),), ((9, None),), ())):
        for node, board in zip((1, 2), boards, strict=True):
            watch.take(board, status(node, presence=presence(*lost)), float(at_s))
    told = [event.text for event in watch.events if "lost" in event.text or "back" in event.text]
    assert told == ["node 1 has lost 7", "node 1 has lost 9", "node 2 has 7 back", "node 2 has 9 back"]

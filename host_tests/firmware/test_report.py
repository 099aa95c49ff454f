"""The status: one screen whatever the swarm's size, one line, and a dict; it costs nothing until it is asked for."""

import contextlib
import io
import json
import random
import sys
from types import SimpleNamespace

import pytest
import report

import faction
from faction import names
from faction.node import Node
from requirements import require
from rig_fixture import Table, lay_boards
from swarm import paths, runtimes
from swarm.serial.prompt import raw_repl

SEED = 37
FIRMWARE = paths.FIRMWARE
ROWS, COLUMNS = 24, 80
KEYS = {
    *("swarm", "node", "open", "session", "state", "heard", "ready", "missing", "required", "generation", "restarts"),
    *("timeouts", "conflict", "deadline_in_ms", "sample", "instant_in_us", "counters", "links", "errors"),
    *("digest", "application", "version", "runs_from", "series", "presence", "gathers", "unsaid"),
}
SCATTERED = [101 + 3221 * i for i in range(20)]


# As an ESP32 with external memory tells it: bytes in all, free, in the largest free piece, free at least.
IDF_HEAPS = [(7288, 1200, 1152, 1060), (168184, 41000, 31744, 38244), (4194304, 4100000, 4063232, 4000000)]


@pytest.fixture(autouse=True)
def chip(monkeypatch):
    """The chip's own module, without which there is no radio, and its watchdog."""
    told = SimpleNamespace(HEAP_DATA=4, idf_heap_info=lambda capability: IDF_HEAPS if capability == 4 else [])
    monkeypatch.setitem(sys.modules, "esp32", told)
    monkeypatch.setitem(sys.modules, "signs", SimpleNamespace(watch=lambda ms: None))
    monkeypatch.setitem(sys.modules, "samples", None)  # after which none stays that knows these signs
    monkeypatch.delitem(sys.modules, "samples")


class Series:
    """A series that has much to tell."""

    def facts(self):
        return {"beat": 7}

    def status(self):
        return "1234567 sampled, 123456 missed, beat 1234567 in 500000 ms, 12345 moves, last -499999999 us"


class Link:
    """A link that only counts."""

    def __init__(self, **counters):
        self._counters = counters

    def counters(self):
        return self._counters


def application(members=(1, 2, 3, 4, 5), heard=(), ready=(), **attributes):
    node = Node("demo", members, members[0], len(members), bytes(16), 7)
    node.start(0, 0)
    for start, ids in ((0, heard), (8 * node.frame.width, ready)):
        for peer in ids:
            at = start + node.machine.index(peer)
            node.knowledge.bitmaps[at >> 3] |= 1 << (at & 7)
    facts = {
        "open": True,
        "sample": None,
        "series": None,
        "presence": None,
        "gateway": None,
        "sensor": None,
        "errors": [],
        "unsaid": 0,
        "look": lambda ms: None,
    }
    facts["links"] = {"espnow": Link(sent=5, received=0)}
    return SimpleNamespace(config={"swarm": "demo"}, node=node, **{**facts, **attributes})


def worst(members):
    """An application with something to say in every row but that of a series, which ends where a node is stopped."""
    chance = random.Random(5)
    half = chance.sample(members, len(members) // 2)
    app = application(
        members,
        heard=half,
        ready=half[: len(half) // 2],
        links={
            "espnow": Link(sent=1_000_000, received=1_000_000, dropped=1),
            "uart": Link(sent=123456, received=123456, noise=4567, yielded=890, send_errors=12),
        },
        errors=[
            "sample(): OSError: [Errno 5] EIO",
            "warm_up(): ValueError: " + "the wire is off " * 3,
            "espnow: OSError: (-12391, 'ESP_ERR_ESPNOW_NO_MEM')",
        ],
        sensor=SimpleNamespace(health=lambda: {"battery_V": 3.71, "panel_V": 5.12, "cells_V": [3.7] * 12}),
    )
    for i in range(len(names.COUNTERS)):
        app.node.counters[i] = 123456
    app.node.conflict = True
    return app


def screen(app):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        report.screen(app, "why not")
    return output.getvalue().rstrip("\n").split("\n")


def health(function, monkeypatch):
    """What the status has of a sensor's health, and how often the watchdog was told that its code runs."""
    watched = []
    monkeypatch.setattr(sys.modules["signs"], "watch", watched.append)
    try:
        return report.facts(application(sensor=SimpleNamespace(health=function)), "why not")["health"]
    finally:
        assert watched == [1, 0]


def test_a_sensor_tells_of_its_board(monkeypatch):
    assert "health" not in report.facts(application(sensor=SimpleNamespace()), "why not")
    assert "health" not in report.facts(application(), "it gave its sensor up")
    for value in ({"battery_V": 3.71}, None, "good", [1, 2.5, True], "x" * 198):
        assert health(lambda value=value: value, monkeypatch) == value


async def awaited():
    return 1


def exits():
    raise SystemExit("at once")


class Mute(Exception):
    def __str__(self):
        raise ValueError


def mute():
    raise Mute


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda: 1 // 0, "ZeroDivisionError: "),
        (lambda: {"battery": float("nan")}, "TypeError: nan: JSON cannot hold it: return a finite number"),
        (lambda: object(), "TypeError: object: JSON cannot hold it"),
        (lambda: "x" * 199, "ValueError: 201 bytes of JSON, more than 200: return less"),
        (awaited, "TypeError: it is async: make it plain"),
        (exits, "SystemExit: at once"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_health_that_fails_is_told_in_words_in_its_place(function, why, monkeypatch):
    monkeypatch.setattr(sys, "print_exception", lambda error, file: None, raising=False)
    assert health(function, monkeypatch).startswith("health() fails: " + why)


def test_an_error_without_words_is_one_too_and_an_interrupt_goes_through(monkeypatch):
    monkeypatch.setattr(sys, "print_exception", lambda error, file: None, raising=False)
    assert health(mute, monkeypatch) == "health() fails"
    with pytest.raises(KeyboardInterrupt):
        health(lambda: (_ for _ in ()).throw(KeyboardInterrupt), monkeypatch)


def line(app):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        report.line(app, "why not")
    return output.getvalue()


@pytest.mark.parametrize("members", (SCATTERED, list(range(1, 21)), list(range(0, 680 * 96, 96)), list(range(680))))
def test_everything_at_once_is_one_screen(members, monkeypatch):
    monkeypatch.setattr(faction, "application", "was not started")
    stopped = worst(members)
    app = worst(members)
    app.series = Series()
    app.node.conflict = False
    both = screen(stopped), screen(app)
    for rows in both:
        assert len(rows) <= ROWS and max(map(len, rows)) <= COLUMNS, "\n".join(rows)
    assert sum(row.startswith("series") for row in both[1]) == 1
    rows = both[0]
    text = "\n".join(rows)
    for word in (
        "swarm demo (open)",
        "Pinging",
        "stopped",
        "foreign",
        "EIO",
        "ESP_ERR_ESPNOW_NO_MEM",
        "yielded 890",
        "application was",
    ):
        assert word in text
    assert len(line(worst(members))) <= COLUMNS + 1


def test_a_node_that_hears_nobody_over_wifi_says_what_may_be_the_reason():
    counters = {"sent": 123456, "received": 123456, "send_errors": 123456, "noise": 123456, "receive_errors": 123456}
    for unheard, told in ((7, False), (8, True)):
        app = worst(list(range(680)))
        app.links["udp"] = Link(WiFi="joined", joined=123456, unheard=unheard, **counters)
        del app.links["espnow"]
        rows = screen(app)
        assert len(rows) <= ROWS and max(map(len, rows)) <= COLUMNS, "\n".join(rows)
        says = ", nobody is heard: others off, or clients kept apart?" if told else " joined 123456"
        assert any(row.startswith("udp        WiFi joined" + says) for row in rows), "first, whatever has no room"


def test_twenty_scattered_members_are_all_named():
    app = application(SCATTERED, heard=SCATTERED, ready=SCATTERED[1::2])
    text = " ".join("\n".join(screen(app)).split())
    assert "heard 20 of 20: " + " ".join(map(str, SCATTERED)) in text
    assert "ready 10 of 20: " + " ".join(map(str, SCATTERED[1::2])) in text
    assert "missing " + " ".join(map(str, SCATTERED[::2])) in text


def test_runs_of_ids_are_short():
    app = application(list(range(1, 11)), heard=(1, 2, 3, 5, 7, 8, 10), ready=())
    text = "\n".join(screen(app))
    assert "heard      7 of 10: 1-3 5 7-8 10\n" in text and "ready      0 of 10:\n" in text
    assert "missing    1-10\n" in text


def test_dots_stand_for_what_has_no_room():
    members = list(range(0, 680 * 96, 96))
    rows = screen(application(members, heard=members))
    start = next(i for i, row in enumerate(rows) if row.startswith("heard"))
    words = " ".join(rows[start : start + 2]).split()
    assert words[:5] == ["heard", "680", "of", "680:", "0"] and words[-1] == "..." and len(words) > 20


@pytest.mark.parametrize(
    ("library", "place"),
    [("faction.b/faction/__init__.mpy", "faction.b"), ("/lib/faction/__init__.py", "lib")]
    + [("faction/__init__.py", "the firmware")],  # as a frozen module is called
)
def test_the_screen_says_where_it_runs_from(monkeypatch, library, place):
    monkeypatch.setattr(faction, "__file__", library)
    assert screen(application())[0].endswith(f", version 1.0.0 runs from {place}")


def test_the_screen_of_a_node_that_has_sampled(monkeypatch):
    monkeypatch.setattr(faction, "__file__", "faction.a/faction/__init__.mpy")
    app = application(heard=(1, 2, 3, 4, 5), ready=(1, 2, 3, 4, 5), open=False)
    app.sample = {"node": 1, "late_us": 12, "value": 24.5, "late": True}
    app.node.complete_local(5, 5000)
    app.node.machine.state = 3
    rows = screen(app)
    assert rows[0] == "swarm demo (locked), node 1, session 7, version 1.0.0 runs from faction.a"
    assert rows[1] == "state      Bootstrapped, 5 of 5 required"
    assert "missing    none" in rows
    assert "sample     24.5, 12 us after the agreed instant (late)" in rows
    assert not any(row.startswith(("open", "stopped", "foreign", "error")) for row in rows)
    assert line(app) == "demo node 1: Bootstrapped, heard 5, ready 5 of 5, missing none\n"


def test_the_screen_of_a_series():
    app = application(series=Series())
    app.sample = {"node": 1, "n": 6, "late_us": 12, "value": 24.5, "late": False}
    rows = screen(app)
    assert "sample     24.5, 12 us after beat 6" in rows
    (row,) = (row for row in rows if row.startswith("series"))
    assert row.startswith("series     1234567 sampled, 123456 missed, beat 1234567") and row.endswith(" ...")
    assert report.facts(app, "")["series"] == {"beat": 7}


def test_older_firmware_is_told():
    app = application()
    app.node.counters[names.COUNTERS.index("outdated")] = 1
    assert "outdated   frames of older firmware are heard: deploy all boards" in screen(app)


def test_a_sample_that_is_due():
    app = application()
    assert "sample     no instant agreed yet" in screen(app)
    app.node.first_sample.offer(500_000, report.ticks_us())
    row = next(row for row in screen(app) if row.startswith("sample"))
    assert row.startswith("sample     due in ") and 0 < int(row.split()[3]) <= 500


def test_the_dict_is_for_programs():
    app = worst(SCATTERED)
    facts = report.facts(app, "")
    assert set(facts) == {*KEYS, "health"}
    assert json.loads(json.dumps(facts)) == facts
    assert facts["counters"] == dict.fromkeys(names.COUNTERS, 123456)
    assert facts["links"]["uart"]["yielded"] == 890
    assert facts["errors"] == app.errors
    assert facts["deadline_in_ms"] is not None and facts["state"] == "Pinging"
    app.node.machine.state = 4
    assert report.facts(app, "")["deadline_in_ms"] is None


def test_a_radios_row_tells_what_the_chip_has_free_for_it():
    app = application(links={"espnow": Link(sent=5, deaf=2), "uart": Link(sent=5)})
    links = report.facts(app, "")["links"]
    assert links == {"espnow": {"sent": 5, "deaf": 2, "idf_least": 39304}, "uart": {"sent": 5}}
    (row,) = [row for row in screen(app) if row.startswith("espnow")]
    assert "deaf 2" in row and "idf_least 39304" in row


def test_without_a_node_everything_says_why(monkeypatch, capsys):
    monkeypatch.setattr(faction, "failure", "ValueError: faction.json: node: 9: not a member")
    for function in (faction.status, faction.status_line, faction.trace):
        function()
        assert capsys.readouterr().out == f"no node runs on this board: {faction.failure}\n"
    with pytest.raises(RuntimeError, match="no node runs on this board: ValueError: faction.json"):
        faction.status_dict()
    with pytest.raises(RuntimeError, match="main.py has not run: reset the board"):
        faction.restart()


LOADED = """
import sys
import faction
import faction.runner
lazy = ("report", "faction.names", "faction.aio", "faction.answers")
def loaded():
    return [name for name in lazy if name in sys.modules] + [name for name in ("names",) if hasattr(faction, name)]
assert not loaded(), "the status is loaded before anybody asks"
faction.status()
assert not loaded(), "nor does it stay"
try:
    faction.status_dict()
except RuntimeError as error:
    print(error)
assert not loaded(), "nor after an error"
"""


def test_the_status_is_loaded_only_while_it_is_asked_for(runtime, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(LOADED)
    folders = [FIRMWARE, paths.LIB] + [paths.SHIMS / "wasm"] * (runtime == "wasm")
    printed = runtimes.run(runtime, script, paths=folders)
    assert printed == "no node runs on this board: main.py has not started one\n" * 2


def test_a_node_that_times_out_while_its_status_is_read_says_so_without_an_error(tmp_path):
    """It asks for its own status then, in the middle of another that is only half loaded."""
    require("unix")
    with Table(lay_boards(tmp_path, [1, 2], deadline_ms=100, on_timeout="retry"), SEED) as table:
        table.start(1)
        table.wait_line(1, "started session")
        with raw_repl(table.ports[1]) as transport:
            for _ in range(100):
                transport.exec("import faction\nfaction.status_dict()")
            assert transport.eval("faction.app.errors") == []
        table.wait_line(1, "TimedOut, missing 2")

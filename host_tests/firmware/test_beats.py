"""How the samples of a series get to flash: in batches, at moments that harm nothing, oldest out first."""

import builtins
import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from requirements import require
from swarm import paths, runtimes
from swarm.paths import FIRMWARE
from swarm.rig.files import BOARD
from swarm.runtimes.measure import allocation

ENOSPC = 28
WRAP = 1 << 30


class Clock:
    """A swarm's clock, as far as samples ask it."""

    known, done, passed, mark, series, moves, moved_us, missed, sampled, beat = True, False, False, 1, 7, 0, 0, 0, 0, 0

    def __init__(self):
        self.n = 0
        self.left_us = 10_000_000

    def due(self):
        return self.n

    def remaining_us(self, now_us):
        return self.left_us


class Board:
    """Samples of a series and what is around them. now: milliseconds; opened: files that were opened for writing."""

    def __init__(self, monkeypatch, kb=8, period_ms=10_000):
        self.now = WRAP - 30_000
        self.calm = True
        self.opened = []
        self.signs = SimpleNamespace(calm=lambda: self.calm, slow=True)
        monkeypatch.setitem(sys.modules, "signs", self.signs)
        for name in ("samples", "beats"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        self.samples, beats = importlib.import_module("samples"), importlib.import_module("beats")
        for name in ("samples", "beats"):
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(self.samples, "ticks_ms", lambda: self.now % WRAP)
        real = builtins.open

        def opened(path, mode="r", *more, **named):
            if path == "samples.jsonl" and "a" in mode:
                self.opened.append(path)
            return real(path, mode, *more, **named)

        monkeypatch.setattr(builtins, "open", opened)
        self.clock = Clock()
        self.notes = []
        self.value = 1.5
        sensor = SimpleNamespace(sample=lambda: self.value)
        self.app = SimpleNamespace(
            config={"node": 3},
            node=SimpleNamespace(session=5, first_sample=self.clock, conflict=False),
            sensor=sensor,
            runner=SimpleNamespace(),
            links={"espnow": SimpleNamespace(believed_us=2000)},
            beside=None,
            gateway=None,
            call=self.call,
            put=print,
            note=lambda where, error: self.notes.append(f"{where}: {error}"),
        )
        self.kept = beats.Beats(self.app, kb, period_ms)

    def call(self, where, function, done):
        done(function())
        return False

    def beat(self, n=None, late=False):
        """Sample a beat."""
        self.clock.n = self.clock.n + 1 if n is None else n
        self.app.take_sample(12, late)

    def tick(self, ms=0):
        """Let time pass, then look."""
        self.now += ms
        return self.kept.tick(self.now % WRAP)

    def lines(self):
        """The lines on flash, oldest first."""
        return [
            json.loads(line)
            for name in ("samples.jsonl.old", "samples.jsonl")
            if os.path.exists(name)
            for line in Path(name).read_text().splitlines()
        ]


@pytest.fixture
def board(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda **options: Board(monkeypatch, **options)


def test_a_record_is_said_at_once_and_written_with_others_a_minute_after_the_first(board, capsys):
    board = board()
    board.beat(0)
    said = capsys.readouterr().out
    assert json.loads(said) == {
        "node": 3,
        "session": 5,
        "series": 7,
        "n": 0,
        "late_us": 12,
        "value": 1.5,
        "late": False,
    }
    for _ in range(5):
        board.tick(10_000)
        board.beat()
    board.tick(9_999)
    assert board.lines() == [] and [json.loads(line)["n"] for line in board.kept.unwritten()] == list(range(6))
    board.tick(1)
    assert [line["n"] for line in board.lines()] == list(range(6))
    assert len(board.opened) == 1 and not board.kept.unwritten()


def test_a_long_period_has_each_sample_written_at_once(board):
    board = board(period_ms=60_000)
    board.beat()
    board.tick()
    assert len(board.lines()) == 1


@pytest.mark.parametrize(
    "period_ms, left_us, written",
    ((60_000, 1_000_000, 0), (60_000, 1_000_001, 1), (400, 100_000, 0), (400, 100_001, 1), (400, -5, 0)),
)
def test_nothing_is_written_shortly_before_a_beat(board, period_ms, left_us, written):
    board = board(period_ms=period_ms)
    board.beat()
    board.clock.left_us = left_us
    board.tick(60_000)
    assert len(board.lines()) == written


def test_a_lead_counts_as_the_beat(board):
    board = board(period_ms=60_000)
    board.app.runner.lead_us = 3_000_000
    board.beat()
    board.clock.left_us = 4_000_000
    assert board.tick() == 1000 - 10, "then the sample begins"
    assert board.lines() == []
    board.clock.left_us = 4_000_001
    board.tick()
    assert len(board.lines()) == 1


def test_many_samples_are_written_before_a_minute_has_passed(board):
    board = board(period_ms=100, kb=256)
    while not board.lines():
        board.beat()
        board.tick(100)
    assert 4096 <= os.path.getsize("samples.jsonl") < 4096 + 200


def test_a_moment_that_is_not_calm_is_waited_for_but_not_for_ever(board):
    board = board(period_ms=60_000)
    board.calm = False
    board.beat()
    board.tick(59_999)
    assert board.lines() == []
    board.tick(1)
    assert len(board.lines()) == 1


def test_what_waits_is_bounded_even_when_there_is_no_good_moment(board):
    board = board(period_ms=100, kb=256)
    board.calm = False
    board.clock.left_us = -1
    for _ in range(200):
        board.beat()
        board.tick()
        assert sum(map(len, board.kept.unwritten())) < 2 * 4096 + 200
    assert board.lines()


@pytest.mark.parametrize("kb", (8, 16))
def test_samples_take_no_more_than_they_may_and_the_oldest_go_first(board, kb):
    board = board(period_ms=1000, kb=kb)
    for n in range(400):
        board.value = "x" * (n % 50)
        board.beat(n)
        board.tick(1000)
        for name in ("samples.jsonl", "samples.jsonl.old"):
            assert not os.path.exists(name) or os.path.getsize(name) <= kb * 512
    board.kept.write()
    numbers = [line["n"] for line in board.lines()]
    assert numbers == list(range(numbers[0], 400)) and numbers[0] > 0
    assert sum(os.path.getsize(name) for name in ("samples.jsonl", "samples.jsonl.old")) > kb * 512


def test_a_node_that_is_stopped_writes_what_it_has(board):
    board = board(period_ms=60_000)
    board.beat()
    board.clock.left_us = -1
    board.tick()
    assert board.lines() == []
    board.app.node.conflict = True
    board.tick()
    assert len(board.lines()) == 1


def test_a_torn_line_stays_by_itself(board):
    board = board(period_ms=60_000)
    with open("samples.jsonl", "w") as file:
        file.write('{"n": 0}\n{"n"')
    board.beat(1)
    board.tick()
    whole, torn, new = Path("samples.jsonl").read_text().splitlines()
    assert (whole, torn, json.loads(new)["n"]) == ('{"n": 0}', '{"n"', 1)


def test_on_a_full_flash_the_oldest_go_before_their_time(board, monkeypatch):
    board = board(period_ms=60_000, kb=256)
    for _ in range(3):
        board.beat()
        board.tick()
    real = builtins.open

    def full(path, mode="r", *more):
        if "a" in mode and os.path.exists(path):
            raise OSError(ENOSPC, "no space")
        return real(path, mode, *more)

    monkeypatch.setattr(builtins, "open", full)
    board.beat()
    board.tick()
    assert [line["n"] for line in board.lines()] == [1, 2, 3, 4] and board.notes == []
    board.beat()
    board.tick()
    assert [line["n"] for line in board.lines()] == [4, 5]


def test_a_flash_that_takes_nothing_is_told_and_takes_no_memory(board, monkeypatch):
    board = board(period_ms=60_000)

    def broken(*_):
        raise OSError(5, "EIO")

    monkeypatch.setattr(builtins, "open", broken)
    board.beat()
    board.tick()
    assert board.notes == ["samples.jsonl: [Errno 5] EIO"] and not board.kept.unwritten()


def test_a_record_that_is_longer_than_a_file_is_told(board):
    board = board(period_ms=60_000)
    board.value = "x" * 5000
    board.beat()
    board.value = 1
    board.beat()
    board.tick()
    assert [line["value"] for line in board.lines()] == [1]
    assert "more than the 4096 that this file holds" in board.notes[0]


def test_what_comes_in_a_callback_within_a_write_is_neither_lost_nor_written_twice(board, monkeypatch):
    board = board(period_ms=60_000)
    append = board.samples._append

    def interrupted(*arguments):
        append(*arguments)
        monkeypatch.setattr(board.samples, "_append", append)
        board.beat()
        board.tick()

    monkeypatch.setattr(board.samples, "_append", interrupted)
    board.beat(1)
    board.kept.write()
    board.tick()
    assert [line["n"] for line in board.lines()] == [1, 2]


def test_an_interrupt_before_the_node_knows_has_no_beat_sampled_twice(board):
    board = board()
    board.beat(4)
    board.beat(4)
    assert len(board.kept.unwritten()) == board.kept.count == 1
    board.clock.series = 8
    board.beat(4)
    assert board.kept.count == 2, "that is another series'"


def test_a_sample_that_is_interrupted_is_taken_again(board):
    board = board()
    done = []

    def call(where, function, finish):
        if not done:
            done.append(1)
            raise KeyboardInterrupt
        finish(function())
        return False

    board.app.call = call
    with pytest.raises(KeyboardInterrupt):
        board.beat(4)
    board.beat(4)
    assert board.kept.count == 1


def test_a_move_of_the_clock_is_kept_with_the_beat_before(board):
    board = board(period_ms=60_000)
    board.beat(6)
    board.clock.moves, board.clock.moved_us, board.clock.series, board.clock.n = 1, -12_345, 9, 40
    board.tick()
    board.tick()
    assert board.lines()[1:] == [{"node": 3, "session": 5, "series": 7, "n": 6, "moved_us": -12_345}]


def test_a_move_over_a_beat_is_kept_before_the_late_sample_of_that(board):
    """What was sampled before a move was off by that, and this sample was not."""
    board = board(period_ms=60_000)
    board.beat(6)
    board.clock.moves, board.clock.moved_us = 1, 800_000
    board.beat(7, late=True)
    board.tick()
    told = [(line["n"], line.get("moved_us"), line.get("late")) for line in board.lines()]
    assert told == [(6, None, False), (6, 800_000, None), (7, None, True)]


def test_a_sample_in_time_waits_for_no_word_of_a_move(board, capsys):
    board = board(period_ms=60_000)
    board.beat(6)
    board.clock.moves, board.clock.moved_us = 1, 8000
    capsys.readouterr()
    board.app.sensor.sample = lambda: print("sampled")
    board.beat(7)
    assert capsys.readouterr().out.startswith("sampled")


def test_the_status_in_words(board):
    board = board()
    board.clock.n, board.clock.sampled, board.clock.missed, board.clock.left_us = 7, 6, 1, 8_200_900
    assert board.kept.status() == "6 sampled, 1 missed, beat 7 in 8200 ms"
    board.clock.left_us, board.clock.moves, board.clock.moved_us = -3, 2, -12_345
    assert board.kept.status() == "6 sampled, 1 missed, beat 7 is due, 2 moves, last -12345 us"
    board.clock.known = False
    assert board.kept.status() == "not begun" and board.kept.facts()["beat_in_us"] is None


def test_the_radios_reports_are_believed_before_the_first_beat_only(board):
    board = board()
    board.clock.mark = 0
    board.tick()
    assert board.app.links["espnow"].believed_us == 2000
    board.clock.mark = 1
    board.tick()
    assert board.app.links["espnow"].believed_us == 0


def test_the_timer_is_quick_and_the_serial_line_quiet_shortly_before_a_beat(board):
    board = board()
    board.tick()
    assert board.signs.slow
    board.clock.left_us = 1_999_999
    board.tick()
    assert not board.signs.slow and not board.kept.near
    for left_us, near in ((30_000, False), (29_999, True), (0, False)):
        board.clock.left_us = left_us
        board.tick()
        assert board.kept.near == near


@pytest.mark.parametrize("lead_ms", (-1, 60_001, 7.5, "750"))
def test_a_lead_that_no_sensor_has_is_told(board, lead_ms):
    board = board()
    board.app.sensor.lead_ms = lead_ms
    with pytest.raises(ValueError, match=r"sensor.py: lead_ms: .*: write a whole number from 0 to 60000"):
        type(board.kept)(board.app, 8, 1000)


TICKS = """
import sys

class Signs:
    slow = True
    def calm(self):
        return False

sys.modules["signs"] = Signs()
from beats import Beats
from faction.node import Node

class App:
    sensor = series = beside = None
    config = {"node": 1}
    node = Node("alone", [1, 2], 1, 1, bytes(16), 1, period_ms=1000)
    def note(self, where, error):
        raise error

app = App()
app.runner = app.links = Signs()
app.links = {"espnow": Signs()}
kept = Beats(app, 8, 1000)
app.runner.lead_us = 5000
clock = app.node.first_sample
clock.offer(400_000, 0, True)
clock.mark = 5
kept._add("{}")
"""


def test_a_tick_between_beats_takes_no_memory():
    folders = [FIRMWARE, paths.LIB, paths.SHIMS / "wasm"]
    hot = "kept.tick(0)\nkept.near"
    assert allocation.per_call("wasm", TICKS, hot, calls=50, paths=folders) == 0


HELD_BACK = """
import sys

sys.modules["signs"] = None
from app import App

class Full:
    def ipoll(self, ms):
        return ()

app = object.__new__(App)
app.unsaid = 1
app._port = Full()
"""


def test_a_record_that_is_held_back_takes_no_memory():
    folders = [FIRMWARE, paths.LIB, paths.SHIMS / "wasm"]
    assert allocation.per_call("wasm", HELD_BACK, 'app.put("{}")', calls=50, paths=folders) == 0


def test_the_readme_tells_how_long_a_flash_lasts():
    """By blocks erased under a real LittleFS: 300 of a Pico's 352 take turns, at 100,000 erases each."""
    require("unix")
    script = paths.ROOT / "host_tests/fixtures/scripts/littlefs_wear.py"
    folders = [paths.SHIMS / "device", BOARD, FIRMWARE, paths.LIB]
    erases = json.loads(runtimes.run("unix", script, paths=folders))
    year_s = 365 * 86_400
    rows = [row for row in (FIRMWARE / "README.md").read_text().splitlines() if row.endswith(" years |")]
    assert len(rows) == 4
    for row in rows:
        period, every, batch, years = (cell.strip() for cell in row.strip("|").split("|"))
        each_s = float(every.split()[0])
        expected = 300 * 100_000 / (erases[batch] * year_s / each_s)
        assert abs(float(years.split()[0]) / expected - 1) < 0.15, (row, expected, erases)

"""`swarm collect --via PORT --follow`: records as they come over the air, and from flash what did not come so."""

import csv
import json
import random
from types import SimpleNamespace

import pytest

from asyncio_application import ON_ASYNCIO
from requirements import require
from rig_fixture import KEYS, Following, Table, execute, lay_boards, records
from swarm.following.air import Air
from swarm.following.gaps import Gaps
from swarm.serial.port import BoardError
from swarm.serial.tap import tapped
from swarm.watch import samples

SEED = 23
VALUES = (*KEYS, "late_us", "value", "late")
LINE = '{"node": %d, "session": 3, "series": 9, "n": %d, "late_us": 5, "value": %s, "late": false}'


class Follower(Following):
    """Into a file, beside boards that the table carries."""

    def __init__(self, table, out, *options):
        self.table, self.out = table, out
        super().__init__("--out", out, *options)

    def wait(self, text):
        """Until it has said that."""
        try:
            self.table.wait(lambda: any(text in line for line in self.said), what=f"{text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe command said: {''.join(self.said)}") from None

    def rows(self):
        """What its file has, by what tells samples apart; each is there once."""
        with open(self.out, newline="") as file:
            found = [tuple(row[name] for name in VALUES) for row in csv.DictReader(file)]
        by_key = {row[:4]: row for row in found}
        assert len(by_key) == len(found)
        return by_key

    def wait_rows(self, wanted):
        """Until its file has those."""
        try:
            self.table.wait(lambda: wanted.keys() <= self.rows().keys(), seconds=120)
        except AssertionError:
            missing = sorted(wanted.keys() - self.rows().keys())
            raise AssertionError(f"seed {SEED}: {missing} are missing; it said {''.join(self.said)}") from None

    def end(self):
        """Ctrl-C; its exit status."""
        self.interrupt()
        self.table.wait(lambda: self.process.poll() is not None, what="the end")
        return self.status()


def said(table, *nodes):
    """What boards have sampled, by what tells samples apart, as the file would have it."""
    found = {}
    for node in nodes:
        for one in records(table.run.nodes[node].output):
            if one["node"] == node:
                row = [one[name] if name != "late" else int(one[name]) for name in VALUES]
                found[tuple(map(str, row[:4]))] = tuple(map(str, row))
    return found


@pytest.fixture
def table(tmp_path, request):
    """Three boards that sample each second; a tool may have any gather. Parameter: who has an application."""
    require("unix")
    boards = lay_boards(tmp_path / "boards", [1, 2, 3], period_ms=1000, round_ms=10_000, gateway=[], required=3)
    for node in getattr(request, "param", ()):
        (boards[node] / "application.py").write_text(ON_ASYNCIO)
    with Table(boards, SEED) as made:
        made.start(1, 2, 3)
        made.wait(lambda: all(records(made.run.nodes[node].output) for node in (1, 2, 3)), what="beats")
        yield made


@pytest.mark.long
def test_what_comes_is_all_that_the_boards_have_whoever_restarts(table, tmp_path):
    with Follower(table, tmp_path / "air.csv", "--via", table.ports[1]) as follower:
        follower.wait("node 2, beat ")
        follower.wait("node 1, beat ")
        table.power(2, False)
        newest = len(said(table, 3))
        table.wait(lambda: len(said(table, 3)) > newest + 3, what="beats without 2")
        table.power(2, True)
        table.wait(lambda: {key[1] for key in said(table, 2)} == {"1", "2"}, what="2 again")
        # Without a gatherer longer than records are told: those beats are on flash alone.
        table.power(1, False)
        newest = len(said(table, 3))
        table.wait(lambda: len(said(table, 3)) > newest + 12, what="beats without 1")
        table.power(1, True)
        follower.wait("answers again")
        wanted = said(table, 2, 3)
        follower.wait_rows(wanted)
        told = follower.rows()
        assert {key: told[key] for key in wanted} == wanted
        assert follower.end() == 0, follower.said
    told, made = follower.rows(), said(table, 1, 2, 3)
    assert told.keys() <= made.keys() and all(told[key] == made[key] for key in told)
    lines = [line for line in follower.said if ", beat " in line]
    assert len(lines) == len(told), "each is printed once"
    assert any(line.startswith(f"swarm collect: {table.ports[1]}: ") for line in follower.said)
    assert "7" in execute(table, 1, "print(3 + 4)"), "its prompt is free"


@pytest.mark.parametrize("table", ([1],), indirect=True, ids=("one beside an application",))
def test_two_logs_through_two_boards_have_everything(table, tmp_path):
    """Each record goes to one of those that gather; what the other lacks is on flash."""
    with (
        Follower(table, tmp_path / "one.csv", "--via", table.ports[1]) as one,
        Follower(table, tmp_path / "two.csv", "--via", table.ports[2]) as two,
    ):
        for follower in (one, two):
            follower.wait("node 3, beat ")
        newest = len(said(table, 3))
        table.wait(lambda: len(said(table, 3)) > newest + 5, what="beats")
        wanted = said(table, 1, 2, 3)
        for follower in (one, two):
            follower.wait_rows(wanted)
            assert follower.end() == 0, follower.said
    assert "application: stopped" not in "".join(table.run.nodes[1].output), "nobody has interrupted it"
    newest = len(said(table, 1))
    table.wait(lambda: len(said(table, 1)) > newest + 1, what="beats beside the application")


# What a board prints


class Port:
    """Stands where a serial port is; gives what it was told, some bytes at a time."""

    def __init__(self, data):
        self.data = data

    def read(self, size=1):
        piece, self.data = self.data[:size], self.data[size:]
        return piece


def lines_of(data, size):
    """The lines that a tap tells of that, read so many bytes at a time."""
    transport, found = SimpleNamespace(serial=Port(data)), []
    with tapped(transport, found.append):
        while transport.serial.read(size):
            pass
    assert transport.serial.read.__func__ is Port.read, "the port is as before"
    return found


@pytest.mark.parametrize("size", (1, 7, 1000))
def test_each_line_is_told_once_however_it_is_read(size):
    assert lines_of(b"a\r\nb\xff\r\n\r\nc", size) == ["a\r", "b\ufffd\r", "\r"]
    assert lines_of(b"x" * (1 << 17) + b"\nend\n", size)[-1] == "end", "what never ends is not kept"


def taken(*lines):
    """What is told of those lines."""
    air = Air("p", {})
    for line in lines:
        air._line(line)
    return [(target.key, *(samples.parse(answer)[0] or samples.moves(answer))) for target, answer in air.take()]


def test_records_are_found_behind_whatever_stands_before_them():
    found = taken(
        ">>> " + LINE % (2, 5, "1.5") + "\r",
        "OK\x04\x04>" + LINE % (3, 5, '{"t": 1}') + "\r",
        '["piece", 9, 100, "abc' + LINE % (1, 5, "null"),
    )
    assert [(key, one.node, one.n) for key, one in found] == [("node 2", 2, 5), ("node 3", 3, 5), ("node 1", 1, 5)]
    move = '{"node": 1, "session": 3, "series": 9, "n": 4, "moved_us": -7}'
    assert [one for _, one in taken(move)] == [samples.Move(1, 3, 9, 4, -7)]


@pytest.mark.parametrize(
    "line",
    (
        json.dumps(["piece", 9, 100, LINE % (2, 5, "1")]),
        json.dumps({"answer": {"sample": json.loads(LINE % (2, 5, "1")), "series": None}}),
        (LINE % (2, 5, "1"))[:-9],
        'faction: 5 node 1 "series"',
    ),
    ids=("piece", "status", "cut", "words"),
)
def test_what_answers_a_question_or_was_cut_is_no_record(line):
    assert taken(line) == []


def test_a_board_that_restarts_is_told_at_once():
    with pytest.raises(BoardError, match="p: the board has restarted"):
        taken("faction: 40 node 1 swarm test open started session 3\r")


# Whose flash is asked


class Clocked:
    """Gaps in simulated time, of a series that begins at 0 with a second's period."""

    def __init__(self, members=(1, 2, 3), period_ms=1000):
        self.gaps, self.members, self.period_ms = Gaps(random.Random(SEED)), list(members), period_ms
        self.asked = []

    def tell(self, now_s, lost=(), series=9):
        beat = int(now_s * 1000 / self.period_ms) + 1
        told = {"id": series, "period_ms": self.period_ms, "beat": beat}
        self.gaps.tell(now_s, self.members, set(lost), told)

    def run(self, begun_s, end_s, comes=lambda node, n: True, lost=(), took_s=0.5, answers=lambda node: True):
        """Live on, a second at a time; what is asked is in asked, with when."""
        for now_s in range(begun_s, end_s):
            self.tell(now_s, lost)
            for node in self.members:
                if comes(node, now_s):
                    self.gaps.came(node, 9, now_s)
            node = self.gaps.next(now_s + 0.3)
            if node is not None:
                self.asked.append((now_s, node))
                self.gaps.asked(node, now_s + 0.3, now_s + 0.3 + took_s, answers(node))


def test_all_are_asked_once_and_nobody_again_while_all_comes():
    clocked = Clocked()
    clocked.run(0, 1000)
    assert [node for _, node in clocked.asked][:3] == [1, 2, 3]
    assert all(now_s < 45 for now_s, _ in clocked.asked), "later all has come"


def test_a_gap_is_asked_for_once_four_beats_later():
    clocked = Clocked()
    clocked.run(0, 100)
    clocked.asked.clear()
    clocked.run(100, 300, comes=lambda node, n: (node, n) != (2, 150))
    ((now_s, node),) = clocked.asked
    assert node == 2 and 154 <= now_s <= 156


def test_with_a_long_period_a_gap_is_asked_for_after_half_a_minute():
    gaps = Gaps()
    series = {"id": 9, "period_ms": 600_000, "beat": 1}
    gaps.tell(0.0, [1], set(), series)
    gaps.asked(1, 0.0, 0.1, True)
    gaps.came(1, 9, 0)
    gaps.tell(600.0, [1], set(), {**series, "beat": 2})
    assert gaps.next(620.0) is None and gaps.next(631.0) == 1


def test_between_two_questions_is_a_rest_of_ten_times_what_the_first_took():
    clocked = Clocked()
    clocked.run(0, 100)
    clocked.asked.clear()
    clocked.run(100, 400, comes=lambda *_: False, took_s=3.0)
    times = [now_s for now_s, _ in clocked.asked]
    assert all(later - earlier >= 33 for earlier, later in zip(times, times[1:], strict=False))
    assert [node for _, node in clocked.asked[:6]] in ([1, 2, 3] * 2, [2, 3, 1] * 2, [3, 1, 2] * 2), "in turn"


def test_a_lost_member_is_not_asked_and_a_silent_one_ever_less_until_it_speaks():
    clocked = Clocked()
    clocked.run(0, 100)
    clocked.asked.clear()
    clocked.run(100, 1000, comes=lambda node, n: node == 1, lost=[3], answers=lambda node: False)
    assert {node for _, node in clocked.asked} == {2}
    times = [now_s for now_s, _ in clocked.asked]
    waits = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    for wait_s, middle_s in zip(waits, (20, 40, 80, 160), strict=False):
        assert middle_s / 2 <= wait_s <= middle_s * 1.5 + 2, (waits, f"seed {SEED}")
    assert len(waits) >= 4 and len(set(waits)) == len(waits)
    clocked.asked.clear()
    clocked.run(1000, 1040, comes=lambda node, n: True)
    assert {node for _, node in clocked.asked} == {2, 3}, "of whom records come, that is asked"


def test_another_series_and_an_hour_have_all_asked_again():
    clocked = Clocked()
    clocked.run(0, 100)
    clocked.asked.clear()
    clocked.run(100, 3600 + 150)
    assert sorted(node for _, node in clocked.asked) == [1, 2, 3]
    clocked.tell(3800.0, series=8)
    assert clocked.gaps.next(3900.0) is not None

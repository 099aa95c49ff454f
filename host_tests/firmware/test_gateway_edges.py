"""What a board does for a gateway, and a gateway for a tool, at the edges that a swarm of boards seldom comes to."""

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm.paths import FIRMWARE

GATEWAY = "faction.remote.gateway"
ROOM = 40  # bytes that an answer holds
WRAP = 1 << 30


class Reports:
    """The node's reports, as far as a board asks them."""

    def __init__(self):
        self.put_ = []
        self.gathers = False
        self.answered = []
        self.asked = SimpleNamespace(wanted=False, get=lambda: self.question)
        self.question = None
        self.came = []

    def put(self, n, session, late_us, value):
        if len(value) > ROOM:
            raise ValueError(f"{len(value)} bytes: a frame holds {ROOM}: return less")
        self.put_.append((n, session, late_us, value))

    def room(self):
        return ROOM

    def next(self):
        return self.came.pop(0) if self.came else None

    def set_gathers(self, gathers):
        self.gathers = gathers

    def answer(self, kind, place, piece):
        self.answered.append((kind, place, piece))

    def ask(self, *question):
        self.question = question

    def cease(self):
        self.question = None


class Board:
    """A board with a gateway, and what is around it. now: milliseconds."""

    def __init__(self, monkeypatch, always=False):
        self.now = WRAP - 30_000
        monkeypatch.setitem(sys.modules, "signs", SimpleNamespace(calm=lambda: True, slow=True))
        monkeypatch.syspath_prepend(str(FIRMWARE))
        for name in ("samples", GATEWAY):
            monkeypatch.delitem(sys.modules, name, raising=False)
        gateway = importlib.import_module(GATEWAY)
        for name in ("samples", GATEWAY):
            del sys.modules[name]
        monkeypatch.setattr(gateway, "ticks_ms", lambda: self.now % WRAP)
        self.reports = Reports()
        self.notes = []
        self.unwritten = []
        self.app = SimpleNamespace(
            node=SimpleNamespace(reports=self.reports, machine=SimpleNamespace(index=lambda member: member, peer_id=9)),
            series=SimpleNamespace(is_calm=lambda: True, unwritten=lambda: self.unwritten, write=self.write),
            note=lambda where, error: self.notes.append(f"{where}: {error}"),
            put=print,
        )
        self.module = gateway
        self.gateway = gateway.Gateway(self.app, always)

    def write(self):
        with open("samples.jsonl", "a") as file:
            file.writelines(line + "\n" for line in self.unwritten)
        self.unwritten = []

    def tick(self, ms=0):
        """Let time pass, then look."""
        self.now += ms
        return self.gateway.tick(self.now % WRAP)

    def told(self, kind, place):
        """What the board answers to a question: kind and place of what follows, and the piece."""
        self.reports.asked.wanted, self.reports.question = True, (kind, place)
        self.tick()
        self.reports.asked.wanted = False
        return self.reports.answered[-1]

    def told_from(self, kind, place):
        """All that the board tells from there on, and where that ends."""
        text = b""
        while True:
            kind, place, piece = self.told(kind, place)
            if not piece:
                return text.decode(), kind, place
            text += piece


@pytest.fixture
def board(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda **options: Board(monkeypatch, **options)


def sample(n, value=1.5, late=False):
    return {"node": 3, "session": 5, "series": 7, "n": n, "late_us": 12, "value": value, "late": late}


def keep(name, *numbers):
    """Write a file of samples; returns its text."""
    text = "".join(json.dumps(sample(n)) + "\n" for n in numbers)
    Path(name).write_text(text)
    return text


def test_a_sample_goes_to_whoever_gathers_and_a_late_one_waits_until_it_is_fetched(board):
    board = board()
    board.gateway.sampled(sample(1))
    board.gateway.sampled(sample(2, late=True))
    assert board.reports.put_ == [(1, 5, 12, b"1.5")]


def test_a_board_that_gathers_always_sends_nothing_of_its_own(board):
    board = board(always=True)
    board.gateway.sampled(sample(1))
    assert board.reports.put_ == []


def test_too_long_a_value_is_an_error_of_the_first_sample_with_its_remedy(board):
    board = board()
    board.gateway.sampled(sample(1, value="x" * ROOM))
    assert board.notes == [f"sample(), for the gateway: {ROOM + 2} bytes: a frame holds {ROOM}: return less"]


@pytest.mark.parametrize("always", (False, True))
def test_a_board_that_gathers_for_a_tool_ends_with_its_time(board, always):
    board = board(always=always)
    board.gateway.gather(60)
    assert board.gateway.gathers() and board.reports.gathers
    board.tick(59_999)
    assert board.gateway.gathers() and board.reports.gathers
    board.tick(1)
    assert board.gateway.gathers() is always and board.reports.gathers is always


def test_a_board_gathers_as_long_as_it_takes_to_fetch_what_a_member_has(board, monkeypatch, capsys):
    board = board()
    pieces = [(3, 0, i, 9, 2 * i + 2, b"%02d" % i) for i in range(30)] + [(3, 0, 30, 9, 60, b"")]
    board.app.node.first_sample = SimpleNamespace(remaining_us=lambda now: 1_000_000)
    board.reports.ask = lambda *question: board.reports.came.append(pieces.pop(0))
    gathers = []

    def sleep_ms(_):
        board.tick(4_000)
        gathers.append(board.reports.gathers)

    monkeypatch.setattr(board.module, "sleep_ms", sleep_ms)
    board.gateway.fetch(3)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [["piece", 9, 2 * i + 2, f"{i:02}"] for i in range(30)] + [["end", 9, 60]]
    assert all(gathers) and len(gathers) > 15, "for more than a minute"


def test_a_fetch_may_follow_another_before_the_board_has_ceased_to_ask(board, monkeypatch, capsys):
    board = board()
    board.app.node.first_sample = SimpleNamespace(remaining_us=lambda now: 1_000_000)
    asked = []
    board.reports.ask = lambda *question: (
        asked.append(question) or board.reports.came.append((question[0], 0, 1, *question[1:], b""))
    )
    board.reports.cease = lambda: asked.append("no more")
    monkeypatch.setattr(board.module, "sleep_ms", lambda _: board.tick(2))
    board.gateway.fetch(3)
    board.tick()  # where the next one begins, one may come in between
    board.gateway.fetch(4, 0)
    board.tick()
    assert asked == [(3, 1, 0), "no more", (4, 0, 0), "no more"]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_fetch_that_nobody_takes_to_its_end_is_given_up(board):
    board = board()
    lines = board.gateway.lines(3, 0, 0)
    assert next(lines) == ""
    assert board.tick() == 0 and board.reports.question == (3, 0, 0)
    assert board.tick(5_000) == 0 and board.reports.question == (3, 0, 0)
    assert board.tick(1) > 0 and board.reports.question is None, "and the node has nothing to hurry for"


def test_a_member_that_does_not_answer_in_time_is_silent_and_is_asked_no_more(board):
    board = board()
    lines = board.gateway.lines(3, 0, 0)
    for ms in (0, 4_998, 2):
        assert next(lines) == ""
        board.tick(ms)
    assert board.reports.question == (3, 0, 0) and next(lines) == ""
    board.tick(1)
    assert list(lines) == ['["silent", 3]'] and board.reports.question is None


@pytest.mark.parametrize("question", [(5, 0, 0), (-1, 0, 0), (3, 65_536, 0), (3, -1, 0), (3, 0, WRAP), (3, 0, -1)])
def test_a_question_that_no_member_can_be_asked_is_refused(board, question):
    board = board()
    board.app.node.machine.index = lambda member: member if member < 5 else -1
    with pytest.raises(ValueError, match="no such member, kind or place"):
        next(board.gateway.lines(*question))
    assert board.tick() > 0 and board.reports.question is None
    for fits in ((3, 65_535, WRAP - 1), (0, 0, 0)):
        assert next(board.gateway.lines(*fits)) == ""


@pytest.mark.parametrize(
    ("kind", "place", "answers"),
    (
        (0, 0, ((4, 0, 3, b"{2}"), (3, 9, 3, b"{3}"), (3, 0, 7, b"{4}"), (3, 0, 3, b"yes"))),
        (1, 0, ((3, 0, 3, b"{2}"), (3, 9, 7, b"{3}"), (4, 9, 3, b"{4}"), (3, 9, 3, b"yes"))),
        (9, 4, ((3, 9, 3, b"{2}"), (3, 8, 7, b"{3}"), (4, 9, 7, b"{4}"), (3, 0, 7, b"{5}"), (3, 9, 7, b"yes"))),
        (9, 4, ((3, 9, 3, b"{2}"), (3, 8, 3, b"yes"))),
    ),
    ids=("status", "oldest", "file", "file that has gone"),
)
def test_what_an_earlier_life_asked_under_one_number_is_no_answer(board, monkeypatch, capsys, kind, place, answers):
    board = board()
    board.app.node.first_sample = SimpleNamespace(remaining_us=lambda now: 1_000_000)
    left = [(member, 0, 1, of | 1 << 16, *rest) for member, of, *rest in answers]
    asked = []

    def ask(*question):
        asked.append(question)
        end = left[0] if left else (3, 0, 1, *question[1:], b"")
        board.reports.came.append(end)
        del left[:1]

    board.reports.ask = ask
    monkeypatch.setattr(board.module, "sleep_ms", lambda _: board.tick(2))
    board.gateway.fetch(3, kind, place)
    _, of, end, _ = answers[-1]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [["piece", of, end, "yes"], ["end", of, end]]
    assert asked == [(3, kind, place)] * len(answers) + [(3, of, end)]


def test_records_that_come_are_printed_as_a_board_prints_its_own(board, capsys):
    board = board()
    board.reports.came = [(3, 7, 2, 5, -12, b'{"t": 20.5}')]
    board.tick()
    printed = json.loads(capsys.readouterr().out)
    assert printed == {**sample(2, {"t": 20.5}), "late_us": -12}


def test_a_member_without_samples_tells_that_there_is_no_more(board):
    board = board()
    assert board.told(1, 0)[2] == b""


def test_what_is_still_to_be_written_is_told_as_well(board):
    board = board()
    kept = keep("samples.jsonl", 1, 2)
    board.unwritten = [json.dumps(sample(3))]
    text, kind, place = board.told_from(1, 0)
    assert text == kept + json.dumps(sample(3)) + "\n"
    assert board.told_from(kind, place) == ("", kind, place)


def test_a_file_that_takes_the_others_name_between_two_pieces_is_told_whole_and_once(board):
    board = board()
    before = keep("samples.jsonl", 1, 2, 3)
    kind, place, piece = board.told(1, 0)
    os.replace("samples.jsonl", "samples.jsonl.old")
    after = keep("samples.jsonl", 4, 5)
    rest = board.told_from(kind, place)[0]
    assert piece.decode() + rest == before + after


def test_a_file_that_is_gone_between_two_pieces_is_followed_by_the_oldest_there_is(board):
    board = board()
    keep("samples.jsonl", 1, 2, 3)
    kind, place, _ = board.told(1, 0)
    old, new = keep("samples.jsonl.old", 8), keep("samples.jsonl", 9)
    assert board.told_from(kind, place)[0] == old + new

"""Rounds: who is heard in each, who is lost and who is back, whatever becomes of clock, frames and calls."""

import pytest

import swarm_fixture as fixture
from faction.frame import MAX_MEMBERS_IN_ROUNDS
from faction.remote import rounds as module
from faction.series import SwarmClock
from swarm_fixture import PERIOD, Board, Swarm

P, R = 10_000, 30_000
SWARM = Swarm(range(1, 11), 2, period_ms=P, round_ms=R)
A, SESSION = 3, 40
ALL = {"heard": SWARM.members, "ready": (2, 4)}
OTHERS = [member for member in SWARM.members if member != A]
LOOK_S = R / 12_000


@pytest.fixture(params=(0, PERIOD - 300_000, PERIOD - 31_000_000), ids=("", "wrap", "wrap at a round"))
def us(request):
    """Where ticks_us begins."""
    return request.param


def begun(swarm=SWARM, us=0, **options):
    """A board whose swarm takes its first sample now, with two members of which frames count."""
    board = Board(swarm, A, SESSION, us=us, **options)
    board.sequence = dict.fromkeys((2, 4), 100)
    for member in board.sequence:
        board.prove(member, 5, 100, heard=swarm.members)
    board.complete()
    board.hear(swarm.frame(2, 5, 101, **ALL, offset_us=1000, series=9, mark=0))
    board.sequence[2] = 101
    board.t0 = board.true_us + 1000
    pass_s(board, 0.01)
    return board


def rounds(board):
    return board.node.rounds


def present(board):
    return board.swarm.ids(rounds(board).present)


def lost(board):
    return board.swarm.ids(rounds(board).lost)


def pass_s(board, seconds, step_ms=250):
    end = board.true_us + round(seconds * 1_000_000)
    while board.true_us < end:
        board.true_us = min(board.true_us + 1000 * step_ms, end)
        board.poll()


def pass_to(board, number, seconds=0.0):
    """Let time pass until so long after that round's beginning."""
    pass_s(board, (board.t0 - board.true_us) / 1e6 + number * R / 1000 + seconds)


def say(board, who, member=2, marks=0, **more):
    """Have a member say who is present, in the swarm's clock as this board knows it, or so many marks from there."""
    board.sequence[member] += 1
    clock = board.node.first_sample
    ahead_us = (clock._instant_us - board.now[1] + PERIOD // 2) % PERIOD - PERIOD // 2 + marks * clock.mark_us
    fields = {**ALL, "series": clock.series, "mark": clock.mark + marks, "offset_us": ahead_us, **more}
    board.hear(board.swarm.frame(member, 5, board.sequence[member], present=who, **fields))


def live_through(board, first, last, who=OTHERS):
    """Let these rounds pass, in which those are heard at once."""
    for number in range(first, last + 1):
        pass_to(board, number, 0.1)
        say(board, who)
    pass_to(board, last, 29)


# Sets


def test_a_round_begins_with_this_node_alone_and_its_set_grows_and_is_told():
    board = begun()
    assert (rounds(board).number, rounds(board).marks, present(board)) == (0, 3, {A})
    say(board, {5, 6})
    assert present(board) == {A, 2, 5, 6}
    say(board, {7}, 4)
    assert present(board) == {A, 2, 4, 5, 6, 7}, "it only grows"
    assert board.speak().present == {A, 2, 4, 5, 6, 7}
    pass_to(board, 1, 0.1)
    assert (rounds(board).number, present(board)) == (1, {A})


@pytest.mark.parametrize("period_ms, round_ms, marks", ((7_000, 30_000, 5), (60_000, 10_000, 1), (100, 10_000, 100)))
def test_a_round_is_of_as_many_marks_as_it_takes(period_ms, round_ms, marks):
    board = begun(Swarm(range(1, 11), 2, period_ms=period_ms, round_ms=round_ms))
    assert rounds(board).marks == marks
    for number in (0, 1, 2):
        assert rounds(board).number == number
        pass_s(board, marks * period_ms / 1000)


def test_before_the_first_sample_there_is_no_round():
    board = Board(SWARM, A, SESSION)
    assert not board.speak().present and rounds(board).number == -1
    board.sequence = {2: 100}
    board.prove(2, 5, 100, **ALL, offset_us=20_000_000, present=OTHERS)
    assert rounds(board).number == -1 and not present(board)


@pytest.mark.parametrize("gather", (False, True))
def test_nor_is_there_a_report_to_wait_for(gather):
    board = Board(SWARM, A, SESSION, gather=gather)
    board.speak()
    assert board.node.wait_ms(*board.now) > 0


@pytest.mark.parametrize("marks", (-3, 3))
def test_frames_of_another_round_add_nobody(marks):
    board = begun()
    pass_to(board, 1, 10)
    say(board, OTHERS, marks=marks)
    assert present(board) == {A} and rounds(board).number == 1


def test_a_frame_without_an_instant_adds_nobody():
    board = begun()
    board.hear(SWARM.frame(2, 5, 102, **ALL, present=OTHERS))
    assert board.node.sessions.heard[3 * 1 + 1] == 102, "it counts"
    assert present(board) == {A}


def test_frames_that_do_not_count_add_nobody():
    board = begun()
    clock = board.node.first_sample
    fields = {**ALL, "present": OTHERS, "offset_us": 9_000_000, "series": clock.series, "mark": clock.mark}
    board.hear(SWARM.frame(5, 5, 1, **fields))
    assert board.counter("unproved") == 1
    board.hear(SWARM.frame(2, 5, 101, **fields))
    assert board.counter("replayed") == 1
    board.hear(SWARM.frame(2, 4, 200, **fields))
    assert board.counter("stale") == 1
    forged = bytearray(SWARM.frame(2, 5, 102, **fields))
    forged[28] ^= 64
    board.hear(forged)
    assert board.counter("forged") == 1 and present(board) == {A}


def test_padding_bits_fit_nobody():
    board = begun()
    parts = SWARM.parts(2, 5, 102, **ALL)
    for part in ("participation", "present"):
        padded = parts[part][:-1] + bytes([parts[part][-1] | 0x80])
        board.hear(SWARM.seal({**parts, part: padded}))
    assert board.counter("misfit") == 2 and present(board) == {A}
    board.hear(SWARM.seal({**parts, "present": parts["present"] + b"\0"}))
    assert board.counter("misfit") == 3


def test_most_members():
    largest = Swarm(range(1, MAX_MEMBERS_IN_ROUNDS + 1), 2, period_ms=P, round_ms=R)
    board = begun(largest)
    say(board, largest.members)
    assert len(present(board)) == MAX_MEMBERS_IN_ROUNDS
    with pytest.raises(ValueError, match="449 members: a frame holds at most 448"):
        Board(Swarm(range(1, MAX_MEMBERS_IN_ROUNDS + 2), 2, period_ms=P, round_ms=R), A)


# Trickle


def test_a_set_that_differs_undoes_what_was_counted_and_is_no_reason_to_reset():
    board = begun()
    say(board, OTHERS)
    trickle = board.node.trickle
    board.tell()
    pass_s(board, 5)
    for who, heard in ((SWARM.members, 4), (OTHERS, -1), ({5}, -1), (SWARM.members, 4)):
        interval_ms, trickle.heard = trickle.interval_ms, 3
        say(board, who, ready=(2, A, 4))
        assert (trickle.heard, trickle.interval_ms) == (heard, interval_ms), who


def test_a_report_is_no_word_about_this_round():
    board = begun(gather=True)
    pass_s(board, 1)
    known = present(board), board.node.trickle.heard
    received = board.node.counters[0]
    board.hear(fixture.sealed(SWARM, 4, 102, fixture.text()))
    assert board.node.counters[0] == received + 1, "it is read"
    assert (present(board), board.node.trickle.heard) == known


def test_what_was_heard_of_the_last_round_silences_nobody():
    board = begun()
    pass_to(board, 1, -0.001)
    board.node.trickle.heard = 5
    pass_s(board, 0.002, 1)
    assert rounds(board).number == 1 and board.node.trickle.heard == 0


# Lost and back


def test_who_is_missing_in_a_whole_round_and_then_is_lost_and_back_once_heard(us):
    board = begun(us=us)
    live_through(board, 0, 2)
    assert lost(board) == set() and rounds(board).changes == 0
    live_through(board, 3, 3, [1, 2, 4])  # five others are heard no more
    pass_to(board, 4, LOOK_S - 0.5)
    say(board, [1, 2, 4])
    assert lost(board) == set(), "they may still be heard"
    pass_to(board, 4, LOOK_S + 0.5)
    assert lost(board) == {5, 6, 7, 8, 9, 10} and rounds(board).changes == 6
    assert rounds(board).is_lost(4) and not rounds(board).is_lost(0)
    assert rounds(board).silence_s(4, board.now[1]) == R // 1000 + int(LOOK_S + 0.5)
    assert rounds(board).silence_s(0, board.now[1]) == 0
    say(board, [7, 9])
    assert lost(board) == {5, 6, 8, 10} and rounds(board).changes == 8
    assert rounds(board).silence_s(6, board.now[1]) == 0
    say(board, [7, 9])
    assert rounds(board).changes == 8


def test_who_is_heard_in_time_after_a_whole_round_is_not_lost():
    board = begun()
    live_through(board, 0, 2)
    live_through(board, 3, 3, [1, 2])
    pass_to(board, 4, LOOK_S - 1)
    say(board, OTHERS)
    pass_to(board, 4, 29)
    assert lost(board) == set()


def test_who_begins_within_a_round_misses_nobody_before_a_whole_one_has_passed(us):
    board = begun(us=us)
    pass_to(board, 1, LOOK_S + 0.5)
    assert lost(board) == set(), "it was not there when round 0 began"
    pass_to(board, 2, LOOK_S - 0.5)
    assert lost(board) == set()
    pass_to(board, 2, LOOK_S + 0.5)
    assert lost(board) == set(OTHERS)
    assert rounds(board).silence_s(0, board.now[1]) is None, "never heard"
    live_through(board, 3, 3, [2])
    assert rounds(board).silent[0] == module.NEVER, "which is no number of rounds"
    live_through(board, 4, 4, [1])
    assert lost(board) == set(OTHERS) - {1, 2} and rounds(board).silence_s(0, board.now[1]) == 0


def test_rounds_over_which_the_board_stood_still_count_against_nobody():
    board = begun()
    live_through(board, 0, 2)
    board.true_us = board.t0 + 5 * R * 1000 + 200_000
    board.poll()
    assert rounds(board).number == 5 and list(rounds(board).silent) == [0] * 10
    pass_to(board, 6, LOOK_S + 1)
    assert lost(board) == set(), "round 5 was not whole"
    pass_to(board, 7, LOOK_S + 1)
    assert lost(board) == set(OTHERS)
    assert rounds(board).silence_s(0, board.now[1]) == R // 1000 + int(LOOK_S + 1)


@pytest.mark.parametrize("marks, number", ((-3, 3), (6, 6)))
def test_a_clock_that_moves_begins_anew(marks, number):
    board = begun()
    live_through(board, 0, 3)
    pass_to(board, 4, 0.1)
    silent = bytes(rounds(board).silent)
    clock = board.node.first_sample
    clock.mark += marks
    board.poll()
    assert rounds(board).number == number and bytes(rounds(board).silent) == silent
    for _ in range(2):
        pass_s(board, R / 1000)
        assert lost(board) == set()
    pass_s(board, R / 1000)
    assert lost(board) == set(OTHERS)


def test_long_silence_is_counted_in_coarse_steps_and_has_an_end():
    board = begun()
    live_through(board, 0, 2)
    board.poll = board.take_part = None  # time passes in rounds from here on
    clock, one = board.node.first_sample, rounds(board)
    seen = []
    for number in range(3, 12_000):
        clock.mark = 1 + 3 * number
        one.advance(0)
        seen.append(one.silent[0])
    assert seen[: module._EXACT + 1] == list(range(module._EXACT + 1))
    assert seen[module._EXACT + 200] in (module._EXACT + 3, module._EXACT + 4)
    assert seen[-1] == module._MOST
    board.t0 = 0
    clock.time_us = lambda now_us: one.number * R * 1000
    most = module._EXACT + (module._MOST - module._EXACT) * module._COARSE
    assert one.silence_s(0, 0) == most * R // 1000
    assert one.silent[2] == 0, "this node hears itself"


def test_silence_in_a_long_round_outlasts_the_ticks():
    swarm = Swarm(range(1, 11), 2, period_ms=P, round_ms=900_000)
    board = begun(swarm)
    say(board, OTHERS)
    pass_s(board, 1700, 1000)
    assert rounds(board).silence_s(0, board.now[1]) == 800
    assert rounds(board)._look_us == module._LOOK_US
    pass_s(board, 102, 1000)
    assert lost(board) == set(), "the first round was not whole"
    pass_s(board, 900, 1000)
    assert lost(board) == set(OTHERS)
    assert rounds(board).silence_s(0, board.now[1]) == 900 + 902


def test_a_restart_knows_nobody_and_takes_the_set_of_the_others():
    board = Board(SWARM, A, SESSION)
    board.sequence = {2: 100}
    board.prove(2, 5, 100, **ALL, offset_us=5_000_000, series=9, mark=31, present=[5, 6])
    board.complete()
    assert (rounds(board).number, present(board)) == (10, {A, 2, 5, 6})
    assert lost(board) == set()


# Interrupts


class _Struck(BaseException):
    pass


class Striking(bytearray):
    """Bytes that are struck at the n-th writing."""

    left = 1 << 30

    def __setitem__(self, at, value):
        self.left -= 1
        if not self.left:
            raise _Struck
        bytearray.__setitem__(self, at, value)


@pytest.mark.parametrize("which", ("silent", "present"))
@pytest.mark.parametrize("after", (1, 2, 3))
def test_an_interrupted_beginning_is_done_again_and_misses_nobody(which, after):
    board = begun()
    live_through(board, 0, 2)
    live_through(board, 3, 3, [1, 2, 4])
    one = rounds(board)
    setattr(one, which, Striking(getattr(one, which)))
    if which == "present":
        one._frame.present = one.present
    getattr(one, which).left = after
    with pytest.raises(_Struck):
        pass_to(board, 4, 0.1)
    assert one.number == 3
    pass_to(board, 4, 0.2)
    assert one.number == 4 and present(board) == {A}
    assert all(silent <= 1 for silent in one.silent)
    pass_to(board, 5, LOOK_S - 1)
    assert lost(board) == set(), "a round later than else"
    pass_to(board, 5, LOOK_S + 1)
    assert lost(board) == set(OTHERS)


def test_nothing_is_taken_by_traffic():
    board = begun()
    sizes = {name: (type(value), value) for name, value in vars(rounds(board)).items() if isinstance(value, bytearray)}
    live_through(board, 0, 9, [1, 2, 5])
    for name, (kind, value) in sizes.items():
        assert type(getattr(rounds(board), name)) is kind and getattr(rounds(board), name) is value
    assert isinstance(board.node.first_sample, SwarmClock)

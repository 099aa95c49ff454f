"""A series: beats after the first sample, whose T0 is followed, who is believed, and who gives way."""

import pytest

from faction import series as module
from swarm_fixture import PERIOD, Board, Swarm

P = 60_000
SWARM = Swarm(range(1, 7), 2, period_ms=P)
A, SESSION = 3, 40
ALL = {"heard": SWARM.members, "ready": (2, 4)}


@pytest.fixture(params=(0, PERIOD - 300_000, PERIOD - 90_000_000), ids=("", "wrap", "wrap at a beat"))
def us(request):
    """Where ticks_us begins."""
    return request.param


def begun(swarm=SWARM, us=0, lead_ms=500, **options):
    """A board whose swarm has just taken its first sample, with two members of which frames count."""
    board = Board(swarm, A, SESSION, us=us, lead_ms=lead_ms, **options)
    board.sequence = dict.fromkeys((2, 4, 5), 100)
    for member in board.sequence:
        board.prove(member, 5, 100, heard=swarm.members)
    board.complete()
    board.hear(swarm.frame(2, 5, 101, **ALL, offset_us=1000 * lead_ms, series=9, mark=0))
    board.sequence[2] = 101
    board.t0 = board.true_us + 1000 * lead_ms
    return board


def clock(board):
    return board.node.first_sample


def told_t0(board):
    """The first sample's instant that the board would tell, in true microseconds (its clock being right)."""
    ahead_us = (clock(board)._instant_us - board.now[1] + PERIOD // 2) % PERIOD - PERIOD // 2
    return board.true_us + ahead_us - clock(board).mark * clock(board).mark_us


def pass_s(board, seconds, step_ms=250):
    for _ in range(round(seconds * 1000 / step_ms)):
        board.true_us += 1000 * step_ms
        board.poll()


def say(board, member, earlier_us, **more):
    """Have a member say that T0 was so much earlier than this board knows it."""
    board.sequence[member] += 1
    mark = clock(board).mark + more.pop("marks", 0)
    ahead_us = told_t0(board) - earlier_us + mark * clock(board).mark_us - board.true_us
    fields = {"series": 9, "mark": mark, **more}
    board.hear(board.swarm.frame(member, 5, board.sequence[member], **ALL, offset_us=ahead_us, **fields))


def moved(board, function, *arguments):
    """By how much T0 becomes earlier by what function does."""
    before = told_t0(board)
    function(board, *arguments)
    return before - told_t0(board)


def test_a_sample_at_every_beat(us):
    board = begun(us=us)
    pass_s(board, 600, 50)
    beats = [(true_us - board.t0) / (1000 * P) for true_us, _, _ in board.samples]
    assert len(beats) == 10 and all(0 <= beat - n < 0.001 for n, beat in enumerate(beats))
    assert not any(late for _, _, late in board.samples)
    assert (clock(board).sampled, clock(board).beat, clock(board).due(), clock(board).missed) == (10, 9, 10, 0)


@pytest.mark.parametrize("session", (43_079, 7168, 54_817))
def test_the_number_of_a_series_has_two_bytes_and_is_not_0(session):
    """In these sessions of the member the Trickle seed, of which it is made, is at the ends of what it may be."""
    assert 1 <= clock(Board(SWARM, A, session))._number <= 65_535


@pytest.mark.parametrize("period_ms, mark_us, shift", ((256_000, 256_000_000, 0), (3_600_000, 225_000_000, 4)))
def test_a_long_period_has_marks_that_are_no_beats(period_ms, mark_us, shift):
    board = begun(Swarm(range(1, 7), 2, period_ms=period_ms))
    assert (clock(board).mark_us, clock(board).shift) == (mark_us, shift)
    pass_s(board, 2.5 * period_ms / 1000, 2000)
    assert [round((true_us - board.t0) / 1000 / period_ms, 1) for true_us, _, _ in board.samples] == [0, 1, 2]
    assert clock(board).beat == 2 and clock(board).remaining_us(board.now[1]) <= 500_000_000


def test_the_longest_and_the_shortest_period():
    for period_ms, seconds, samples in ((100, 2, 16), (2_592_000_000, 600, 1)):
        board = begun(Swarm(range(1, 7), 2, period_ms=period_ms))
        assert clock(board).mark_us << clock(board).shift == 1000 * period_ms
        pass_s(board, seconds, 10)
        assert len(board.samples) == samples, "the first half second is lead"


def test_what_is_told():
    board = begun()
    pass_s(board, 61)
    frame = board.speak()
    assert (frame.series, frame.mark) == (9, 2)
    assert abs(board.t0 + 2 * 1000 * P - board.true_us - frame.offset_us) < 5000 or frame.follow_up


def test_who_proposes_begins_a_series_of_its_own():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 100, **ALL)
    board.complete()
    frame = board.speak()
    assert frame.mark == 0 and 1 <= frame.series <= 65_535
    other = Board(SWARM, A, SESSION + 1)
    other.prove(2, 5, 100, **ALL)
    other.complete()
    assert other.speak().series != frame.series


def test_of_two_series_that_began_at_once_the_lower_number_stays_and_else_that_of_the_earlier():
    board = begun()
    say(board, 4, -5000, series=7)
    assert clock(board).series == 7
    say(board, 4, 100_000, series=50)
    assert clock(board).series == 50


def test_until_t0_the_earliest_is_taken_and_later_ones_are_not():
    board = begun()
    assert moved(board, say, 2, 150) == 0
    assert moved(board, say, 2, 20_000) == 20_000
    assert moved(board, say, 4, -20_000) == 0
    assert moved(board, say, 4, 90_000_000) == 90_000_000, "even one that lies behind"


def test_after_t0_drift_explains_so_much_and_no_more():
    board = begun()
    pass_s(board, 2)
    assert moved(board, say, 2, 200) == 0
    assert moved(board, say, 2, 201) == 201
    assert moved(board, say, 2, 4500) == 4500, "who has just begun has credit"
    pass_s(board, 4)  # 1 ms more of it
    assert moved(board, say, 2, 1700) == 0
    assert moved(board, say, 2, 1000) == 1000
    pass_s(board, 100)
    assert moved(board, say, 5, 5300) == 0, "5 ms at most"
    assert moved(board, say, 5, 5000) == 5000


def test_a_leap_takes_two_to_say_so_and_the_later_of_the_two_is_taken():
    board = begun()
    pass_s(board, 2)
    assert moved(board, say, 2, 800_000) == 0
    assert moved(board, say, 4, 807_000) == 800_000
    assert (clock(board).moves, clock(board).moved_us) == (1, 800_000)
    assert moved(board, say, 2, 900_000) == 0
    assert moved(board, say, 4, 800_000) == 0, "not the same leap"


def test_one_that_says_so_alone_is_not_believed_before_the_64th_time():
    board = begun()
    pass_s(board, 2)
    for time in range(1, 65):
        assert moved(board, say, 2, 800_000) == (800_000 if time == 64 else 0), time
        say(board, 4, 0)


def test_in_a_pair_there_is_nobody_else_to_say_so():
    board = Board(SWARM, A, SESSION)
    board.sequence = {2: 100}
    board.prove(2, 5, 100, **ALL)
    board.complete()
    pass_s(board, 2)
    assert [moved(board, say, 2, 800_000) for _ in range(4)] == [0, 0, 0, 800_000]


def test_another_series_an_hour_older_is_followed_to_its_beats():
    board = begun()
    pass_s(board, 10)
    for member in (2, 4):
        say(board, member, 60 * 1000 * P + 7_000, marks=60)
    assert clock(board).mark == 61 and clock(board).missed == 0
    pass_s(board, 60)
    assert clock(board).beat == 61 and clock(board).sampled == 2
    assert len(board.samples) == 2


def test_who_is_alone_gives_way_and_samples_no_beat_twice():
    board = begun()
    pass_s(board, 62)
    assert clock(board).beat == 1
    for time in range(1, 17):
        member = (2, 4, 5)[time % 3]
        assert moved(board, say, member, -4_000_000) == (-4_000_000 if time == 16 else 0), time
    assert clock(board).moved_us == -4_000_000
    assert clock(board).mark == 2, "beat 1 lies ahead again for the others"
    pass_s(board, 59)
    assert len(board.samples) == 2
    pass_s(board, 6)
    assert len(board.samples) == 3 and clock(board).beat == 2


def test_who_had_run_ahead_over_beats_is_in_step_again_from_the_first_that_it_has_not_sampled():
    board = begun()
    pass_s(board, 62)
    ahead_ms = 3 * P + 1000
    board.ms, board.us = board.ms + ahead_ms, board.us + 1000 * ahead_ms
    board.poll()
    assert clock(board).beat == 4 and clock(board).missed == 2
    taken = len(board.samples)
    for time in range(16):
        say(board, (2, 4, 5)[time % 3], -1000 * ahead_ms, marks=-3)
    assert clock(board).moved_us == -1000 * ahead_ms
    pass_s(board, 4 * P // 1000)
    assert clock(board).beat == 5 and clock(board).missed == 2
    ((true_us, late_us, late),) = board.samples[taken:]
    assert abs(true_us - board.t0 - 5000 * P) < 250_000 and 0 <= late_us < 250_000 and not late


def test_where_an_access_point_keeps_frames_nobody_is_alone_for_that():
    board = begun(imin_ms=128)
    pass_s(board, 2)
    for _ in range(40):
        assert moved(board, say, 4, -110_000) == 0
    assert clock(board).moves == 0 and 70_000 < clock(board)._aim_us < 110_000
    assert [moved(board, say, 4, -180_000) for _ in range(16)][-1] == -180_000


def test_one_that_agrees_ends_being_alone():
    board = begun()
    pass_s(board, 2)
    for _ in range(3):
        for _ in range(15):
            assert moved(board, say, 2, -500_000) == 0
        say(board, 4, 0)


def test_later_frames_move_the_aim_and_not_what_is_told(us):
    board = begun(us=us)
    pass_s(board, 2)
    for _ in range(40):
        assert moved(board, say, 4, -3000) == 0
    assert 1900 < clock(board)._aim_us < 3000
    pass_s(board, 60, 1)
    assert 1900 <= board.samples[-1][0] - board.t0 - 1000 * P < 4000


def test_the_aim_stays_where_it_is_when_the_clock_is_moved():
    board = begun()
    pass_s(board, 2)
    for _ in range(40):
        say(board, 4, -3000)
    before = clock(board).remaining_us(board.now[1])
    say(board, 2, 900)
    assert abs(clock(board).remaining_us(board.now[1]) - before) < 500


def test_who_joins_samples_late_and_then_in_step():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 100, **ALL, offset_us=20_000_000, series=9, mark=5)
    assert board.samples == []
    board.complete()
    assert [late for _, _, late in board.samples] == [True]
    assert board.samples[0][1] == 40_000_000, "beat 4 was so long ago"
    pass_s(board, 81)
    assert [late for _, _, late in board.samples] == [True, False, False]
    assert (clock(board).beat, clock(board).sampled, clock(board).missed) == (6, 3, 0)


def test_a_board_that_stood_still_past_half_a_period_has_missed_a_beat():
    board = begun()
    pass_s(board, 2)
    board.true_us += 3_400_000 + 3 * 1000 * P  # to 5 s behind beat 3
    board.poll()
    assert (clock(board).missed, clock(board).beat, len(board.samples)) == (2, 3, 2)
    board.true_us += 1000 * P + 31_000_000
    board.poll()
    assert (clock(board).missed, len(board.samples)) == (3, 2)
    pass_s(board, 30)
    assert clock(board).beat == 5 and len(board.samples) == 3


def test_a_sample_may_be_taken_before_its_beat():
    board = begun()
    pass_s(board, 60)
    assert clock(board).due() == 1 and not clock(board).passed
    assert board.node.take_sample(board.now[1]) < 0
    pass_s(board, 30)
    assert len(board.samples) == 1 and clock(board).sampled == 2 and clock(board).beat == 1


def test_the_swarm_speaks_up_before_a_beat_once_in_30_s():
    for period_ms, pauses in ((60_000, [60] * 4), (4_000, [32] * 7)):
        board = begun(Swarm(range(1, 7), 2, period_ms=period_ms))
        starts = []
        reset = board.node.trickle.reset
        board.node.trickle.reset = lambda now, news, board=board, starts=starts, reset=reset: (
            starts.append(board.true_us),
            reset(now, news),
        )
        pass_s(board, 301, 50)
        ahead = [(board.t0 - when) / 1e6 % (period_ms / 1000) for when in starts]
        assert all(1.4 < one <= 1.5 for one in ahead), ahead
        assert [round((b - a) / 1e6) for a, b in zip(starts, starts[1:], strict=False)][: len(pauses)] == pauses


def test_a_node_wakes_for_it():
    board = begun()
    pass_s(board, 20)
    board.node.trickle.due = (board.now[0] + 50_000) % PERIOD
    board.true_us = board.t0 + 1000 * P - 2_000_000
    assert 499 <= board.node.wait_ms(*board.now) <= 500


@pytest.mark.parametrize("fields", ({"mark": 3, "offset_us": 256_000_001}, {"mark": 3, "offset_us": -100_000_001}))
def test_an_instant_that_cannot_be_a_next_mark_tells_nothing(fields):
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 100, **ALL, **fields)
    assert not clock(board).known


def test_any_mark_and_offset_is_taken_or_not_without_an_exception_or_a_long_loop():
    last = module._LAST
    for mark in (0, 1, 2, 1000, last - 1, last):
        for offset_us in (-500_000_000, -100_000_000, -99_999_999, -1, 0, 1, 60_000_000, 256_000_000, 500_000_000):
            board = begun()
            pass_s(board, 1)
            for member in (2, 4, 2, 4):
                board.sequence[member] += 1
                fields = {"series": 9, "mark": mark, "offset_us": offset_us}
                board.hear(SWARM.frame(member, 5, board.sequence[member], **ALL, **fields))
            pass_s(board, 130)
            assert clock(board).mark <= last
            assert -500_000_000 <= clock(board).remaining_us(board.now[1]) <= 500_000_000


def test_the_clock_takes_nothing_by_traffic():
    board = begun()
    sizes = {name: type(value) for name, value in vars(clock(board)).items()}
    for time in range(300):
        say(board, (2, 4, 5)[time % 3], (-800_000, 300, 5_000_000, -20, 12_000)[time % 5])
        pass_s(board, 1)
    assert {name: type(value) for name, value in vars(clock(board)).items()} == sizes


def test_older_frames_are_counted_as_outdated():
    board = Board(SWARM, A, SESSION)
    frame = SWARM.parts(2, 5)
    board.hear(SWARM.seal({**frame, "kind": b"\x11"}))
    assert board.counter("outdated") == 1 and not board.live - {A}


def test_who_has_proposed_a_t0_itself_joins_as_any_other():
    board = Board(SWARM, A, SESSION)
    board.sequence = {2: 100}
    board.prove(2, 5, 100, **ALL)
    board.complete()
    assert clock(board).known and board.samples == []
    board.hear(SWARM.frame(2, 5, 101, **ALL, offset_us=20_000_000, series=9, mark=5))
    assert [late for _, _, late in board.samples] == [True]
    pass_s(board, 21)
    assert clock(board).series == 9 and clock(board).beat == 5 and len(board.samples) == 2


def test_who_has_passed_a_beat_already_takes_nobody_over_it():
    board = begun()
    board.true_us = board.t0 + 1000 * P - 2000
    board.poll()
    say(board, 2, 300, marks=1)
    assert clock(board).mark == 1 and clock(board)._lead_us == 300
    pass_s(board, 1)
    assert clock(board).beat == 1 and len(board.samples) == 2


@pytest.mark.parametrize("left_us", (-900_000, -1, 0, 1, 900_000))
def test_a_sample_is_late_where_a_leap_has_taken_the_node_over_its_beat_and_not_elsewhere(left_us):
    """left_us: from then to the beat, by the clock as it is moved."""
    board = begun()
    pass_s(board, 2)
    board.true_us = board.t0 + 1000 * P - 1_000_000 - left_us
    board.poll()
    for member in (2, 4):
        say(board, member, 1_000_000)
    over = [(-left_us, True)] if left_us <= 0 else []
    assert [sample[1:] for sample in board.samples[1:]] == over
    pass_s(board, 1 if left_us > 0 else 60)
    (_, late_us, late) = board.samples[-1]
    assert len(board.samples) == 2 + len(over) and late is False and 0 <= late_us < 250_000
    assert clock(board).missed == 0


@pytest.mark.parametrize("sampled", (False, True))
def test_who_gives_way_samples_the_next_beat_in_time(sampled):
    """Before the beat, which then comes later, and after it, when it is the others' next one, and sampled already."""
    board = begun()
    pass_s(board, 62 if sampled else 55)
    for time in range(16):
        say(board, (2, 4, 5)[time % 3], -7_000_000, marks=-sampled)
    assert clock(board).moved_us == -7_000_000
    pass_s(board, 66 if sampled else 16)
    assert [late for _, _, late in board.samples[1:]] == [False] * (1 + sampled)
    assert all(0 <= late_us < 250_000 for _, late_us, _ in board.samples[1:])
    assert clock(board).beat == 1 + sampled and clock(board).missed == 0


def test_what_is_followed_at_once_makes_no_sample_late():
    board = begun()
    pass_s(board, 2)
    for _ in range(20):
        say(board, 4, -100)  # the aim is a mean by then
    board.true_us = board.t0 + 1000 * P - 300_000
    board.poll()
    for before_us in (30_000, 20_000, 11_000):  # nearer than that a board hears nobody
        board.true_us = board.t0 + 1000 * P - before_us
        say(board, 2, 1500)
    pass_s(board, 1, 1)
    assert [late for _, _, late in board.samples] == [False, False]


def test_beats_over_which_a_leap_takes_a_node_are_missed():
    board = begun()
    pass_s(board, 2)
    for member in (2, 4):
        say(board, member, 3 * 1000 * P + 1_000_000, marks=3)
    assert clock(board).missed == 2 and len(board.samples) == 2
    pass_s(board, 60)
    assert clock(board).beat == 4 and len(board.samples) == 3

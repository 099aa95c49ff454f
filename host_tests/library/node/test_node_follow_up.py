"""The instant by follow-up: a frame counts from its sender's transmission before, as PTP's does; and how Trickle's
intervals go with the members in range and with readiness."""

import pytest

from swarm_fixture import IMAX_MS, IMIN_MS, PERIOD, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40
FOLLOW_UP = 8
ALL = {"heard": SWARM.members, "ready": (2, 4)}


@pytest.fixture(params=(0, PERIOD - 300_000, PERIOD - 1), ids=("", "wrap", "wrap at once"))
def us(request):
    """Where ticks_us begins."""
    return request.param


def remaining(board):
    """Microseconds to the instant that the board knows, or None."""
    first = board.node.first_sample
    return first.remaining_us(board.now[1]) if first.known else None


def hear(board, sequence, offset_us=None, transit_us=0, session=5, **fields):
    board.hear(SWARM.frame(2, session, sequence, offset_us=offset_us, **{**ALL, **fields}), transit_us)


def follow_up(board, sequence, offset_us, **more):
    hear(board, sequence, offset_us, flags=FOLLOW_UP, **more)


# Hearing


def test_a_follow_up_counts_from_the_transmission_before(us):
    board = Board(SWARM, A, SESSION, us=us)
    board.prove(2, 5, 7, heard=SWARM.members)
    hear(board, 8, transit_us=1500)
    board.true_us += 30_000
    follow_up(board, 9, 400_000, transit_us=20_000)
    assert remaining(board) == 400_000 - 1500 - 30_000


def test_who_has_not_heard_the_frame_before_is_told_nothing():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 7, heard=SWARM.members)
    follow_up(board, 9, 400_000)
    assert remaining(board) is None
    follow_up(board, 10, 400_000)
    assert remaining(board) == 400_000


@pytest.mark.parametrize("before, after", (((5, 7), (6, 8)), ((5, 7), (6, 1))))
def test_a_transmission_of_an_earlier_session_is_not_counted_from(before, after):
    board = Board(SWARM, A, SESSION)
    board.prove(2, *before, heard=SWARM.members)
    follow_up(board, after[1], 400_000, session=after[0])
    assert remaining(board) is None
    follow_up(board, after[1] + 1, 300_000, session=after[0])
    assert remaining(board) == 300_000


@pytest.mark.parametrize("before, counted", ((5, True), (4, False), (6, False)))
def test_a_frame_that_proves_its_sender_follows_one_of_its_session_that_proved_nothing(before, counted):
    board = Board(SWARM, A, SESSION)
    hear(board, 7, session=before)
    board.prove(2, 5, 8, offset_us=400_000, flags=FOLLOW_UP, **ALL)
    assert remaining(board) == (400_000 if counted else None) and board.ready == {2, 4}
    follow_up(board, 9, 300_000)
    assert remaining(board) == 300_000


def test_what_a_follow_up_does_not_tell_is_neither_lacked_nor_claimed():
    board = Board(SWARM, A, SESSION, lead_ms=10_000)
    board.complete()
    board.prove(2, 5, 7, **ALL)
    fields = {"heard": SWARM.members, "ready": (2, 3, 4), "flags": FOLLOW_UP}
    assert board.reaction(SWARM.frame(2, 5, 9, offset_us=1000, **fields)) == "consistent"
    instant_us = board.node.first_sample._instant_us
    assert board.reaction(SWARM.frame(2, 5, 11, offset_us=30_000_000, **fields)) == "consistent"
    assert board.urgent == set() and board.node.first_sample._instant_us == instant_us


@pytest.mark.parametrize(
    "later_us, reaction, echoed",
    ((1501, "reset", True), (1500, "consistent", False), (-200, "consistent", False), (-201, "reset", False)),
)
def test_a_follow_up_is_compared_more_strictly(later_us, reaction, echoed):
    board = Board(SWARM, A, SESSION, lead_ms=20_000)
    board.complete()
    board.prove(2, 5, 7, **ALL)
    board.settle()
    hear(board, 8, remaining(board), ready=(2, 3, 4))
    board.tell()
    frame = SWARM.frame(2, 5, 9, flags=FOLLOW_UP, ready=(2, 3, 4), heard=(1, 5), offset_us=remaining(board) + later_us)
    board.node.trickle.interval_ms = IMAX_MS
    board.node.trickle.heard = 0
    board.hear(frame)
    heard = board.node.trickle.heard
    assert ("reset" if board.node.trickle.interval_ms == IMIN_MS else "consistent" if heard else "") == reaction
    assert (board.echoes == [(2, 5)]) == echoed


def test_an_unproved_follow_up_makes_nodes_speak_and_is_not_taken():
    board = Board(SWARM, A, SESSION, lead_ms=20_000)
    board.complete()
    board.prove(2, 5, 7, **ALL)
    fields = {"heard": SWARM.members, "ready": (2, 3, 4)}
    cases = ((5000, "reset", True), (-5000, "reset", False), (1000, "consistent", False))
    for sequence, (later_us, reaction, echoed) in zip((20, 22, 24), cases, strict=True):
        board.settle()
        board.hear(SWARM.frame(4, 9, sequence, offset_us=remaining(board), **fields))
        board.tell()
        before = board.node.first_sample._instant_us
        board.node.trickle.interval_ms = IMAX_MS
        frame = SWARM.frame(4, 9, sequence + 1, flags=FOLLOW_UP, offset_us=remaining(board) + later_us, **fields)
        board.hear(frame)
        assert (board.node.trickle.interval_ms == IMIN_MS) == (reaction == "reset"), later_us
        assert (board.echoes == [(4, 9)]) == echoed, later_us
        assert board.node.first_sample._instant_us == before


# Speaking


def concluded(**options):
    """A board that has concluded, has sent one frame since, and says to the millisecond when its frames leave."""
    board = Board(SWARM, A, SESSION, lead_ms=60_000, **options)
    board.complete()
    board.prove(2, 5, 7, **ALL)
    return board


def test_most_frames_count_from_the_one_before_and_each_fourth_from_itself(us):
    board = concluded(us=us)
    instant_us = board.true_us + 60_000_000
    left_us, kinds = None, []
    for _ in range(9):
        sent = board.speak()
        kinds.append(sent.follow_up)
        since_us = left_us if sent.follow_up else board.true_us
        assert sent.offset_us == instant_us - since_us
        left_us = board.true_us + 700
        board.node.left(board.now[1] + 700)
    assert kinds == [False, True, True, False, True, True, True, False, True]


@pytest.mark.parametrize("after_us", ((0, 5000), (5000, 0)))
def test_of_several_links_the_earliest_counts(after_us):
    board = concluded()
    board.speak()
    left_us = board.true_us
    for link_us in after_us:
        board.node.left(board.now[1] + link_us)
    sent = board.speak()
    assert sent.follow_up and sent.offset_us == 60_000_000 - left_us


def test_a_frame_whose_departure_is_not_known_is_not_counted_from():
    board = concluded()
    board.speak()
    board.node.left(board.now[1])
    assert board.speak().follow_up
    assert not board.speak().follow_up, "the one before has not been told of"


@pytest.mark.parametrize("pause_ms, follows", ((3900, True), (4001, False)))
def test_a_departure_long_ago_is_not_counted_from(pause_ms, follows):
    board = concluded()
    board.speak()
    board.speak()  # the second: the next is not a fourth one
    board.node.left(board.now[1])
    board.true_us += pause_ms * 1000
    sent = board.speak(100)
    assert sent.follow_up == follows


def test_past_the_instant_a_follow_up_says_for_how_long():
    board = concluded()
    board.true_us += 61_000_000
    board.speak()
    board.node.left(board.now[1])
    left_us = board.true_us
    sent = board.speak()
    assert sent.follow_up and sent.offset_us == 60_000_000 - left_us < 0


def test_without_an_instant_there_is_no_follow_up():
    board = Board(SWARM, A, SESSION)
    board.speak()
    board.node.left(board.now[1])
    sent = board.speak()
    assert sent.offset_us is None and not sent.follow_up


# Imin by density


def crowd(members, imin_ms=IMIN_MS):
    """A board that has heard that many others."""
    swarm = Swarm(range(members + 1), 1)
    board = Board(swarm, 0, SESSION, imin_ms=imin_ms)
    for member in range(1, members + 1):
        board.hear(swarm.frame(member, 5))
    return board


@pytest.mark.parametrize(
    "members, imin_ms",
    ((1, 20), (5, 20), (6, 24), (7, 28), (50, 200), (100, 400), (511, 2044), (512, 2048), (513, 2048), (600, 2048)),
)
def test_imin_grows_with_the_members_in_range(members, imin_ms):
    board = crowd(members)
    assert board.node.trickle.imin_ms == imin_ms
    board.node.trickle.interval_ms = IMAX_MS
    board.complete()
    assert board.node.trickle.interval_ms == imin_ms


def test_a_slow_links_longer_imin_grows_as_much():
    assert crowd(5, imin_ms=70).node.trickle.imin_ms == 70
    assert crowd(50, imin_ms=70).node.trickle.imin_ms == 700


def test_a_member_counts_once_proved_or_not():
    board = crowd(40)
    swarm = board.swarm
    for sequence in range(2, 60):
        board.hear(swarm.frame(1, 5, sequence, echoes=[(0, SESSION)]))
    assert board.node.trickle.imin_ms == IMIN_MS * 40 // 5


def test_a_node_that_becomes_ready_repeats_its_shortest_interval():
    board = Board(SWARM, A, SESSION)
    board.settle()
    board.complete()
    intervals = [board.node.trickle.interval_ms]
    while len(intervals) < 4:
        begun = board.node.trickle._end
        while board.node.trickle._end == begun:
            board.pass_ms(1)
        intervals.append(board.node.trickle.interval_ms)
    assert intervals == [20, 20, 40, 80]

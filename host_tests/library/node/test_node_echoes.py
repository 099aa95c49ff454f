"""Step 2 of protocol.md's receiving, and what becomes of queued echoes."""

import pytest

from swarm_fixture import Board, Swarm

SWARM = Swarm(range(1, 31))
A, SESSION = 30, 40
ME = [(A, SESSION)]


@pytest.fixture
def board():
    return Board(SWARM, A, SESSION)


def queue(board, *members, session=5):
    """Let members that nobody knows say that they lack something."""
    for member in members:
        board.hear(SWARM.frame(member, session))
    return board.echoes


def test_a_proved_member_that_lacks_something_is_echoed(board):
    board.prove(2, 5, heard=(A,))
    assert board.echoes == []
    board.prove(3, 6, heard=(A,))
    assert board.echoes == [(3, 6)], "it does not know of 2"


def test_one_slot_a_member(board):
    assert queue(board, 2, 3, 2, 4, 3) == [(2, 5), (3, 5), (4, 5)]


def test_the_higher_session_keeps_the_slot_and_its_place(board):
    queue(board, 2, 3)
    assert queue(board, 2, session=9) == [(2, 9), (3, 5)]
    assert queue(board, 2, session=8) == [(2, 9), (3, 5)]


def test_at_most_16_wait_and_the_first_come_first(board):
    assert queue(board, *range(1, 21)) == [(member, 5) for member in range(1, 17)]
    assert queue(board, 16, 17, session=6) == [(member, 5) for member in range(1, 16)] + [(16, 6)]
    assert board.speak().echoes == [(member, 5) for member in range(1, 9)]
    assert board.echoes == [(member, 5) for member in range(9, 16)] + [(16, 6)]
    assert board.speak().echoes == [(member, 5) for member in range(9, 16)] + [(16, 6)]
    assert board.echoes == []
    assert board.speak().echoes == []


def test_who_found_no_slot_is_echoed_when_it_asks_again(board):
    queue(board, *range(1, 18))
    board.speak()
    assert queue(board, 17)[-1] == (17, 5)


def test_a_member_that_lacks_nothing_needs_no_echo(board):
    queue(board, 2, 3, 4)
    board.prove(3, 5, heard=(A,))
    assert board.echoes == [(2, 5), (4, 5)]


def test_an_unproved_member_that_lacks_nothing_leaves_the_queue_alone(board):
    queue(board, 2, 3, 4)
    board.hear(SWARM.frame(3, 5, heard=(A,)))
    assert board.echoes == [(2, 5), (3, 5), (4, 5)]


def test_what_another_member_echoes_need_not_be_said_again(board):
    queue(board, 2, 3, 4, 5)
    board.prove(6, 1, heard=(A,))
    board.hear(SWARM.frame(6, 1, 2, heard=(A,), echoes=[(5, 5), (2, 5), (9, 5)]))
    assert board.echoes == [(3, 5), (4, 5)]


def test_an_echo_of_another_session_or_member_answers_nothing(board):
    queue(board, 2, 3)
    board.prove(6, 1, heard=(A,))
    board.hear(SWARM.frame(6, 1, 2, heard=(A,), echoes=[(2, 4), (3, 6), (4, 5)]))
    assert board.echoes == [(2, 5), (3, 5)]


def test_of_a_member_that_lacks_something_no_echo_is_taken_as_said(board):
    queue(board, 2, 3)
    board.prove(6, 1)
    board.hear(SWARM.frame(6, 1, 2, echoes=[(2, 5)]))
    assert board.echoes == [(2, 5), (3, 5), (6, 1)]


def test_all_slots_may_be_forgotten_at_once(board):
    queue(board, *range(1, 9))
    board.prove(9, 1, heard=(A,))
    board.hear(SWARM.frame(9, 1, 2, heard=(A,), echoes=[(member, 5) for member in range(1, 9)]))
    assert board.echoes == []


def test_a_queued_echo_is_sent_though_enough_others_have_spoken(board):
    board.settle()
    queue(board, 2)
    for sequence in range(3):
        board.prove(5, 1, sequence + 1, heard=(A, 5))
    board.node.trickle.heard = 2
    assert board.node.trickle.suppressed()
    assert board.speak(16).echoes == [(2, 5)]


def test_without_one_the_node_is_silent_then(board):
    board.prove(5, 1, heard=(A,))
    board.settle()
    board.node.trickle.start(board.now[0])
    for sequence in (2, 3):
        board.hear(SWARM.frame(5, 1, sequence, heard=(A,)))
    before = board.counter("suppressed")
    assert board.pass_ms(16) == []
    assert board.counter("suppressed") == before + 1
    assert board.pass_ms(32), "an interval later it speaks again"


def test_eight_echoes_fit_beside_the_largest_bitmaps(board):
    largest = Swarm(range(680))
    big = Board(largest, 0, 1)
    for member in range(1, 20):
        big.hear(largest.frame(member, 7))
    assert len(big.speak().echoes) == 8


def test_who_needs_an_echo_speaks_at_last_however_many_say_the_same():
    # Member 4, unproved, claims readiness; member 2, proved, agrees with the board often enough to silence it for ever.
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 1)
    board.settle()
    sequence = 1

    def intervals(count):
        """Frames that the board sends in so many intervals in which member 2 says the same three times."""
        nonlocal sequence
        sent = 0
        for _ in range(count):
            begun = board.node.trickle._end
            while board.node.trickle._end == begun:
                if board.node.trickle.heard < 2:
                    sequence += 1
                    board.hear(SWARM.frame(2, 5, sequence, heard=(A,)))
                sent += len(board.pass_ms(1))
        return sent

    assert intervals(20) == 0
    board.hear(SWARM.frame(4, 9, heard=SWARM.members, ready=(4,)))
    assert (intervals(7), intervals(1), intervals(20)) == (0, 1, 0)

"""Step 2 of PROTOCOL.md's receiving, and what becomes of echoes: who is owed one, who waits for it, and who is told
more; and sessions that a member vouches for."""

import pytest

from swarm_fixture import IMIN_MS, Board, Swarm

SWARM = Swarm(range(1, 31))
A, SESSION = 30, 40
ME = [(A, SESSION)]
FRAME = 4  # echoes that a node puts into a frame


@pytest.fixture
def board():
    return Board(SWARM, A, SESSION)


def queue(board, *members, session=5, sequence=1):
    """Let members that nobody knows say that they lack something."""
    for member in members:
        board.hear(SWARM.frame(member, session, sequence))
    return board.echoes


def told(board, ms=3000):
    """The echoes of the next frame."""
    return board.speak(ms).echoes


# Owed, and waited for


def test_each_session_is_told_once_and_once_more_when_it_is_known_to_be_live(board):
    board.hear(SWARM.frame(2, 5, heard=(A, 3)))
    frame = board.speak()
    assert (frame.echoes, frame.live) == ([(2, 5)], set())
    assert board.speak().echoes == []
    board.prove(2, 5, 2, heard=(A,))
    frame = board.speak()
    assert (frame.echoes, frame.live) == ([(2, 5)], {2})
    assert board.speak().echoes == []


def test_a_reboot_is_told_as_live(board):
    board.prove(2, 5, heard=(A,))
    board.speak()
    board.hear(SWARM.frame(2, 6, heard=(A,)))
    frame = board.speak()
    assert (frame.echoes, frame.live) == ([(2, 6)], {2})


def test_who_lacks_something_and_has_not_been_told_waits(board):
    assert queue(board, 2, 3) == [(2, 5), (3, 5)]
    assert board.urgent == {2, 3}
    board.speak()
    assert (board.echoes, board.urgent) == ([], set())


def test_who_has_been_told_and_lacks_something_all_the_same_is_told_again_before_it_waits(board):
    queue(board, 2)
    board.speak()
    assert queue(board, 2, sequence=2) == [(2, 5)]
    assert board.urgent == set(), "it may have crossed the frame that told it"
    queue(board, 2, sequence=3)
    assert board.urgent == {2}


def test_of_a_later_session_that_is_told(board):
    queue(board, 2)
    assert queue(board, 2, session=9) == [(2, 9)]
    assert queue(board, 2, session=8) == [(2, 9)]
    assert told(board) == [(2, 9)]


def test_a_frame_holds_four_and_those_who_wait_come_first(board):
    for member in range(2, 9):
        board.hear(SWARM.frame(member, 5, heard=(A, *range(1, 30))))
    assert board.urgent == set() and len(board.echoes) == 7
    queue(board, 20, 25)
    first = told(board)
    assert len(first) == FRAME and {(20, 5), (25, 5)} <= set(first)
    said = first + told(board) + told(board)
    assert sorted(said) == [*((member, 5) for member in range(2, 9)), (20, 5), (25, 5)], "and each once"


@pytest.mark.parametrize("waiting", range(1, 13))
def test_all_who_wait_are_told_four_at_a_time(board, waiting):
    members = set(range(2, 2 + waiting))
    queue(board, *members)
    said = []
    while board.urgent:
        echoes = told(board)
        assert len(echoes) == min(FRAME, waiting - len(said))
        said += echoes
    assert {member for member, _ in said} == members and len(said) == waiting


def test_a_member_that_lacks_nothing_waits_no_more(board):
    queue(board, 2, 3, 4)
    board.prove(3, 5, 2, heard=SWARM.members)
    assert board.urgent == {2, 4}


def test_an_unproved_member_that_lacks_nothing_goes_on_waiting(board):
    queue(board, 2, 3, 4)
    board.hear(SWARM.frame(3, 5, 2, heard=(A,)))
    assert board.urgent == {2, 3, 4}


def test_what_another_member_echoes_need_not_be_said_at_once(board):
    queue(board, 2, 3, 4, 5)
    board.prove(6, 1, heard=(A,))
    board.hear(SWARM.frame(6, 1, 2, heard=(A,), echoes=[(5, 5), (2, 5), (9, 5)]))
    assert board.urgent == {3, 4}


def test_an_echo_of_another_session_or_member_answers_nothing(board):
    queue(board, 2, 3)
    board.prove(6, 1, heard=(A,))
    board.hear(SWARM.frame(6, 1, 2, heard=(A,), echoes=[(2, 4), (3, 6), (4, 5), (31, 5), (0, 5)]))
    assert board.urgent == {2, 3}


def test_of_a_member_that_lacks_something_no_echo_is_taken_as_said(board):
    queue(board, 2, 3)
    board.prove(6, 1, heard=(A,), ready=(7,))
    board.hear(SWARM.frame(6, 1, 2, heard=(A,), echoes=[(2, 5)]))
    assert board.urgent >= {2, 3}


def test_the_node_speaks_for_who_waits_though_enough_others_have_spoken(board):
    board.settle()
    board.prove(5, 1, heard=SWARM.members)
    queue(board, 2)
    board.node.trickle.heard = 100
    assert (2, 5) in board.speak(IMIN_MS + 1).echoes


def test_for_who_is_owed_it_does_not(board):
    board.prove(5, 1, heard=(A,))
    board.settle()
    board.node.trickle.start(board.now[0])
    board.hear(SWARM.frame(5, 1, 2, heard=(A,)))
    board.hear(SWARM.frame(6, 1, heard=(A, 5)))
    assert board.node.trickle.heard or board.urgent == set()
    board.node.trickle.heard = 1
    before = board.counter("suppressed")
    assert board.urgent == set() and board.pass_ms(IMIN_MS) == []
    assert board.counter("suppressed") == before + 1


# The room that is left


def test_who_waits_is_told_of_others_in_the_room_that_is_left(board):
    for member in (2, 3):
        board.prove(member, 7, heard=(A, 2))
    board.tell()
    queue(board, 9)
    frame = board.speak()
    assert frame.echoes[0] == (9, 5)
    assert set(frame.echoes[1:]) == {(2, 7), (3, 7)} and frame.live == {2, 3}


def test_nobody_else_is(board):
    board.prove(2, 7, heard=(A,))
    board.tell()
    board.hear(SWARM.frame(9, 5, heard=(A, 2)))
    assert board.urgent == set()
    assert board.speak().echoes == [(9, 5)]


def test_each_newcomer_is_told_of_other_members(board):
    for member in range(1, 29):
        board.prove(member, 7, heard=SWARM.members)
    board.tell()
    seen = set()
    for sequence in range(1, 40):
        board.node.echoes.owe(28)
        board.hear(SWARM.frame(29, 5, sequence))
        board.node.echoes.need(28)
        echoes = told(board)
        assert len(echoes) == len(set(echoes)) == FRAME and (A, SESSION) not in echoes
        assert echoes[0] == (29, 5)
        seen |= {member for member, _ in echoes}
    assert len(seen) >= 12, "it begins at other members each time"


def test_echoes_fit_beside_the_largest_bitmaps():
    largest = Swarm(range(680))
    big = Board(largest, 0, 1)
    for member in (1, 7, 8, 400, 679):
        big.hear(largest.frame(member, 7))
    said = [echo for _ in range(2) for echo in big.speak().echoes]
    assert sorted(said) == [(member, 7) for member in (1, 7, 8, 400, 679)]


# Vouching


def vouch(board, *echoes, sender=2, sequence=2, **fields):
    """Member 2, which has proved itself, says which sessions it knows to be live."""
    board.hear(SWARM.frame(sender, 5, sequence, **{"heard": (*range(1, 12), A), **fields}, echoes=echoes))


@pytest.fixture
def proved(board):
    """The board knows member 2 to be live, and that 1 ... 11 take part."""
    board.prove(2, 5, heard=(*range(1, 12), A))
    board.tell()
    return board


@pytest.mark.parametrize("member", (1, 8, 9, 11, 29))
def test_a_member_that_a_live_one_vouches_for_counts_without_a_proof(proved, member):
    vouch(proved, (member, 9, True))
    assert proved.live == {2, member, A}
    assert proved.session_of(member) == 9
    assert proved.echoes == [(member, 9)]
    proved.hear(SWARM.frame(member, 9, 1, ready=(member,)))
    assert member in proved.ready
    assert proved.counter("unproved") == 0


def test_without_the_bit_an_echo_vouches_for_nobody(proved):
    vouch(proved, (4, 9))
    assert proved.live == {2, A} and proved.session_of(4) == 0


def test_who_is_not_live_vouches_for_nobody(board):
    board.hear(SWARM.frame(2, 5, heard=range(1, 12)))
    vouch(board, (4, 9, True))
    assert board.live == {A} and board.session_of(4) == 0


def test_a_frame_that_is_a_recording_vouches_for_nobody(proved):
    vouch(proved, (4, 9, True), sequence=1)
    assert proved.live == {2, A}


def test_who_proves_itself_may_vouch_in_the_same_frame(board):
    board.prove(2, 5, heard=range(1, 12))
    board.hear(SWARM.frame(3, 6, heard=range(1, 12), echoes=[*ME, (4, 9, True)]))
    assert board.live == {2, 3, 4, A}


def test_nobody_vouches_for_this_node_for_strangers_or_anew_for_who_is_live(proved):
    proved.prove(4, 7, 30, heard=range(1, 12))
    for echo in ((A, SESSION + 1, True), (31, 9, True), (0, 9, True), (4, 9, True), (4, 6, True), (2, 99, True)):
        vouch(proved, echo, sequence=proved.node.sessions.heard[3 * 1 + 1] + 1)
    assert proved.live == {2, 4, A}
    assert (proved.session_of(4), proved.session_of(2), proved.session_of(A)) == (7, 5, 0)
    proved.hear(SWARM.frame(4, 7, 30))
    assert proved.counter("replayed") == 1, "its sequence stays"


@pytest.mark.parametrize("heard, counts", ((9, False), (8, True), (10, True)))
def test_a_sequence_is_forgotten_when_it_is_of_another_session(proved, heard, counts):
    proved.hear(SWARM.frame(4, heard, 50, heard=range(1, 12)))
    vouch(proved, (4, 9, True))
    assert proved.session_of(4) == 9
    proved.hear(SWARM.frame(4, 9, 50, ready=(4,)))
    assert (4 in proved.ready) == counts


def test_who_is_vouched_for_with_a_session_that_it_has_left_is_counted_as_rebooted(proved):
    vouch(proved, (4, 9, True))
    proved.hear(SWARM.frame(4, 8, 1, ready=(4,)))
    assert proved.counter("stale") == 1
    proved.hear(SWARM.frame(4, 10, 1, ready=(4,)))
    assert proved.counter("restarts") == 1 and 4 in proved.ready


def test_a_frame_of_an_older_generation_vouches_too(proved):
    proved.hear(SWARM.frame(2, 5, 2, generation=3, heard=range(1, 12)))
    vouch(proved, (4, 9, True), sequence=3)
    assert proved.live == {2, 4, A}


def test_what_is_taken_from_another_is_vouched_for(proved):
    vouch(proved, (4, 9, True))
    assert proved.speak().live == {4}


def test_any_of_680_members_can_be_vouched_for():
    largest = Swarm(range(680))
    for member in (1, 7, 8, 255, 256, 511, 678, 679):
        big = Board(largest, 0, SESSION)
        big.prove(300, 5, heard=largest.members)
        big.hear(largest.frame(300, 5, 2, heard=largest.members, echoes=[(member, 9, True)] * 8))
        assert big.live == {0, 300, member} and big.session_of(member) == 9


# The last resort


def test_who_needs_an_echo_speaks_at_last_however_many_say_the_same():
    # Member 4, unproved, claims readiness; member 2, proved, agrees with the board often enough to silence it for ever.
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 1)
    board.settle()
    sequence = 1

    def intervals(count):
        """Frames that the board sends in so many intervals in which member 2 says the same."""
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

"""Step 1 of PROTOCOL.md's receiving: which session of a member is live, and what its reboots mean."""

import pytest

from swarm_fixture import Board, Swarm, memory

SWARM = Swarm((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 10)
A = 3  # the node under test, in session SESSION
SESSION = 40
ME = [(A, SESSION)]


@pytest.fixture
def board():
    return Board(SWARM, A, SESSION)


def hear(board, sender, session, sequence=1, **fields):
    board.hear(SWARM.frame(sender, session, sequence, **fields))


# Nothing stored


@pytest.mark.parametrize(
    "echoes",
    ((), [(A, SESSION - 1)], [(A, SESSION + 1)], [(4, SESSION)], [(4, SESSION), (A, 1)], [(4, SESSION)] * 8),
)
def test_without_an_echo_of_the_current_session_nothing_in_the_frame_counts(board, echoes):
    board.settle()
    before = memory(board.node)
    hear(board, 2, 5, 6, ready=(2, 4), generation=9, offset_us=1000, echoes=echoes)
    assert board.counter("unproved") == 1
    after = memory(board.node)
    for saved in (before, after):
        del saved[2]  # Trickle may be reset
        # What is noted of any sender: that it claims, its session, and when it spoke; and that it is to be told so.
        del saved[0]["_asks"], saved[4]["heard"], saved[5:]
    assert after == before


@pytest.mark.parametrize("echoes", (ME, [(4, 1), *ME], [(4, SESSION)] * 7 + ME))
def test_an_echo_of_the_current_session_proves_the_sender(board, echoes):
    hear(board, 2, 5, 6, ready=(2, 4), echoes=echoes)
    assert board.session_of(2) == 5
    assert board.ready == {2, 4}
    assert board.counter("unproved") == 0
    hear(board, 2, 5, 6, ready=(2, 4, 5), echoes=echoes)
    assert board.counter("replayed") == 1, "the sequence is stored with the session"


def test_one_proof_lasts_for_the_session(board):
    board.prove(2, 5, 6)
    hear(board, 2, 5, 7, ready=(2,))
    assert board.ready == {2}


def test_a_proof_of_one_member_is_none_of_another(board):
    board.prove(2, 5, 6, ready=(4,))
    hear(board, 4, 5, 7, ready=(4, 5))
    assert board.counter("unproved") == 1
    assert board.ready == {4}


def test_unproved_and_lacking_queues_an_echo_and_resets_trickle(board):
    assert board.reaction(SWARM.frame(2, 5)) == "reset"
    assert board.echoes == [(2, 5)]


def test_unproved_and_claiming_resets_trickle_so_that_the_sender_can_prove_itself(board):
    assert board.reaction(SWARM.frame(2, 5, heard=(2, A))) == "reset"
    assert (board.echoes, board.urgent) == ([(2, 5)], set())


def test_unproved_of_a_newer_generation_claims(board):
    assert board.reaction(SWARM.frame(2, 5, generation=1)) == "reset"
    assert board.urgent == set()
    assert board.node.knowledge.generation == 0


def test_unproved_of_an_older_generation_lacks(board):
    board.prove(4, generation=2, heard=(2, 4))
    assert board.reaction(SWARM.frame(2, 5, heard=SWARM.members, generation=1)) == "reset"
    assert board.echoes[-1] == (2, 5)


def test_unproved_with_the_same_bits_is_consistent(board):
    board.prove(4, heard=(2,))
    assert board.reaction(SWARM.frame(2, 5, heard=(2, A, 4))) == "consistent"
    assert board.urgent == set()


# Stored and equal


@pytest.mark.parametrize("sequence", (1, 5, 6))
def test_a_sequence_not_above_the_last_is_dropped(board, sequence):
    board.prove(2, 5, 6)
    board.settle()
    before = memory(board.node)
    hear(board, 2, 5, sequence, ready=(2, 4), generation=3, echoes=ME)
    assert board.counter("replayed") == 1
    assert memory(board.node) == before


def test_a_higher_sequence_counts_once(board):
    board.prove(2, 5, 6)
    hear(board, 2, 5, 900, ready=(2,))
    hear(board, 2, 5, 899, ready=(2, 4))
    hear(board, 2, 5, 900, ready=(2, 4))
    assert board.ready == {2}
    assert board.counter("replayed") == 2


# Stored and higher


@pytest.mark.parametrize("session, sequence", ((4, 6), (4, 7), (1, 1), (4, (1 << 30) - 1)))
def test_a_lower_session_is_dropped(board, session, sequence):
    board.prove(2, 5, 6)
    board.settle()
    before = memory(board.node)
    hear(board, 2, session, sequence, ready=(2, 4), generation=3, echoes=ME)
    assert board.counter("stale") == 1
    assert memory(board.node) == before


# Stored and lower: a reboot


def test_a_reboot_is_counted_and_its_session_and_sequence_are_stored(board):
    board.prove(2, 5, 600)
    hear(board, 2, 6, 3)
    assert board.counter("restarts") == 1
    assert board.session_of(2) == 6
    hear(board, 2, 6, 3, ready=(2,))
    assert board.counter("replayed") == 1
    hear(board, 2, 5, 601, ready=(2,))
    assert board.counter("stale") == 1
    hear(board, 2, 6, 4, ready=(2,))
    assert board.ready == {2}
    assert board.counter("restarts") == 1


def test_a_reboot_needs_no_new_proof(board):
    board.prove(2, 5)
    hear(board, 2, 6, ready=(2,))
    assert board.ready == {2}


def test_a_ping_of_a_member_that_was_ready_begins_a_generation_with_own_bits_only(board):
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    assert board.reaction(SWARM.frame(2, 6)) == "reset"
    assert board.node.knowledge.generation == 1
    assert board.heard == board.ready == {A}
    assert board.echoes == [(2, 6)], "what is of an older generation lacks"


def test_a_ready_of_a_member_that_was_ready_begins_none(board):
    board.prove(2, 5, ready=(2, 4))
    hear(board, 2, 6, ready=(2,))
    assert board.node.knowledge.generation == 0
    assert board.ready == {2, 4}


def test_a_ping_of_a_member_that_was_not_ready_begins_none(board):
    board.prove(2, 5, ready=(4,))
    hear(board, 2, 6)
    assert board.node.knowledge.generation == 0
    assert board.ready == {4}


def test_a_ping_of_the_same_session_begins_none(board):
    # As a relay would say it: the sender's own kind is its word, and only a reboot takes it back.
    board.prove(2, 5, 6, ready=(2,))
    hear(board, 2, 5, 7)
    assert board.node.knowledge.generation == 0
    assert board.ready == {2}


# ... and the doubt that it leaves, in a member of the first and one of the second byte


@pytest.fixture(params=(2, 10))
def rebooted(request, board):
    """A member that has rebooted and has not said since that it is ready, and was not counted ready."""
    board.prove(request.param, 5)
    board.prove(4, 1)
    hear(board, request.param, 6)
    assert board.node.knowledge.generation == 0
    return request.param


def test_who_says_that_it_is_ready_before_itself_has_begins_a_generation_once(board, rebooted):
    assert board.reaction(SWARM.frame(4, 1, 2, ready=(rebooted, 5))) == "reset"
    assert board.node.knowledge.generation == 1
    assert board.ready == set()
    assert board.heard == {A}, "nothing of the frame is merged"
    hear(board, 4, 1, 3, generation=1, ready=(rebooted, 5))
    assert board.node.knowledge.generation == 1
    assert board.ready == {rebooted, 5}


def test_the_word_of_any_other_member_raises_the_doubt(board, rebooted):
    for sender in set(SWARM.members) - {A, rebooted}:
        generation = board.node.knowledge.generation
        board.prove(sender, 7, 1, generation=generation, heard=(A,))
        hear(board, sender, 7, 2, generation=generation, ready=(rebooted,))
        assert board.node.knowledge.generation == generation + 1
        hear(board, rebooted, 10 + sender, generation=generation + 1)


def test_its_own_ready_ends_the_doubt(board, rebooted):
    hear(board, rebooted, 6, 2, ready=(rebooted,))
    hear(board, 4, 1, 2, ready=(rebooted, 5))
    assert board.node.knowledge.generation == 0
    assert board.ready == {rebooted, 5}


def test_its_own_ready_of_an_older_generation_ends_the_doubt_too(board, rebooted):
    hear(board, 4, 1, 2, generation=1)
    hear(board, rebooted, 6, 2, ready=(rebooted,))
    hear(board, 4, 1, 3, generation=1, ready=(rebooted,))
    assert board.node.knowledge.generation == 1


def test_what_it_carries_of_itself_in_a_ping_is_no_others_word(board, rebooted):
    hear(board, rebooted, 6, 2, heard=(rebooted,))
    parts = SWARM.parts(rebooted, 6, 3, ready=(rebooted,))
    board.hear(SWARM.seal({**parts, "kind": b"\x11"}))
    assert board.node.knowledge.generation == 0


def test_the_doubt_is_of_that_member_only(board, rebooted):
    hear(board, 4, 1, 2, ready=(1, 4, 5, 6, 7, 8, 9))
    assert board.node.knowledge.generation == 0
    assert board.ready == {1, 4, 5, 6, 7, 8, 9}


def test_participation_is_not_doubted(board, rebooted):
    hear(board, 4, 1, 2, heard=SWARM.members)
    assert board.node.knowledge.generation == 0
    assert board.heard == set(SWARM.members)


def test_each_further_reboot_is_doubted_again(board, rebooted):
    hear(board, 4, 1, 2, ready=(rebooted,))
    assert board.node.knowledge.generation == 1
    hear(board, rebooted, 7, generation=1)
    hear(board, 4, 1, 3, generation=1, ready=(rebooted,))
    assert board.node.knowledge.generation == 2
    hear(board, 4, 1, 4, generation=2, ready=(rebooted,))
    assert board.node.knowledge.generation == 2


def test_the_doubt_outlives_a_generation_and_meets_a_newer_one(board, rebooted):
    hear(board, 4, 1, 2, generation=5, ready=(rebooted, 4))
    assert board.node.knowledge.generation == 6
    assert board.ready == set()


def test_the_doubts_of_several_members_are_settled_together(board, rebooted):
    board.prove(5, 1)
    hear(board, 5, 2)
    hear(board, 4, 1, 2, ready=(rebooted, 5))
    assert board.node.knowledge.generation == 1
    hear(board, 4, 1, 3, generation=1, ready=(rebooted, 5))
    assert board.node.knowledge.generation == 1
    assert board.ready == {rebooted, 5}


def test_a_doubt_that_nobody_raised_stays(board, rebooted):
    board.prove(5, 1)
    hear(board, 5, 2)
    hear(board, 4, 1, 2, ready=(rebooted,))
    assert board.node.knowledge.generation == 1
    hear(board, 4, 1, 3, generation=1, ready=(5,))
    assert board.node.knowledge.generation == 2


def test_a_ping_of_a_reboot_that_was_counted_ready_is_doubted_as_well(board):
    # Two nodes that saw different reboots reach generation 1 each on its own; one still carries the old readiness.
    board.prove(2, 5, ready=(2,))
    board.prove(4, 1)
    hear(board, 2, 6)
    assert board.node.knowledge.generation == 1
    hear(board, 4, 1, 2, generation=1, ready=(2,))
    assert board.node.knowledge.generation == 2
    assert board.ready == set()


def test_the_first_session_of_all_has_a_reboot_too(board):
    board.prove(2, 1)
    hear(board, 2, 2)
    assert board.counter("restarts") == 1


def test_one_reboot_makes_nobody_else_doubted(board):
    board.prove(2)
    board.prove(4)
    board.prove(5, 7)
    hear(board, 5, 8)
    hear(board, 2, 1, 2)
    hear(board, 4, 1, 2, ready=(2,))
    assert board.node.knowledge.generation == 0 and 2 in board.ready


LARGE = Swarm(range(1, 81), 80)


@pytest.mark.parametrize("member", (2, 9, 17, 24, 40, 65, 80))
def test_in_a_large_swarm_only_the_reboot_of_who_was_ready_begins_a_generation(member):
    for ready, generation in ((member, 1), (member - 1 if member > 2 else 3, 0)):
        board = Board(LARGE, 1, SESSION)
        board.prove(member)
        board.prove(50, ready=(ready,))
        board.hear(LARGE.frame(member, 2))
        assert (board.counter("restarts"), board.node.knowledge.generation) == (1, generation)


@pytest.mark.parametrize("member", (2, 9, 17, 24, 40, 63, 64, 72, 80))
def test_in_a_large_swarm_any_bit_can_be_the_one_that_a_frame_lacks(member):
    board = Board(LARGE, 1, SESSION)
    board.prove(50, heard=LARGE.members)
    board.tell()
    board.hear(LARGE.frame(50, 1, 2, heard=[other for other in LARGE.members if other != member]))
    assert board.echoes == ([(50, 1)] if member != 50 else [])


def test_only_the_frame_right_after_another_is_its_follow_up_while_nothing_is_proved(board):
    for sequence, follows in ((5, False), (6, True), (6, False), (4, False), (5, False), (7, True)):
        hear(board, 2, 1, sequence, offset_us=1000, flags=8)
        assert (board.node.sessions.since_us is not None) == follows, sequence

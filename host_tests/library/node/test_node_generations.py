"""Step 3 of PROTOCOL.md's receiving: generations, and starting over."""

import pytest

from swarm_fixture import Board, Swarm, snapshot

SWARM = Swarm(range(1, 11), 3)
A, SESSION = 3, 40
LAST = (1 << 30) - 1


@pytest.fixture
def board():
    return Board(SWARM, A, SESSION)


def hear(board, sender, session, sequence=1, **fields):
    board.hear(SWARM.frame(sender, session, sequence, **fields))


def test_a_newer_generation_is_adopted_with_own_bits_only_and_the_frame_is_merged(board):
    board.complete()
    board.prove(2, 5, heard=(2, 7), ready=(8,))
    assert board.reaction(SWARM.frame(2, 5, 2, generation=4, heard=(9,))) == "reset"
    assert board.node.knowledge.generation == 4
    assert board.heard == {2, 9, A}
    assert board.ready == {A}


def test_all_of_the_frame_is_merged_whatever_was_news_before(board):
    board.prove(2, 5, heard=SWARM.members)
    hear(board, 2, 5, 2, heard=SWARM.members, ready=(10,))
    hear(board, 2, 5, 3, generation=4, heard=(1, 9), ready=(4, 10))
    assert board.heard == {1, 2, A, 4, 9, 10}
    assert board.ready == {4, 10}


def test_adopting_while_not_ready_keeps_participation(board):
    board.prove(2, 5, generation=LAST, ready=(2,))
    assert board.node.knowledge.generation == LAST
    assert board.heard == {A, 2}
    assert board.state == "Pinging"


def test_an_older_generation_resets_trickle_and_is_not_merged(board):
    board.prove(2, 5, generation=4)
    frame = SWARM.frame(2, 5, 2, generation=3, ready=(2, 7), offset_us=1000)
    assert board.reaction(frame) == "reset"
    assert board.node.knowledge.generation == 4
    assert board.heard == {A, 2}
    assert board.ready == set()
    assert not board.node.first_sample.known
    assert board.echoes == [(2, 5)]


def test_the_machine_of_a_new_generation_is_fresh_and_fed_with_what_is_known(board):
    board.complete()
    board.prove(2, 5, ready=(2,))
    assert board.node.machine.collecting_count == 2
    hear(board, 2, 5, 2, generation=1, heard=(7,))
    machine = board.node.machine
    assert board.state == "Collecting"
    assert machine.completed
    assert SWARM.ids(machine.collecting) == {A}
    assert SWARM.ids(machine.pinging) == {A}, "participation is not taken in while collecting"
    hear(board, 7, 1, 1, generation=1, ready=(7,), echoes=[(A, SESSION)])
    assert board.state == "Collecting", "2 of 3: the ready of the earlier generation do not count"
    hear(board, 2, 5, 3, generation=1, ready=(2,))
    assert board.state == "Bootstrapped"


def test_a_node_that_is_not_ready_starts_over_in_pinging(board):
    board.prove(2, 5, ready=(2, 7, 8, 9))
    hear(board, 2, 5, 2, generation=1)
    assert board.state == "Pinging"
    assert SWARM.ids(board.node.machine.pinging) == {A, 2}
    assert SWARM.ids(board.node.machine.collecting) == set()
    board.complete()
    assert board.state == "Collecting"


def test_a_machine_that_has_concluded_stays(board):
    board.complete()
    board.prove(2, 5, ready=(2, 7))
    assert board.state == "Bootstrapped"
    collecting = bytes(board.node.machine.collecting)
    hear(board, 2, 5, 2, generation=1)
    assert board.state == "Bootstrapped"
    assert bytes(board.node.machine.collecting) == collecting
    assert board.ready == {A}
    sent = board.speak()
    assert sent.bootstrapped
    assert (sent.generation, sent.ready) == (1, {A})


@pytest.mark.parametrize("node_id", (3, 10))
def test_who_says_that_this_node_is_ready_while_it_is_not_has_not_seen_its_reboot(node_id):
    board = Board(SWARM, node_id, SESSION)
    board.prove(2, 5, ready=(2,))
    frame = SWARM.frame(2, 5, 2, ready=(2, node_id, 7), offset_us=50_000)
    assert board.reaction(frame) == "reset"
    assert board.node.knowledge.generation == 1
    assert board.heard == {node_id}
    assert board.ready == set()
    assert not board.node.first_sample.known, "nothing more of that frame is used"


def test_the_same_in_a_newer_generation(board):
    board.prove(2, 5, generation=8, ready=(A,))
    assert board.node.knowledge.generation == 9
    assert board.heard == {A}


def test_the_same_in_an_older_generation_only_lacks(board):
    board.prove(2, 5, generation=8)
    hear(board, 2, 5, 2, generation=7, ready=(A,))
    assert board.node.knowledge.generation == 8
    assert board.heard == {A, 2}


def test_a_node_that_is_ready_agrees_that_it_is(board):
    board.complete()
    board.prove(2, 5, ready=(2, A))
    assert board.node.knowledge.generation == 0
    assert board.ready == {2, A}


def test_it_takes_part_is_no_contradiction(board):
    board.prove(2, 5, heard=(A,))
    assert board.node.knowledge.generation == 0


def test_the_last_generation_goes_on(board):
    board.prove(2, 5, generation=LAST, ready=(2, A))
    assert board.node.knowledge.generation == LAST
    assert board.ready == set()
    hear(board, 2, 6, generation=LAST)
    assert board.node.knowledge.generation == LAST
    assert board.speak().generation == LAST


def test_own_bits_are_said_again_in_the_new_generation(board):
    board.complete()
    board.prove(2, 5, generation=3)
    sent = board.speak()
    assert (sent.generation, sent.ready, sent.heard, sent.is_ready) == (3, {A}, {A, 2}, True)


def test_the_deadline_runs_on():
    board = Board(SWARM, A, SESSION, deadline_ms=1000)
    board.pass_ms(900)
    board.prove(2, 5, generation=3)
    board.pass_ms(99)
    assert board.counter("timeouts") == 0
    board.pass_ms(1)
    assert board.counter("timeouts") == 1


def test_a_new_generation_keeps_the_first_sample(board):
    board.prove(2, 5, offset_us=80_000)
    before = snapshot(board.node)[4]
    hear(board, 2, 5, 2, generation=3, offset_us=80_000)
    assert snapshot(board.node)[4] == before
    assert board.speak().offset_us is not None

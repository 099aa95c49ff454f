"""Steps 4 and 6 of PROTOCOL.md's receiving, and the conclusion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction.core import ACCEPTED, PARTICIPATION_OBSERVED, READY_OBSERVED
from faction.names import missing
from swarm_fixture import IMIN_MS, Board, Swarm

SWARM = Swarm(range(1, 11), 3)
A, SESSION = 3, 40
ME = [(A, SESSION)]


@pytest.fixture
def board():
    return Board(SWARM, A, SESSION)


class Observer:
    """Keeps the accepted commands of a machine."""

    def __init__(self):
        self.commands = []

    def observe(self, machine, before, command, peer_id):
        self.commands.append((command, peer_id))

    def observe_query(self, machine):
        raise AssertionError("a node asks nothing")

    def observe_rejection(self, machine, command, peer_id):
        self.commands.append((command, peer_id, "rejected"))


def test_every_new_bit_becomes_a_command_and_is_relayed():
    observer = Observer()
    board = Board(SWARM, A, SESSION, observer=observer)
    assert observer.commands == [(PARTICIPATION_OBSERVED, A)]
    board.prove(2, 5, heard=(A, 9), ready=(10,))
    joined = [(PARTICIPATION_OBSERVED, member) for member in (2, 9, 10)]
    assert observer.commands[1:] == [*joined, (READY_OBSERVED, 10)]
    del observer.commands[:]
    board.prove(9, 5, heard=(A, 2, 10), ready=(10, 1))
    assert observer.commands == [(PARTICIPATION_OBSERVED, 1), (READY_OBSERVED, 1)], "what is known is not said again"
    sent = board.speak()
    assert (sent.heard, sent.ready) == ({1, 2, A, 9, 10}, {1, 10})


def test_news_reset_trickle_and_their_repetition_is_consistent(board):
    board.prove(2, 5, ready=(2,))
    assert board.reaction(SWARM.frame(2, 5, 2, heard=(A,), ready=(2, 7))) == "reset"
    assert board.reaction(SWARM.frame(2, 5, 3, heard=(A,), ready=(2, 7))) == "consistent"


def test_who_lacks_something_resets_trickle(board):
    board.prove(2, 5, ready=(2,))
    assert board.reaction(SWARM.frame(2, 5, 2, heard=(2,), ready=(2,))) == "reset"
    assert board.reaction(SWARM.frame(2, 5, 3, heard=(2, A))) == "reset"


def test_who_both_lacks_and_claims_is_echoed_and_merged(board):
    board.prove(2, 5, heard=(A,), ready=(7,))
    assert board.reaction(SWARM.frame(2, 5, 2, heard=(A,), ready=(8,))) == "reset"
    assert board.ready == {7, 8}
    assert board.echoes == [(2, 5)]


@given(st.data())
def test_order_and_repetition_of_frames_do_not_matter(data):
    others = [member for member in SWARM.members if member != A]
    sets = st.sets(st.sampled_from(others))
    said = data.draw(st.dictionaries(st.sampled_from(others), st.tuples(sets, sets), min_size=1))
    order = data.draw(st.permutations([*said, *said]))
    completes_at = data.draw(st.integers(0, len(order)))
    board = Board(SWARM, A, SESSION)
    for sequence, member in enumerate(order, 1):
        if sequence == completes_at:
            board.complete()
        heard, ready = said[member]
        board.hear(SWARM.frame(member, 5, sequence, heard=heard, ready=ready, echoes=ME))
    everything = set().union(*(ready for _, ready in said.values()))
    assert board.ready == everything | ({A} if board.node.ready() else set())
    heard = set().union(*(heard for heard, _ in said.values()))
    assert board.heard == {A, *said, *everything, *heard}
    if board.state == "Pinging":
        assert SWARM.ids(board.node.machine.collecting) == board.ready
        assert SWARM.ids(board.node.machine.pinging) == board.heard
    assert (board.state == "Bootstrapped") == (board.node.ready() and len(board.ready) >= SWARM.required)


@pytest.mark.parametrize("local_last", (True, False))
@pytest.mark.parametrize("required", range(1, 6))
def test_concludes_exactly_when_ready_itself_and_enough_are_ready(required, local_last):
    swarm = Swarm(range(1, 6), required)
    board = Board(swarm, A, SESSION)
    if not local_last:
        board.complete()
    for sequence, ready in enumerate(([1], [1, 2], [1, 2, 4], [1, 2, 4, 5]), 1):
        known = len(ready) + board.node.ready()
        board.hear(swarm.frame(2, 5, sequence, heard=(2, A), ready=ready, echoes=ME))
        assert (board.state == "Bootstrapped") == (board.node.ready() and known >= required)
    assert local_last == (board.state == "Pinging")
    board.complete()
    assert board.state == "Bootstrapped"


def test_own_bit_in_a_frame_does_not_count_twice():
    board = Board(Swarm((1, 2, A), 2), A, SESSION)
    board.complete()
    board.prove(2, 5, ready=(A,))
    assert board.state == "Collecting"
    assert board.node.machine.collecting_count == 1


def test_after_the_conclusion_the_bitmaps_go_on_and_the_machine_does_not():
    observer = Observer()
    board = Board(SWARM, A, SESSION, observer=observer)
    board.complete()
    board.prove(2, 5, ready=(2, 7))
    assert board.state == "Bootstrapped"
    count = len(observer.commands)
    board.prove(2, 5, 2, ready=(2, 7, 8, 9))
    assert len(observer.commands) == count
    assert board.speak().ready == {A, 2, 7, 8, 9}
    assert "rejected" not in [part for command in observer.commands for part in command][:count]


def test_the_bits_of_one_frame_beyond_the_quorum_are_relayed_too(board):
    board.complete()
    board.prove(2, 5, ready=(1, 2, 4, 5, 6, 7, 8, 9, 10))
    assert board.state == "Bootstrapped"
    assert board.node.machine.collecting_count == 3
    assert board.ready == set(SWARM.members)


def test_a_lone_node_and_the_first_to_complete_do_not_wedge():
    for members in ((1,), (1, 2, 3)):
        board = Board(Swarm(members, 1), 1)
        assert board.state == "Pinging"
        board.complete()
        assert board.state == "Bootstrapped"
        assert board.node.machine.process(READY_OBSERVED, 1) != ACCEPTED
        assert board.speak().bootstrapped


def test_completing_twice_is_completing_once(board):
    board.complete()
    board.settle()
    due = board.node.trickle.due
    board.complete()
    assert board.node.trickle.due == due
    assert board.ready == {A}


def test_what_a_node_says_of_itself(board):
    first = board.speak()
    assert (first.kind, first.sender, first.session, first.sequence, first.generation) == (0x21, A, SESSION, 1, 0)
    assert (first.bootstrapped, first.timed_out, first.offset_us) == (False, False, None)
    assert (first.heard, first.ready, first.echoes) == ({A}, set(), [])
    board.complete()
    second = board.speak()
    assert (second.kind, second.sequence, second.ready, second.bootstrapped) == (0x22, 2, {A}, False)
    board.prove(2, 5, ready=(2, 7))
    third = board.speak()
    assert (third.kind, third.sequence, third.ready, third.bootstrapped) == (0x22, 3, {A, 2, 7}, True)
    assert board.counter("sent") == 3


def test_who_is_missing_is_who_is_not_known_to_be_ready(board):
    assert missing(board.node) == SWARM.members
    board.complete()
    board.prove(2, 5, ready=(2, 9, 10))
    assert missing(board.node) == [1, 4, 5, 6, 7, 8]


def test_start_speaks_within_imin(board):
    assert len(board.pass_ms(IMIN_MS)) == 1


@pytest.mark.parametrize("event", ("start", "complete"))
def test_own_news_reset_trickle(board, event):
    board.settle()
    if event == "complete":
        board.complete()
    else:
        board.node.start(*board.now)
    assert board.node.trickle.interval_ms == IMIN_MS


def test_imin_is_raised_for_a_slow_link():
    board = Board(SWARM, A, imin_ms=80)
    assert len(board.pass_ms(80)) == 1
    assert board.pass_ms(79) == []
    assert len(board.pass_ms(81)) == 1
    board = Board(SWARM, A, imin_ms=3000)
    assert len(board.pass_ms(3000)) == 1
    assert board.pass_ms(1499) == []
    assert len(board.pass_ms(1501)) == 1


def test_wait_ms_is_until_poll_has_something_to_do():
    board = Board(SWARM, A, deadline_ms=500_000)
    for _ in range(60):
        wait = board.node.wait_ms(*board.now)
        before = board.node.trickle.due, board.node.trickle.interval_ms
        if wait > 1:
            assert board.pass_ms(wait - 1) == []
        assert (board.node.trickle.due, board.node.trickle.interval_ms) == before
        board.pass_ms(1)
        assert wait == 0 or (board.node.trickle.due, board.node.trickle.interval_ms) != before


def test_wait_ms_is_never_negative(board):
    board.true_us += 5_000_000
    assert board.node.wait_ms(*board.now) == 0


def test_wait_ms_knows_the_deadline_and_the_first_sample():
    board = Board(SWARM, A, deadline_ms=1000)
    board.settle()
    board.pass_ms(3000 - board.true_us // 1000 - 5)
    assert board.node.wait_ms(*board.now) == 5
    board.complete()
    board.prove(2, 5, ready=(2, 7))
    board.pass_ms(490)
    board.node.trickle.due = board.now[0] + 1000
    assert board.node.wait_ms(*board.now) == 10
    board.pass_ms(10)
    assert board.samples
    board.settle()
    assert board.node.wait_ms(*board.now) > 10

"""What a node does with a frame before it believes it: checks, counters, its own id."""

import itertools
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faction import names
from faction.description import default_lead_ms
from faction.node import MAX_NUMBER, Node
from swarm_fixture import Board, Swarm, memory

SWARM = Swarm((3, 9, 12, 40, 77), 3)
PARTS = SWARM.parts(9, 5, 6, ready=(9, 12), offset_us=1000, echoes=[(3, 7)])
# Counter and a part of the frame that lets the check fail, in the order of the checks.
FAULTS = {
    "malformed": ("kind", b"\x23"),
    "foreign": ("digest", b"\x01\x02\x03\x04"),
    "misfit": ("participation", b"\xff"),
    "non_member": ("sender", b"\x04\x00"),
    "impossible": ("sequence", struct.pack("<I", 1 << 30)),
}


def counted(board):
    """The counters that are not 0."""
    return {name: board.counter(name) for name in names.COUNTERS if board.counter(name)}


def board_of(**options):
    return Board(SWARM, 3, 7, **options)


def test_a_frame_without_fault_counts_as_received_and_is_used():
    board = board_of()
    board.hear(SWARM.seal(PARTS))
    assert counted(board) == {"received": 1}
    assert board.ready == {9, 12}


@pytest.mark.parametrize("count", range(1, len(FAULTS) + 1))
@pytest.mark.parametrize("sealed", (True, False))
def test_the_first_check_that_fails_counts_and_nothing_else_changes(count, sealed):
    for faults in itertools.combinations(FAULTS, count):
        board = board_of()
        before = memory(board.node)
        key = SWARM.key if sealed else bytes(16)
        board.hear(SWARM.seal({**PARTS, **dict(FAULTS[fault] for fault in faults)}, key))
        assert counted(board) == {faults[0]: 1}
        assert memory(board.node) == before


def test_a_wrong_tag_counts_last_and_nothing_else_changes():
    board = board_of()
    before = memory(board.node)
    board.hear(SWARM.seal(PARTS, bytes(16)))
    assert counted(board) == {"forged": 1}
    assert memory(board.node) == before


def test_another_swarm_shows_its_digest():
    board = board_of()
    other = Swarm(SWARM.members, 4)
    board.hear(other.frame(9, 5))
    assert bytes(board.node.frame.foreign_digest) == other.digest


def test_counters_hold_at_their_last_value():
    board = board_of()
    for name in ("malformed", "sent"):
        board.node.counters[names.COUNTERS.index(name)] = MAX_NUMBER - 1
    for _ in range(3):
        board.hear(b"")
        board.speak()
    assert board.counter("malformed") == board.counter("sent") == MAX_NUMBER


@given(st.binary(max_size=255))
def test_arbitrary_bytes_change_nothing_but_counters(data):
    board = board_of()
    before = memory(board.node)
    board.hear(data)
    assert memory(board.node) == before
    assert sum(counted(board).values()) == 1


@given(st.data())
def test_mutations_of_a_good_frame_change_nothing_but_counters(data):
    good = bytearray(SWARM.seal(PARTS))
    kind = data.draw(st.sampled_from(("flip", "cut", "insert", "swap")))
    at = data.draw(st.integers(0, len(good) - 1))
    if kind == "flip":
        good[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del good[at : at + data.draw(st.integers(1, 20))]
    elif kind == "insert":
        good[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    else:
        other = SWARM.seal({**PARTS, "sequence": b"\7\0\0\0", "readiness": b"\0"})
        good[at:] = other[at:]
        if good == SWARM.seal(PARTS) or good == other:
            return
    board = board_of()
    before = memory(board.node)
    board.hear(good)
    assert memory(board.node) == before
    assert counted(board).get("received", 0) == 0


@given(st.integers(0, 2**32 - 1))
def test_sealed_nonsense_of_a_key_holder_never_raises(seed):
    # Fields at random under a right tag, as a broken member might send: it may say anything, but not raise.
    rng = random.Random(seed)
    board = board_of(linger_ms=rng.choice((0, 50)), retry=rng.random() < 0.5, deadline_ms=100)
    for _ in range(12):
        parts = SWARM.parts(rng.choice(SWARM.members), 1, echoes=[(rng.choice((3, 9)), rng.choice((6, 7)))] * 8)
        parts["kind"] = rng.choice((b"\x21", b"\x22"))
        parts["flags"] = bytes([0x80 | rng.randrange(8)])
        for part in ("session", "sequence", "generation"):
            parts[part] = struct.pack("<I", rng.choice((1, 2, 7, MAX_NUMBER, rng.getrandbits(30))))
        parts["offset"] = struct.pack("<i", rng.choice((0, -500_000_000, 500_000_000, rng.getrandbits(31))))
        heard = rng.randrange(32)
        parts["participation"] = bytes([heard])
        parts["readiness"] = bytes([heard & rng.randrange(32)])
        board.hear(SWARM.seal(parts), rng.randrange(5000))
        if rng.random() < 0.2:
            board.complete()
        board.pass_ms(rng.randrange(20))
        assert board.state != "Bootstrapped" or board.node.ready()


def own(board, session, sequence):
    board.hear(SWARM.frame(3, session, sequence))


def test_an_old_frame_of_ones_own_is_a_recording():
    board = board_of()
    last = [board.speak() for _ in range(3)][-1].sequence
    before = memory(board.node)
    for session, sequence in ((7, 1), (7, last), (6, 1), (6, last + 100), (1, MAX_NUMBER)):
        own(board, session, sequence)
    assert board.counter("own") == 5
    assert memory(board.node) == before
    assert not board.node.conflict


@pytest.mark.parametrize("session, more", ((7, 1), (7, 1000), (8, 0), (8, 5), (MAX_NUMBER, 1)))
def test_a_frame_of_ones_own_id_that_one_has_not_sent_means_a_second_board(session, more):
    board = board_of()
    sequence = board.speak().sequence
    own(board, session, sequence + more)
    assert board.node.conflict
    assert board.counter("own") == 0


def test_with_a_second_board_of_its_id_a_node_takes_no_further_part():
    board = board_of()
    own(board, 8, 1)
    before = memory(board.node)
    board.hear(SWARM.frame(9, 5, echoes=[(3, 7)], ready=(9, 12, 40)))
    board.complete()
    assert board.pass_ms(5000) == []
    assert board.state == "Pinging"
    assert not board.node.ready()
    assert memory(board.node) == before
    assert counted(board) == {"received": 1}


def test_with_a_second_board_of_its_id_a_node_neither_times_out_nor_samples():
    board = board_of(deadline_ms=100)
    own(board, 8, 1)
    board.pass_ms(200)
    assert board.counter("timeouts") == 0
    board = board_of(lead_ms=100)
    board.complete()
    board.hear(SWARM.frame(9, 5, echoes=[(3, 7)], ready=(9, 12)))
    assert board.state == "Bootstrapped"
    own(board, 8, 1)
    board.pass_ms(200)
    assert board.samples == []


@pytest.mark.parametrize("session", (-1, 0, MAX_NUMBER + 1, 1 << 32))
def test_refuses_a_session_out_of_range(session):
    with pytest.raises(ValueError, match=f"session {session}: "):
        Board(SWARM, 3, session)


@pytest.mark.parametrize("session", (1, MAX_NUMBER))
def test_takes_the_first_and_the_last_session(session):
    assert Board(SWARM, 3, session).speak().session == session


def test_refuses_what_a_swarm_cannot_have():
    for members, node_id, required, key in (
        ([], 1, 1, bytes(16)),
        ([1, 2], 3, 1, bytes(16)),
        ([1, 2], 1, 3, bytes(16)),
        ([1, 2], 1, 1, bytes(15)),
        (range(681), 1, 1, bytes(16)),
    ):
        with pytest.raises(ValueError):
            Node("test", members, node_id, required, key, 1)


def test_the_lead_grows_with_the_swarm():
    assert [default_lead_ms(members) for members in (1, 20, 21, 50, 680)] == [500, 500, 520, 1100, 13_700]
    board = Board(Swarm(range(50)), 3)
    assert board.node.first_sample.lead_ms == 1100
    assert board_of(lead_ms=70).node.first_sample.lead_ms == 70


def test_an_exhausted_sequence_ends_the_sending_and_not_the_node():
    board = board_of()
    board.node.sequence = MAX_NUMBER - 1
    assert board.speak().sequence == MAX_NUMBER
    assert board.pass_ms(5000) == []
    board.hear(SWARM.frame(9, 5, echoes=[(3, 7)]))
    assert board.heard == {3, 9}


def test_neighbouring_ids_and_sessions_speak_at_different_moments():
    for boards in (
        [Board(Swarm(range(20)), node_id, 1000) for node_id in range(20)],
        [Board(Swarm(range(20)), 5, session) for session in range(1000, 1020)],
        [Board(Swarm(range(20)), node_id, 1000 + node_id) for node_id in range(20)],
    ):
        moments = set()
        for board in boards:
            board.pass_ms(300)
            moments.add(board.node.trickle.due)
        assert len(moments) >= 15, moments

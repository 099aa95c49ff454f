"""A node at its edges: what it is made with, what it is by default, and numbers at their limits."""

import pytest

from faction import names, node
from faction.node import Node, default_lead_ms
from swarm_fixture import Air, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40


def made(**options):
    return Node("test", range(1, 6), A, 3, bytes(16), SESSION, **options)


@pytest.mark.parametrize(
    "members, imin_ms, lead_ms",
    ((1, 16, 500), (20, 16, 500), (21, 16, 520), (680, 16, 13_700), (5, 17, 510), (5, 70, 1040), (30, 70, 1240)),
)
def test_the_lead_by_members_and_link(members, imin_ms, lead_ms):
    assert default_lead_ms(members, imin_ms) == lead_ms
    ids = range(members)
    assert Node("test", ids, 0, 1, bytes(16), 1, imin_ms=imin_ms).first_sample.lead_ms == lead_ms


def test_a_lead_that_is_given_is_taken():
    assert made(lead_ms=1).first_sample.lead_ms == 1
    assert made(lead_ms=777, imin_ms=70).first_sample.lead_ms == 777


def test_numbers_end_at_2_to_the_30_less_1_and_imin_is_16_ms():
    assert node.MAX_NUMBER == (1 << 30) - 1
    assert node.IMIN_MS == default_lead_ms.__defaults__[0] == made().trickle.imin_ms == 16
    assert names.COUNTERS.index("timeouts") == node.TIMEOUTS
    assert len(made().counters) == len(names.COUNTERS) == 15


def test_by_default_a_deadline_comes_after_a_minute_and_then_again():
    board = Board(SWARM, A, SESSION)
    board.true_us += 59_999_000
    board.poll()
    assert board.counter("timeouts") == 0
    board.true_us += 1000
    board.poll()
    assert board.counter("timeouts") == 1
    assert board.state == "Pinging"


def test_by_default_a_node_never_falls_silent():
    board = Board(Swarm([A]), A, SESSION)
    board.complete()
    for _ in range(3):
        board.true_us += 400_000_000
        assert board.speak().bootstrapped


@pytest.mark.parametrize("imin_ms, imax_ms", ((1, 2048), (16, 2048), (2048, 2048), (3000, 3000)))
def test_intervals_grow_to_2048_ms_or_imin(imin_ms, imax_ms):
    trickle = made(imin_ms=imin_ms).trickle
    assert (trickle.imin_ms, trickle.imax_ms, trickle.redundancy) == (imin_ms, imax_ms, 2)


def test_every_node_has_a_seed_that_the_timer_takes():
    seeds = set()
    for node_id in (0, 1, 2, 255, 65_535):
        for session in (1, 2, 65_520, 65_521, 65_522, (1 << 30) - 1):
            seed = Node("test", [node_id], node_id, 1, bytes(16), session).trickle._random
            assert 1 <= seed < 1 << 30
            seeds.add(seed)
    # 65,522 and 1 are the same modulo 65,521.
    assert len(seeds) == 5 * 5


def test_a_new_node_has_taken_no_part_yet():
    new = made()
    assert (new.session, new.sequence, new.generation, new.deadline) == (SESSION, 0, 0, 0)
    assert new.conflict is False and new.sample_due is False and new.sampled_late is False
    assert new.ready() is False
    assert not any(new.counters) and not any(new.bitmaps)
    assert new.tick(5, 5) is None
    assert names.STATES[new.machine.state] == "Initial"
    assert new.deadline == 0


def test_all_attributes_are_made_with_the_node():
    air = Air(SWARM, 3, 0.2, lead_ms=700)
    for member in SWARM.members:
        air.boot(member, 1, linger_ms=20_000 if member == 1 else 0)
    attributes = {board: set(vars(board.node)) for board in air.boards.values()}
    air.run(300)
    air.complete(1, 2)
    air.run(300)
    air.boot(4, 2)
    air.run(300)
    air.complete(3, 4, 5)
    air.converge()
    air.run(40_000)
    for board, before in attributes.items():
        assert set(vars(board.node)) == before, "one made later takes memory then"
    assert made().__dict__.keys() == attributes[air.boards[1]]


@pytest.mark.parametrize("members", (1, 7, 8, 9, 16, 17, 64, 65, 680))
def test_a_node_takes_the_memory_that_its_members_need(members):
    board = Board(Swarm(range(members)), 0, SESSION)
    width = -(-members // 8)
    assert len(board.node.bitmaps) == 2 * width
    assert len(board.node._doubted) == width
    assert {len(each) for each in (board.node._sessions, board.node._sequences, board.node._stamps)} == {members}
    assert len(board.node._echo_members) == len(board.node._echo_sessions) == min(16, members)
    assert board.node._sessions.itemsize >= 4 and board.node._echo_members.itemsize == 2

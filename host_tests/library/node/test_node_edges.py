"""A node at its edges: what it is made with, what it is by default, and numbers at their limits."""

import pytest

from faction import description, names, node
from faction.description import default_lead_ms
from faction.node import Node
from swarm_fixture import IMIN_MS, PARTS, Air, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40


def made(**options):
    return Node("test", range(1, 6), A, 3, bytes(16), SESSION, **options)


@pytest.mark.parametrize(
    "members, imin_ms, lead_ms",
    ((1, 20, 500), (20, 20, 500), (21, 20, 520), (680, 20, 13_700), (5, 21, 510), (5, 70, 1000), (30, 70, 1200)),
)
def test_the_lead_by_members_and_link(members, imin_ms, lead_ms):
    assert default_lead_ms(members, imin_ms) == lead_ms
    ids = range(members)
    assert Node("test", ids, 0, 1, bytes(16), 1, imin_ms=imin_ms).first_sample.lead_ms == lead_ms


def test_a_lead_that_is_given_is_taken():
    assert made(lead_ms=1).first_sample.lead_ms == 1
    assert made(lead_ms=777, imin_ms=70).first_sample.lead_ms == 777


def test_numbers_end_at_2_to_the_30_less_1_and_imin_is_20_ms():
    assert node.MAX_NUMBER == (1 << 30) - 1
    assert description.IMIN_MS == default_lead_ms.__defaults__[0] == made().trickle.imin_ms == 20
    assert names.COUNTERS.index("timeouts") == node._TIMEOUTS
    assert len(made().counters) == len(names.COUNTERS) == 16


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


@pytest.mark.parametrize("imin_ms, imax_ms", ((1, 2048), (20, 2048), (2048, 2048), (3000, 3000)))
def test_intervals_grow_to_2048_ms_or_imin(imin_ms, imax_ms):
    trickle = made(imin_ms=imin_ms).trickle
    assert (trickle.imin_ms, trickle.imax_ms, trickle.redundancy) == (imin_ms, imax_ms, 1)


def test_every_node_has_a_seed_that_the_timer_takes():
    seeds = set()
    for node_id in (0, 1, 2, 255, 65_535):
        for session in (1, 2, 65_520, 65_521, 65_522, (1 << 30) - 1):
            seed = Node("test", [node_id], node_id, 1, bytes(16), session).trickle._random
            assert 1 <= seed < 1 << 30
            seeds.add(seed)
    # 65,522 and 1 are the same modulo 65,521.
    assert len(seeds) == 5 * 5
    # The largest sums of id and session before the remainder begins again.
    for node_id, session in ((6385, 63_838), (19_872, 50_162)):
        assert 1 <= Node("test", [node_id], node_id, 1, bytes(16), session).trickle._random < 1 << 30


def test_a_new_node_has_taken_no_part_yet():
    new = made()
    assert (new.session, new.sequence, new.knowledge.generation, new.deadline) == (SESSION, 0, 0, 0)
    assert new.conflict is False and new.sample_due is False and new.sampled_late is False
    assert new.ready() is False
    assert not any(new.counters) and not any(new.knowledge.bitmaps)
    assert new.tick(5, 5) is None
    assert names.STATES[new.machine.state] == "Initial"
    assert new.deadline == 0


def attributes_of(node):
    """Those of a node and of its parts."""
    return [set(vars(part)) for part in (node, *(getattr(node, name) for name in PARTS))]


def test_all_attributes_are_made_with_the_node():
    air = Air(SWARM, 3, 0.2, lead_ms=700)
    for member in SWARM.members:
        air.boot(member, 1, linger_ms=20_000 if member == 1 else 0)
    attributes = {board: attributes_of(board.node) for board in air.boards.values()}
    air.run(300)
    air.complete(1, 2)
    air.run(300)
    air.boot(4, 2)
    air.run(300)
    air.complete(3, 4, 5)
    air.converge()
    air.run(40_000)
    for board, before in attributes.items():
        assert attributes_of(board.node) == before, "one made later takes memory then"
    assert attributes_of(made()) == attributes[air.boards[1]]


@pytest.mark.parametrize("members", (1, 7, 8, 9, 16, 17, 64, 65, 680))
def test_a_node_takes_the_memory_that_its_members_need(members):
    board = Board(Swarm(range(members)), 0, SESSION)
    width = -(-members // 8)
    assert len(board.node.knowledge.bitmaps) == 2 * width
    assert len(board.node.knowledge._doubted) == width
    heard, echoes = board.node.sessions.heard, board.node.echoes
    assert len(heard) == 3 * members and heard.itemsize >= 4
    assert len(board.node.sessions.live) == len(echoes.owed) == len(echoes.urgent) == width


# Time


@pytest.mark.parametrize("late_ms", (0, 1, 100_000))
def test_a_node_that_is_polled_late_has_fallen_silent_all_the_same(late_ms):
    board = Board(Swarm([A]), A, SESSION, linger_ms=3000)
    board.complete()
    board.true_us += 2_999_000
    board.poll()
    assert not board.node._silent
    board.true_us += 1000 * (1 + late_ms)
    assert board.poll() == b""
    assert board.node._silent


@pytest.mark.parametrize("remaining_us", (2_047_999, 2_000_000, 1_000_000, 999_999, 1000, 999, 1))
def test_a_silent_node_waits_for_its_first_sample(remaining_us):
    board = Board(Swarm([A]), A, SESSION, linger_ms=1, lead_ms=3000)
    board.complete()
    board.true_us += 3_000_000 - remaining_us
    board.poll()
    assert board.node._silent
    assert board.node.wait_ms(*board.now) == remaining_us // 1000


def test_who_has_nothing_to_wait_for_asks_after_the_longest_interval():
    board = Board(Swarm([A]), A, SESSION, linger_ms=1, lead_ms=1)
    board.complete()
    board.pass_ms(5)
    assert board.node.wait_ms(*board.now) == 2048
    conflict = Board(SWARM, A, SESSION)
    conflict.hear(SWARM.frame(A, SESSION + 1))
    assert conflict.node.wait_ms(*conflict.now) == 2048


@pytest.mark.parametrize("before_ms, waits", ((10, 10), (1, 1), (0, 0), (-1, 0)))
def test_the_deadline_is_waited_for_and_no_time_is_negative(before_ms, waits):
    board = Board(SWARM, A, SESSION, deadline_ms=100_000)
    board.true_us += 100_000_000 - before_ms * 1000
    board.node.trickle.due = (board.now[0] + 1000) % (1 << 30)
    assert board.node.wait_ms(*board.now) == waits


def speaks_now(board):
    """The frame that a board sends when Trickle lets it speak at this moment."""
    trickle = board.node.trickle
    trickle.due = board.now[0]
    trickle._end = (trickle.due + IMIN_MS) % (1 << 30)
    return SWARM.fields(board.poll())


@pytest.mark.parametrize("after_us, follow_up", ((0, True), (3_999_999, True), (4_000_000, False), (4_000_001, False)))
def test_a_departure_is_counted_from_for_less_than_4_s(after_us, follow_up):
    board = Board(SWARM, A, SESSION, lead_ms=60_000)
    board.complete()
    board.prove(2, 5, heard=SWARM.members, ready=(2, 4))
    speaks_now(board)
    board.node.left(board.now[1])
    board.true_us += after_us
    assert speaks_now(board).follow_up is follow_up


@pytest.mark.parametrize("first_us, then_us, counts_us", ((10, 9, 9), (10, 10, 10), (10, 11, 10), (10, -90, -90)))
def test_of_two_departures_the_earlier_counts_if_only_by_a_microsecond(first_us, then_us, counts_us):
    board = Board(SWARM, A, SESSION, lead_ms=60_000)
    board.complete()
    board.prove(2, 5, heard=SWARM.members, ready=(2, 4))
    instant_us = board.true_us + 60_000_000
    speaks_now(board)
    for us in (first_us, then_us):
        board.node.left((board.now[1] + us) % (1 << 30))
    left_us = board.true_us + counts_us
    board.true_us += 20_000
    sent = speaks_now(board)
    assert sent.follow_up
    assert sent.offset_us == instant_us - left_us


# Hearing


def test_a_follow_up_that_tells_nothing_does_not_say_again_what_the_frame_before_told():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 7, heard=SWARM.members)
    board.hear(SWARM.frame(2, 5, 8, heard=SWARM.members, offset_us=400_000))
    board.true_us += 30_000
    frame = SWARM.frame(2, 5, 10, heard=SWARM.members, offset_us=400_000, flags=8)
    assert board.reaction(frame) == "consistent"
    assert board.urgent == set()


# Of 20 members, the one at place 10: its bits are at 10 and 34 of bitmaps of 3 bytes.
WIDE = Swarm(range(100, 120), 20)
MIDDLE = 110


@pytest.mark.parametrize("member", [m for m in WIDE.members if m != MIDDLE])
@pytest.mark.parametrize("ready", (True, False))
def test_whoever_knows_one_more_than_this_node_lacks_nothing(member, ready):
    board = Board(WIDE, MIDDLE, SESSION)
    sender = 100 if member != 100 else 101
    known = [m for m in WIDE.members if m != member]
    board.prove(sender, 5, heard=known, ready=[m for m in known if m != MIDDLE])
    board.tell()
    news = {"heard": WIDE.members, "ready": [m for m in WIDE.members if m != MIDDLE and (ready or m != member)]}
    board.hear(WIDE.frame(sender, 5, 2, **news))
    assert board.echoes == []
    assert board.heard == set(WIDE.members)
    assert board.ready == set(news["ready"])


@pytest.mark.parametrize("member", [m for m in WIDE.members if m not in (MIDDLE, 100)])
@pytest.mark.parametrize("ready", (True, False))
def test_whoever_knows_one_less_than_this_node_lacks_it(member, ready):
    board = Board(WIDE, MIDDLE, SESSION)
    others = [m for m in WIDE.members if m != MIDDLE]
    board.prove(100, 5, heard=WIDE.members, ready=others)
    board.tell()
    less = [m for m in others if m != member]
    heard = [m for m in WIDE.members if ready or m != member]
    board.hear(WIDE.frame(100, 5, 2, heard=heard, ready=less))
    assert board.echoes == [(100, 5)]
    assert board.ready == set(others), "and takes nothing away"


MANY = Swarm(range(100), 100)


@pytest.mark.parametrize("member", (1, 8, 31, 32, 63, 64, 71, 72, 99))
def test_news_of_any_member_of_a_hundred_is_merged_in_its_place(member):
    board = Board(MANY, 0, SESSION)
    board.prove(2, 5)
    board.hear(MANY.frame(2, 5, 2, heard=(member,)))
    assert (board.heard, board.ready) == ({0, 2, member}, set())
    board.hear(MANY.frame(2, 5, 3, heard=(member,), ready=(member,)))
    assert (board.heard, board.ready) == ({0, 2, member}, {member})
    assert names.members(board.node.machine.ids, board.node.machine.collecting) == [member]


@pytest.mark.parametrize("member", (1, 8, 31, 32, 63, 64, 71, 72, 99))
def test_a_reboot_of_any_member_of_a_hundred_is_doubted(member):
    board = Board(MANY, 0, SESSION)
    other = 50
    board.prove(member, 5)
    board.prove(other, 5)
    board.hear(MANY.frame(member, 6))
    board.hear(MANY.frame(other, 5, 2, ready={*range(1, 100)} - {member, other}))
    assert board.node.knowledge.generation == 0
    board.hear(MANY.frame(other, 5, 3, ready=(member,)))
    assert board.node.knowledge.generation == 1, "who says that it is ready has not seen its reboot"
    board.hear(MANY.frame(other, 5, 4, generation=1, ready=(member,)))
    assert (board.node.knowledge.generation, board.ready) == (1, {member}), "each reboot counts once"


def test_own_bits_stay_in_their_places_in_a_new_generation():
    board = Board(WIDE, MIDDLE, SESSION)
    board.complete()
    board.prove(100, 5, generation=3, heard=WIDE.members, ready=(100,))
    assert board.node.knowledge.generation == 3
    assert board.ready == {100, MIDDLE}
    board.hear(WIDE.frame(100, 5, 2, generation=4))
    assert board.heard == {100, MIDDLE}
    assert board.ready == {MIDDLE}


# Interrupts


def left_busy(board):
    """A board as an interrupted call leaves it, and the next call."""
    board.node._busy = True
    board.node.tick(*board.now)


def test_a_conclusion_outlives_an_interrupt_in_a_newer_generation():
    board = Board(SWARM, A, SESSION)
    board.complete()
    board.prove(2, 5, ready=(2, 4))
    assert board.state == "Bootstrapped"
    board.hear(SWARM.frame(2, 5, 2, generation=1))
    assert board.ready == {A}, "fewer than a quorum"
    left_busy(board)
    assert board.state == "Bootstrapped"


@pytest.mark.parametrize("retry, state", ((True, "Collecting"), (False, "TimedOut")))
def test_who_retries_begins_afresh_after_an_interrupt_and_who_halts_does_not(retry, state):
    board = Board(SWARM, A, SESSION, deadline_ms=1000, retry=retry)
    board.complete()
    board.true_us += 1_000_000
    board.poll()
    assert board.state == state
    board.node.machine.state = 4  # TimedOut, as an interrupt in the middle of a retry leaves it
    left_busy(board)
    assert board.state == state


def test_after_a_tick_nothing_is_repaired():
    board = Board(SWARM, A, SESSION)
    board.settle()
    board.node.tick(*board.now)
    board.node.tick(*board.now)
    assert board.node.trickle.interval_ms == 2048


def test_after_an_interrupt_even_the_first_frame_of_a_session_is_heard_again():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 1)
    left_busy(board)
    board.hear(SWARM.frame(2, 5, 1, ready=(2,)))
    assert board.ready == {2}


def test_the_repair_after_a_frame_of_no_member_touches_no_members_sequence():
    board = Board(SWARM, A, SESSION)
    board.prove(SWARM.members[-1], 5, 7)
    before = list(board.node.sessions.heard)
    board.node.frame.sender = -1  # as decode() leaves it for a sender that is not a member
    left_busy(board)
    assert list(board.node.sessions.heard) == before and before[-2] == 7


@pytest.mark.parametrize("node_id, sender", ((2, 1), (1, 5)))
def test_the_repair_lets_the_sender_of_the_frame_count_again(node_id, sender):
    board = Board(SWARM, node_id, SESSION)
    board.prove(sender, 1, 1000)
    left_busy(board)
    board.hear(SWARM.frame(sender, 1, 5, ready=(sender,)))
    assert board.ready == {sender}


@pytest.mark.parametrize(
    "fields, asks",
    (({}, 0), ({"heard": (1,)}, 0), ({"generation": 0}, 0), ({"heard": (1, 4)}, 1), ({"generation": 2}, 1)),
)
def test_only_an_unproved_sender_that_claims_something_is_asked_for_a_proof(fields, asks):
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, generation=1, heard=(1, A, 5))
    assert board.node.knowledge.generation == 1
    board.hear(SWARM.frame(5, 7, **{"generation": 1, **fields}))
    assert board.counter("unproved") == 1
    assert board.node._asks == asks

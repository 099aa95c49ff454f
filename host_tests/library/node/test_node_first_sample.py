"""The first sample as the nodes agree on it: step 5 of PROTOCOL.md's receiving, and the rules that end it."""

import pytest

from faction.core import BOOTSTRAPPED
from swarm_fixture import IMIN_MS, PERIOD, Air, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40
ALL = {"heard": SWARM.members, "ready": (2, 4)}
LIMIT_US = 500_000_000


@pytest.fixture(params=(0, PERIOD - 300_000, PERIOD - 1), ids=("", "wrap", "wrap at once"))
def us(request):
    """Where ticks_us begins."""
    return request.param


def concluded(us=0, **options):
    """A board that has just concluded, and so proposed."""
    board = Board(SWARM, A, SESSION, us=us, **options)
    board.complete()
    board.prove(2, 5, **ALL)
    assert board.state == "Bootstrapped"
    return board


def hear(board, sequence, offset_us, transit_us=0, **fields):
    board.hear(SWARM.frame(2, 5, sequence, offset_us=offset_us, **{**ALL, **fields}), transit_us)


def remaining(board):
    return board.node.first_sample.remaining_us(board.now[1])


def test_the_first_to_conclude_proposes_lead_ms_ahead_and_says_so(us):
    board = Board(SWARM, A, SESSION, us=us, lead_ms=300)
    board.settle()
    assert board.speak().offset_us is None
    board.complete()
    board.prove(2, 5, **ALL)
    begin = board.true_us
    assert remaining(board) == 300_000
    assert board.node.trickle.interval_ms == IMIN_MS
    sent = board.speak()
    assert sent.offset_us == 300_000 - (board.true_us - begin)
    board.pass_ms(400)
    assert board.samples == [(begin + 300_000, 0, False)]


def test_own_proposal_resets_trickle():
    # Nothing else does here: the deadline's retry feeds the machine what it takes.
    board = Board(SWARM, A, SESSION)
    board.complete()
    board.settle()
    board.node._settle()
    assert board.node.trickle.interval_ms != IMIN_MS
    board.node.machine.state = BOOTSTRAPPED
    board.node._settle()
    assert board.node.trickle.interval_ms == IMIN_MS
    assert board.node.first_sample.known


def test_who_knows_an_instant_proposes_none(us):
    board = Board(SWARM, A, SESSION, us=us)
    board.prove(2, 5, offset_us=123_456, heard=SWARM.members)
    assert remaining(board) == 123_456
    board.complete()
    board.prove(2, 5, 2, offset_us=123_456, **ALL)
    assert remaining(board) == 123_456


def test_the_conclusion_by_a_frame_takes_that_frames_instant(us):
    board = Board(SWARM, A, SESSION, us=us)
    board.complete()
    board.prove(2, 5, offset_us=400_123, **ALL)
    assert board.state == "Bootstrapped"
    assert remaining(board) == 400_123


def test_only_who_is_bootstrapped_samples():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, offset_us=50_000, **ALL)
    board.pass_ms(200)
    assert board.samples == []
    timed_out = Board(SWARM, A, SESSION, deadline_ms=10, retry=False)
    timed_out.prove(2, 5, offset_us=50_000, heard=SWARM.members)
    timed_out.pass_ms(200)
    assert timed_out.samples == []


def test_who_concludes_after_the_instant_samples_at_once_and_late():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, offset_us=50_000, **ALL)
    board.pass_ms(200)
    board.complete()
    assert board.samples == [(200_000, 150_000, True)]
    board.pass_ms(1000)
    assert len(board.samples) == 1


def test_who_learns_a_passed_instant_with_its_conclusion_samples_at_once_and_late():
    board = Board(SWARM, A, SESSION)
    board.complete()
    board.prove(2, 5, offset_us=-70_000, **ALL)
    assert board.samples == [(0, 70_000, True)]


def test_who_learns_after_its_own_proposal_that_the_instant_has_passed_samples_at_once_and_late():
    board = concluded()
    hear(board, 2, -1000)
    assert board.samples == [(0, 1000, True)]


def test_the_instant_is_looked_at_before_the_frame():
    # The clock fires, never the arrival of a frame: a frame that comes after the instant changes nothing any more.
    board = concluded(lead_ms=300)
    board.true_us += 300_700
    hear(board, 2, -400_000, heard=SWARM.members)
    assert board.samples == [(300_700, 700, False)]
    assert remaining(board) == -700


def test_the_first_sample_does_not_wait_for_a_link():
    board = concluded(lead_ms=300)
    board.true_us += 300_050
    board.node.tick(*board.now)
    assert board.node.sample_due
    assert not board.node.sampled_late
    assert board.node.take_sample(board.now[1]) == 50


def test_a_poll_after_the_instant_is_not_late():
    board = concluded(lead_ms=300)
    board.true_us += 302_000
    board.poll()
    assert board.samples == [(302_000, 2000, False)]


@pytest.mark.parametrize("earlier_us, taken", ((-50_000, False), (0, False), (200, False), (201, True), (90_000, True)))
def test_the_earliest_wins_when_it_is_more_than_200_us_earlier(us, earlier_us, taken):
    board = concluded(us)
    hear(board, 2, 500_000 - earlier_us)
    assert remaining(board) == 500_000 - (earlier_us if taken else 0)


def test_an_instant_is_reckoned_from_the_start_of_the_transmission(us):
    board = concluded(us)
    hear(board, 2, 400_000, transit_us=1500)
    assert remaining(board) == 398_500


@pytest.mark.parametrize(
    "offset_us, reaction, echoed",
    (
        (None, "reset", True),
        (510_001, "reset", True),
        (510_000, "consistent", False),
        (500_000, "consistent", False),
        (499_800, "consistent", False),
        (499_799, "reset", False),
        (400_000, "reset", False),
    ),
)
def test_what_lacks_and_what_claims_an_instant(offset_us, reaction, echoed):
    board = concluded(lead_ms=10_000)
    board.settle()
    ahead = remaining(board) - 500_000
    frame = SWARM.frame(
        2, 5, 2, heard=SWARM.members, ready=(2, 3, 4), offset_us=None if offset_us is None else offset_us + ahead
    )
    assert board.reaction(frame) == reaction
    assert (board.echoes == [(2, 5)]) == echoed


def test_who_knows_of_none_hears_news():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, heard=SWARM.members)
    assert board.reaction(SWARM.frame(2, 5, 2, heard=SWARM.members, offset_us=1000)) == "reset"
    assert board.echoes == []


@pytest.mark.parametrize("offset_us, lacks", ((1, True), (60_000, True), (0, False), (-1, False), (-400_000, False)))
def test_past_ones_own_instant_only_one_still_ahead_lacks(offset_us, lacks):
    board = concluded()
    board.pass_ms(2600)
    frame = SWARM.frame(2, 5, 2, heard=SWARM.members, ready=(2, 3, 4), offset_us=offset_us)
    assert board.reaction(frame) == ("reset" if lacks else "consistent")
    assert bool(board.echoes) == lacks


def test_an_unproved_frame_names_no_instant():
    board = Board(SWARM, A, SESSION)
    board.hear(SWARM.frame(2, 5, offset_us=1000))
    assert not board.node.first_sample.known
    assert board.speak().offset_us is None


def test_an_unproved_frame_with_a_better_instant_claims():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, heard=SWARM.members)
    assert board.reaction(SWARM.frame(4, 5, heard=SWARM.members, offset_us=20_000_000)) == "reset"
    hear(board, 2, 20_000_000, ready=())
    assert board.reaction(SWARM.frame(4, 5, 2, heard=SWARM.members, offset_us=10_000_000)) == "reset"
    board.settle()
    frame = SWARM.frame(4, 5, 3, heard=SWARM.members, offset_us=remaining(board))
    assert board.reaction(frame) == "consistent"
    assert board.echoes == []


def test_bits_are_merged_whatever_the_instant():
    for offset_us in (None, 100_000, 500_000, 900_000):
        board = concluded()
        hear(board, 2, offset_us, ready=(2, 4, 5))
        assert board.ready == {2, 3, 4, 5}


def test_an_offset_beyond_500_s_is_ignored_and_the_rest_of_the_frame_is_used():
    for offset_us in (-LIMIT_US - 1, LIMIT_US + 1, (1 << 31) - 1, -(1 << 31)):
        board = Board(SWARM, A, SESSION)
        board.prove(2, 5, offset_us=offset_us, **ALL)
        assert board.ready == {2, 4}
        assert not board.node.first_sample.known
    for offset_us in (-LIMIT_US, LIMIT_US):
        board = Board(SWARM, A, SESSION)
        board.prove(2, 5, offset_us=offset_us)
        assert remaining(board) == offset_us


def test_500_s_past_the_instant_its_age_is_held(us):
    board = concluded(us)
    board.settle()
    for _ in range(900):
        board.true_us += 1_999_000
        board.pass_ms(1)
        ago = board.true_us - 500_000
        assert remaining(board) == -min(ago, LIMIT_US)
    assert board.speak().offset_us == -LIMIT_US
    # A joiner learns that it is late, as late as can be said.
    joiner = Board(SWARM, 4, 9)
    joiner.complete()
    joiner.hear(
        SWARM.frame(3, SESSION, 900, offset_us=-LIMIT_US, heard=SWARM.members, ready=(3, 2), echoes=[(4, 9)]), 900
    )
    assert joiner.samples == [(0, LIMIT_US, True)]
    assert joiner.speak().offset_us == -LIMIT_US


def test_a_held_instant_is_consistent_with_another_held_one():
    board = concluded()
    board.settle()
    for _ in range(300):
        board.true_us += 1_999_000
        board.pass_ms(1)
    frame = SWARM.frame(2, 5, 2, heard=SWARM.members, ready=(2, 3, 4), offset_us=-LIMIT_US)
    assert board.reaction(frame) == "consistent"


def test_a_generation_change_keeps_the_instant_and_the_sample():
    board = concluded(lead_ms=300)
    board.prove(2, 5, 2, generation=4)
    board.pass_ms(400)
    assert board.samples == [(300_000, 0, False)]


def test_take_sample_tells_how_late_it_is():
    board = concluded(lead_ms=300)
    board.true_us += 300_123
    board.node.poll(*board.now, board.buffer)
    assert board.node.sample_due
    assert board.node.take_sample((board.now[1] + 77) % PERIOD) == 200
    assert not board.node.sample_due
    board.pass_ms(100)
    assert not board.node.sample_due


@pytest.mark.parametrize("seed", range(4))
def test_all_sample_together(seed):
    air = Air(Swarm(range(1, 6)), seed, 0.2)
    for node_id in air.swarm.members:
        air.boot(node_id, 10)
    air.complete(*air.swarm.members)
    air.converge()
    air.run(1000)
    samples = [board.samples for board in air.boards.values()]
    assert all(len(taken) == 1 and not taken[0][2] for taken in samples)
    instants = [taken[0][0] - taken[0][1] for taken in samples]
    assert max(instants) - min(instants) <= 500


@pytest.mark.parametrize("seed", range(2))
def test_an_instant_does_not_creep_in_a_long_lead(seed):
    air = Air(Swarm(range(1, 5)), seed, 0.1, lead_ms=400_000)
    for node_id in air.swarm.members:
        air.boot(node_id, 10, ppm=(node_id - 2) * 25)
    air.complete(*air.swarm.members)
    air.converge()

    def instants():
        for board in air.boards.values():
            board.true_us = air.true_us
        return [air.true_us + remaining(board) for board in air.boards.values()]

    agreed = min(instants())
    air.run(390_000)
    # The fastest clock is 50 ppm ahead; all follow it to 0.2 ms and what drifts between frames, and go no further.
    for instant in instants():
        assert -20_000 - 300 <= instant - agreed <= 0

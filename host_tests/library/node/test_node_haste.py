"""Who speaks at once, who soon, and how many others' words silence a node: step 6 of PROTOCOL.md's receiving."""

import pytest

from swarm_fixture import IMIN_MS, PERIOD, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
A, SESSION = 3, 40
ALL = {"heard": SWARM.members, "ready": (2, 4)}
SOON_MS = IMIN_MS >> 3  # 1 to this


def concluded(lead_ms=60_000, **options):
    """A board that has just concluded; member 2 is proved, in session 5."""
    board = Board(SWARM, A, SESSION, lead_ms=lead_ms, **options)
    board.complete()
    board.prove(2, 5, 1, **ALL)
    assert board.state == "Bootstrapped"
    return board


def agreeing(board, sequence, **fields):
    """A frame of member 2 that says what the board says."""
    first = board.node.first_sample
    offset_us = first.remaining_us(board.now[1]) if first.known else None
    return SWARM.frame(2, 5, sequence, heard=board.heard, ready=board.ready, offset_us=offset_us, **fields)


@pytest.mark.parametrize("session", range(1, 60))
def test_a_node_says_at_once_that_it_is_ready(session):
    board = Board(SWARM, A, session)
    board.settle()
    board.complete()
    assert SWARM.fields(board.poll()).ready == {A}
    assert board.node.trickle.interval_ms == IMIN_MS


@pytest.mark.parametrize("members", (5, 30))
def test_who_concludes_on_what_it_hears_says_so_in_an_eighth_of_imin(members):
    swarm = Swarm(range(members), 3)
    delays = set()
    for session in range(1, 80):
        board = Board(swarm, 0, session)
        for member in range(1, members):
            board.prove(member, 5, heard=swarm.members)
        board.complete()
        board.settle()
        board.hear(swarm.frame(1, 5, 2, heard=swarm.members, ready=(1, 2), flags=1, offset_us=400_000))
        assert board.state == "Bootstrapped"
        begun = board.true_us
        board.true_us -= 1000
        assert board.speak().bootstrapped
        delays.add((board.true_us - begun) // 1000)
    imin_ms = max(IMIN_MS, IMIN_MS * (members - 1) // 5)
    assert board.node.trickle.imin_ms == imin_ms
    assert delays == set(range(imin_ms >> 3))


def test_who_has_concluded_is_in_no_haste_for_further_news():
    delays = set()
    for session in range(1, 60):
        board = Board(SWARM, A, session, lead_ms=60_000)
        board.complete()
        board.prove(2, 5, 1, **ALL)
        board.settle()
        board.hear(SWARM.frame(2, 5, 2, heard=SWARM.members, ready=(2, 3, 4, 5)))
        begun = board.true_us
        board.true_us -= 1000
        board.speak()
        delays.add((board.true_us - begun) // 1000)
    assert max(delays) > IMIN_MS // 2


@pytest.mark.parametrize("us", (0, PERIOD - 300_000))
@pytest.mark.parametrize("earlier_us, soon", ((800, False), (801, True), (50_000, True)))
def test_an_instant_that_becomes_more_than_800_us_earlier_is_told_soon(earlier_us, soon, us):
    delays = set()
    for session in range(1, 60):
        board = Board(SWARM, A, session, lead_ms=60_000, us=us)
        board.complete()
        board.prove(2, 5, 1, **ALL)
        board.settle()
        offset_us = board.node.first_sample.remaining_us(board.now[1]) - earlier_us
        board.hear(SWARM.frame(2, 5, 2, heard=SWARM.members, ready=(2, 3, 4), offset_us=offset_us))
        assert board.node.trickle.interval_ms == IMIN_MS, "each better instant is news"
        begun = board.true_us
        board.true_us -= 1000
        board.speak()
        delays.add((board.true_us - begun) // 1000)
    assert (delays == set(range(SOON_MS))) == soon
    assert soon or max(delays) > IMIN_MS // 2


def test_the_first_instant_that_a_node_hears_of_hurries_it_no_more_than_other_news():
    delays = set()
    for session in range(1, 60):
        board = Board(SWARM, A, session)
        board.prove(2, 5, 1, **ALL)
        board.settle()
        board.hear(SWARM.frame(2, 5, 2, **ALL, offset_us=400_000))
        begun = board.true_us
        board.true_us -= 1000
        board.speak()
        delays.add((board.true_us - begun) // 1000)
    assert max(delays) > IMIN_MS // 2


def is_silenced(board, heard):
    """Whether so many consistent frames in an interval silence a board."""
    board.tell()
    board.node.trickle.start(board.now[0])
    before = board.counter("suppressed")
    for _ in range(heard):
        board.hear(agreeing(board, board.node.sessions.heard[3 * SWARM.members.index(2) + 1] + 1))
    sent = board.pass_ms(IMIN_MS)
    assert len(sent) + board.counter("suppressed") - before == 1
    return not sent


def test_one_consistent_frame_silences_a_node_and_eight_while_the_instant_is_less_than_2_s_ahead():
    board = Board(SWARM, A, SESSION, lead_ms=5000)
    board.complete()
    board.prove(2, 5, 1, heard=SWARM.members, ready=(2,))
    assert not is_silenced(board, 0) and is_silenced(board, 1) and is_silenced(board, 20)
    board.prove(2, 5, 100, **ALL)
    assert is_silenced(board, 1), "it is more than 2 s ahead"
    board.true_us += 3_000_000
    assert not is_silenced(board, 7) and is_silenced(board, 8) and is_silenced(board, 9)
    board.true_us += 5_000_000
    board.poll()
    assert board.samples
    assert is_silenced(board, 1) and not is_silenced(board, 0)


def test_with_several_links_others_words_do_not_silence_a_node():
    board = concluded(5000)
    board.node.trickle.redundancy = 255
    assert not is_silenced(board, 20)


def test_a_frame_without_news_hurries_a_node_no_more_than_once_in_half_of_imin():
    board = Board(SWARM, A, SESSION)
    board.prove(2, 5, 1, **ALL)
    spoken = []
    for sequence in range(2, 400):
        board.hear(SWARM.frame(2, 5, sequence))  # it lacks what the board knows
        spoken += [board.true_us // 1000 for _ in board.pass_ms(1)]
    gaps = [after - before for before, after in zip(spoken, spoken[1:], strict=False)]
    assert min(gaps) == IMIN_MS // 2 and len(gaps) > 10

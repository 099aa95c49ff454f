"""Long lives: hundreds of reboots, members that come hours late, storms of power cuts, nodes alone."""

import pytest

from swarm_fixture import PERIOD, Air, Swarm

HOUR_MS = 3_600_000
HOURS = 3


@pytest.mark.parametrize("ready_before", (True, False))
def test_300_reboots_of_one_member_before_the_conclusion(ready_before):
    air = Air(Swarm(range(1, 5)), 1, 0.1)
    for node_id in air.swarm.members:
        air.boot(node_id, 1)
    air.complete(1, 3)
    for session in range(2, 302):
        air.run(air.rng.uniform(1, 150))
        if ready_before and air.rng.random() < 0.7:
            air.complete(2)
            air.run(air.rng.uniform(1, 60))
        air.boot(2, session)
    air.complete(2, 4)
    air.converge(1000)
    air.run(10_000)
    # Nobody needs a proof of a member of whom a relay has told everything.
    assert {board.session_of(2) for board in air.boards.values() if board.id != 2} <= {0, 301}
    restarts = [board.counter("restarts") for board in air.boards.values() if board.id != 2]
    assert max(restarts) > 200, "each must have been told from the one before"


def test_300_reboots_of_one_member_after_the_conclusion():
    air = Air(Swarm(range(1, 5)), 2, 0.1)
    for node_id in air.swarm.members:
        air.boot(node_id, 1)
    air.complete(*air.swarm.members)
    air.converge()
    for session in range(2, 302):
        air.run(air.rng.uniform(1, 150))
        air.boot(2, session)
        air.complete(2)
        if session % 20 == 0:
            air.converge(1000)
            air.run(1000)
            assert len(air.boards[2].samples) == 1
    air.converge(1000)
    assert all(len(board.samples) == 1 for board in air.boards.values() if board.id != 2)


def test_a_member_that_the_quorum_needs_joins_hours_late():
    air = Air(Swarm(range(1, 4)), 1, 0.1)
    for node_id in (1, 2):
        # Millisecond ticks wrap on the way for both, microsecond ticks each 18 minutes.
        air.boot(node_id, 1, ms=PERIOD - HOUR_MS * node_id)
    air.complete(1, 2)
    air.run(HOURS * HOUR_MS)
    assert not air.concluded(1)
    air.boot(3, 1)
    air.complete(3)
    air.converge(5000)
    air.run(1000)
    assert all([late for _, _, late in board.samples] == [False] for board in air.boards.values())
    # One a minute; each is a little late, by the wait for the next poll.
    assert 58 * HOURS <= air.boards[1].counter("timeouts") <= 60 * HOURS


def test_a_member_joins_hours_after_the_conclusion():
    air = Air(Swarm(range(1, 4), 2), 1, 0.1)
    for node_id in (1, 2):
        air.boot(node_id, 1, ms=PERIOD - HOUR_MS * node_id)
    air.complete(1, 2)
    air.converge()
    air.run(HOURS * HOUR_MS)
    air.boot(3, 1)
    air.complete(3)
    air.converge(5000)
    air.run(5000)
    assert [(late_us, late) for _, late_us, late in air.boards[3].samples] == [(500_000_000, True)]
    assert all(board.ready == {1, 2, 3} for board in air.boards.values())


@pytest.mark.parametrize("members", (range(1, 2), range(1, 6)))
@pytest.mark.parametrize("after_ms", (0, 200, HOUR_MS // 2))
def test_a_lone_node_concludes(members, after_ms):
    air = Air(Swarm(members, 1), 5)
    air.boot(1, 1)
    air.run(after_ms)
    air.complete(1)
    assert air.concluded(1)
    air.run(600)
    assert [late for _, _, late in air.boards[1].samples] == [False]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_lost_and_rebooted_before_all_conclude_once_all_are_up_and_ready(seed):
    air = Air(Swarm(range(1, 8)), seed, 0.3)
    members = air.swarm.members
    sessions = dict.fromkeys(members, 0)
    for _ in range(60):
        node_id = air.rng.choice(members)
        if node_id in air.boards and air.rng.random() < 0.3:
            air.kill(node_id)
        elif node_id not in air.boards or air.rng.random() < 0.5:
            sessions[node_id] += air.rng.randint(1, 3)
            air.boot(node_id, sessions[node_id])
        # 7 stays unready, so that the storm goes on until its end.
        elif node_id != 7:
            air.complete(node_id)
        air.run(air.rng.choice((1, 5, 30, 100)))
    for node_id in members:
        if node_id not in air.boards:
            air.boot(node_id, sessions[node_id] + 1)
        air.complete(node_id)
    air.converge(5000)


@pytest.mark.parametrize("seed", range(4))
def test_two_members_reboot_unseen_by_each_others_witnesses(seed):
    # Two halves that cannot hear each other see different reboots and reach the same generation each on its own.
    swarm = Swarm(range(1, 7))
    halves = [Air(swarm, f"{seed} {half}") for half in range(2)]
    boards = {}
    for half, air in enumerate(halves):
        air.ever_ready.update(swarm.members)
        for node_id in (1, 2, 3) if half == 0 else (4, 5, 6):
            boards[node_id] = air.boot(node_id, 1)
            air.complete(node_id)
        air.run(200)
        air.boot(2 if half == 0 else 5, 2)
        air.run(200)
    generations = {board.node.knowledge.generation for air in halves for board in air.boards.values()}
    assert generations == {1}
    whole = Air(swarm, seed, 0.1)
    whole.join(*(board for air in halves for board in air.boards.values()))
    whole.complete(1, 3, 4, 6)
    whole.run(500)
    assert not any(whole.concluded(node_id) for node_id in swarm.members)
    assert all(board.ready == {1, 3, 4, 6} for board in whole.boards.values())
    whole.complete(2, 5)
    whole.converge(2000)

"""Recorded traffic: frames of earlier boots, of the receiver or of the sender, never count or hold a swarm up."""

import functools
import random

import pytest

from swarm_fixture import IMIN_MS, Air, Board, Swarm

SWARM = Swarm(range(1, 6), 3)
MEMBERS = SWARM.members


@functools.cache
def recording():
    """Every frame of three earlier lives of the swarm, in which all were ready, members rebooted at all stages, and
    the generation rose. The last session of each member is below 100."""
    frames = []
    for life in range(3):
        air = Air(SWARM, f"life {life}", 0.1)
        session = 10 + 30 * life
        for node_id in MEMBERS:
            air.boot(node_id, session)
        air.run(100)
        air.complete(1, 2)
        air.run(60)
        air.boot(2, session + 1)
        air.run(60)
        air.boot(1, session + 2)
        air.complete(1, 3)
        air.run(60)
        air.complete(2, 4, 5)
        air.converge()
        air.run(700)
        air.boot(3, session + 3)
        air.run(80)
        air.complete(3)
        air.converge()
        air.run(100)
        frames += [frame for _, frame in air.sent]
    fields = [SWARM.fields(frame) for frame in frames]
    assert max(field.generation for field in fields) >= 2
    assert any(len(field.ready) == 5 for field in fields)
    assert len(frames) > 200
    return frames


def knows_nothing(board):
    return board.heard == {board.id} and board.ready <= {board.id} and not board.node.first_sample.known


@pytest.mark.parametrize("ready", (False, True))
@pytest.mark.parametrize("receiver", MEMBERS)
def test_no_recorded_frame_counts_for_a_node_that_has_booted_since(receiver, ready):
    for frame in recording():
        board = Board(SWARM, receiver, 100)
        if ready:
            board.complete()
        board.hear(frame)
        assert knows_nothing(board)
        assert board.node.knowledge.generation == 0
        assert not board.node.conflict
        assert board.state == ("Collecting" if ready else "Pinging")


@pytest.mark.parametrize("receiver", MEMBERS)
def test_nor_do_all_of_them_in_any_order(receiver):
    board = Board(SWARM, receiver, 100)
    board.complete()
    frames = 2 * recording()
    random.Random(f"order {receiver}").shuffle(frames)
    for frame in frames:
        board.hear(frame)
    assert knows_nothing(board)
    assert board.state == "Collecting"


@pytest.mark.parametrize("seed", range(6))
def test_a_flood_of_recordings_neither_counts_nor_holds_up(seed):
    air = Air(SWARM, seed, 0.2)
    for node_id in MEMBERS:
        air.boot(node_id, 100)
    frames = 2 * recording()
    air.rng.shuffle(frames)
    for frame in frames:
        air.at(air.rng.uniform(0, 2500), lambda frame=frame: air.inject(frame))
    first, second, *rest = air.rng.sample(MEMBERS, 5)
    air.at(200, lambda: air.complete(first))
    air.at(300, lambda: air.complete(second))
    air.run(1500)
    for board in air.boards.values():
        assert board.ready == {first, second}
        assert board.node.knowledge.generation == 0
        assert board.counter("restarts") == 0
        assert board.state in ("Pinging", "Collecting")
    # ... and the flood goes on while the others become ready.
    air.complete(*rest)
    air.converge(1000)
    air.run(1000)
    assert all(len(board.samples) == 1 for board in air.boards.values())


@pytest.mark.parametrize("seed", range(6))
def test_recordings_of_this_life_do_not_bring_an_earlier_boot_back(seed):
    # 2 was ready, and has rebooted; so has 1, after it: what was said of 2, and by it, is true no more.
    swarm = Swarm(MEMBERS, 5)
    air = Air(swarm, seed, 0.1)
    for node_id in MEMBERS:
        air.boot(node_id, 100)
    air.complete(2, 3, 4, 5)
    air.run(300)
    air.boot(2, 101)
    air.run(air.rng.uniform(0, 200))
    air.boot(1, 101)
    air.run(500)
    frames = [frame for _, frame in air.sent if swarm.fields(frame).session == 100] * 2
    air.rng.shuffle(frames)
    assert any(2 in swarm.fields(frame).ready for frame in frames)
    air.ever_ready.discard(2)
    for frame in frames:
        air.at(air.rng.uniform(0, 1000), lambda frame=frame: air.inject(frame))
    for _ in range(300):
        air.run(5)
        for board in air.boards.values():
            assert board.ready == {3, 4, 5}
    for frame in frames:
        air.at(air.rng.uniform(0, 1000), lambda frame=frame: air.inject(frame))
    air.complete(1)
    air.run(500)
    assert not any(air.concluded(node_id) for node_id in MEMBERS)
    air.complete(2)
    air.converge(1000)


@pytest.mark.parametrize("seed", range(4))
def test_all_reboot_at_once_into_their_own_recordings(seed):
    air = Air(SWARM, seed, 0.1)
    for life in range(100, 104):
        for node_id in MEMBERS:
            air.boot(node_id, life)
        air.ever_ready.clear()
        frames = [frame for _, frame in air.sent]
        for frame in frames:
            air.at(air.rng.uniform(0, 400), lambda frame=frame: air.inject(frame))
        air.run(450)
        for board in air.boards.values():
            assert board.ready == set()
        air.complete(*MEMBERS)
        air.converge(1000)


@pytest.mark.parametrize("seed", range(3))
def test_old_frames_of_many_absent_members_do_not_crowd_out_the_living(seed):
    # Each asks for an echo, more than there are slots, faster than they are sent.
    swarm = Swarm(range(1, 41), 3)
    air = Air(swarm, seed, 0.1)
    for node_id in (1, 2, 3):
        air.boot(node_id, 100)
    air.complete(1, 2)
    for at in range(3000):
        absent = air.rng.randint(4, 40)
        frame = swarm.frame(absent, air.rng.randint(1, 99), at + 1, generation=air.rng.choice((0, 5)), ready=(absent,))
        air.at(at, lambda frame=frame: air.inject(frame))
    air.run(500)
    assert not air.concluded(1)
    air.complete(3)
    air.converge(2000)
    assert all(board.ready == {1, 2, 3} for board in air.boards.values())


def test_an_old_recording_of_an_absent_member_makes_no_more_than_trickles_noise():
    # An authentic frame of an unproved session may make a node speak, at most once in half of Imin.
    board = Board(SWARM, 1, 100)
    sent = 0
    for at in range(3000):
        board.hear(recording()[at % len(recording())])
        sent += len(board.pass_ms(1))
    assert 20 < sent <= 3000 // (IMIN_MS // 2) + 1

"""Every fault of the simulator happens, and the swarm comes through it."""

import pytest

from swarm.device.library import COUNTERS
from swarm.sim.plan import FAULTS, Options, draw
from swarm.sim.run import Run


def run(*faults, seed=1, **wishes):
    made = Run(Options(**{"board": "ideal", "nodes": (6, 6), "boot_spread_ms": 500, "faults": faults, **wishes}), seed)
    return made, made.run()


def counted(made, name):
    return sum(board.node.counters[COUNTERS.index(name)] for board in made.boards if board.node)


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("topology", ("single", "mixed"))
def test_no_fault_breaks_what_must_hold(fault, topology):
    for seed in (1, 2, 3):
        _, result = run(fault, seed=seed, topology=topology, loss=0.1)
        assert not result.words, f"seed {seed}: {result.words}"


@pytest.mark.parametrize(
    "fault, counter",
    (
        ("corrupt", "forged"), ("duplicate", "replayed"), ("replay", "unproved"), ("foreign", "foreign"),
        ("babble", "malformed"), ("deadline", "timeouts"), ("reboot", "restarts"), ("loop", "restarts"),
    ),
)  # fmt: skip
def test_a_fault_is_seen_in_the_counters(fault, counter):
    assert any(counted(run(fault, seed=seed)[0], counter) for seed in (1, 2, 3))


@pytest.mark.parametrize("fault", ("corrupt", "duplicate", "foreign", "babble", "replay"))
def test_without_the_fault_the_counters_stay_still(fault):
    made, _ = run(loss=0.1)
    for counter in ("forged", "replayed", "foreign", "malformed", "stale", "timeouts", "restarts"):
        assert not counted(made, counter), counter


def test_one_of_two_boards_with_one_id_stops():
    made, _ = run("double")
    assert sum(board.node.conflict for board in made.boards) >= 1


def test_nobody_concludes_without_the_member_that_never_comes():
    for fault in ("absent", "unready"):
        _, result = run(fault)
        assert result.converge_us is None and not result.words


def test_the_others_conclude_without_the_member_that_is_not_required():
    for fault in ("absent", "unready"):
        _, result = run(fault, quorum=5)
        assert result.converge_us is not None and not result.words


def test_an_earlier_runs_frames_make_nobody_conclude():
    for seed in range(1, 6):
        made, result = run("replay", "unready", nodes=(10, 10), quorum=10, seed=seed)
        assert result.converge_us is None and not result.words
        assert counted(made, "unproved")


def test_a_partition_delays_the_conclusion_until_it_heals():
    made = Run(Options(board="ideal", nodes=(6, 6), boot_spread_ms=500, faults=("partition",)), 3)
    _, end, side = made.plan.partition
    assert 0 < side < 63, "choose a seed that cuts the swarm"
    made.run()
    assert max(board.concluded_at for board in made.boards) > end


def test_a_late_member_is_waited_for():
    made, result = run("late")
    assert max(member.boot_us for member in made.plan.members) >= 1_500_000 and result.converge_us is not None


def test_slow_chips_drop_frames_and_still_conclude():
    made, result = run("slow", nodes=(12, 12), frame_us=4000)
    assert result.converge_us is not None and any(board.frame_us > 4000 for board in made.boards)


@pytest.mark.parametrize("fault, worse", (("burst", 2), ("asymmetric", 2)))
def test_links_get_worse(fault, worse):
    def share(*faults):
        made, _ = run(*faults, nodes=(10, 10))
        return counted(made, "received") / counted(made, "sent")

    assert share(fault) < share() - 0.5


def test_drift_reaches_200_ppm():
    drawn = [member.ppm for seed in range(50) for member in draw(Options(faults=("drift",)), seed).members]
    assert -200 <= min(drawn) < -150 and 150 < max(drawn) <= 200
    assert all(abs(member.ppm) <= 50 for member in draw(Options(), 1).members)


def test_mixed_draws_none_to_four_and_keeps_what_was_asked_for():
    drawn = [draw(Options(faults=("mixed", "drift")), seed).faults for seed in range(300)]
    assert all("drift" in faults and len(faults) <= 5 for faults in drawn)
    assert {fault for faults in drawn for fault in faults} == set(FAULTS)

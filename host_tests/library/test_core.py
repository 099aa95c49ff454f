"""The readiness machine by itself: what it refuses, what its observer hears, and how little it assumes of its input."""

import pytest

from faction import core, names
from faction.core import Faction

INITIAL, PINGING, COLLECTING, BOOTSTRAPPED, TIMED_OUT = range(5)
P, R, L, D, Q = range(5)


class Recorder:
    """An observer that writes down what it is told."""

    def __init__(self):
        self.heard = []

    def observe(self, machine, before, command, peer_id):
        outcomes = [entry["outcome"] for entry in names.outcomes(machine, peer_id)]
        self.heard.append(("observe", before, machine.state, command, peer_id, outcomes))

    def observe_query(self, machine):
        self.heard.append(("query", machine.state))

    def observe_rejection(self, machine, command, peer_id):
        self.heard.append(("rejection", machine.state, command, peer_id))


@pytest.mark.parametrize(
    ("peer_id", "peers", "required", "says"),
    [
        (0, [], 1, "no members"),
        (0, [0, 1, 2, 1], 1, "peer id 1: listed twice"),
        (65535, [65535, 65535], 1, "peer id 65535: listed twice"),
        (0, [0, 65536], 1, "peer id 65536: outside 0 ... 65535"),
        (0, [0, -1], 1, "peer id -1: outside 0 ... 65535"),
        (3, [0, 1, 2], 1, "local peer id 3: not a member"),
        (0, [0, 1, 2], 0, "required count 0: outside 1 ... 3"),
        (0, [0, 1, 2], -1, "required count -1: outside 1 ... 3"),
        (0, [0, 1, 2], 4, "required count 4: outside 1 ... 3"),
    ],
)
def test_construction_refuses_and_names_the_value(peer_id, peers, required, says):
    with pytest.raises(ValueError) as refusal:
        Faction(peer_id, peers, required)
    assert says in str(refusal.value)


def test_members_may_come_in_any_order_and_from_any_iterable():
    machine = Faction(7, (65535, 0, 7), 3)
    assert list(machine.ids) == [0, 7, 65535]
    assert list(Faction(1, {3, 1, 2}, 1).ids) == [1, 2, 3]


def test_the_callers_list_is_left_alone():
    peers = [2, 0, 1]
    Faction(0, peers, 1)
    assert peers == [2, 0, 1]


def test_index_finds_every_member_and_nothing_else():
    ids = list(range(0, 65536, 97))
    machine = Faction(0, ids, 1)
    assert [machine.index(peer) for peer in ids] == list(range(len(ids)))
    assert [machine.index(peer + 1) for peer in ids] == [-1] * len(ids)
    assert machine.index(-1) == machine.index(1 << 40) == -1


def test_observer_hears_every_command_once():
    recorder = Recorder()
    machine = Faction(0, [0, 1], 2, recorder)
    for command, peer in ((L, 0), (P, 1), (P, 9), (R, 1), (R, 1), (Q, 0), (L, 0), (P, 1)):
        machine.process(command, peer)
    assert recorder.heard == [
        ("rejection", INITIAL, L, 0),
        ("observe", INITIAL, PINGING, P, 1, ["ParticipationAccepted"]),
        ("observe", PINGING, PINGING, P, 9, ["NonMemberIgnored"]),
        ("observe", PINGING, PINGING, R, 1, ["ReadyAccepted"]),
        ("observe", PINGING, PINGING, R, 1, ["DuplicateReadyIgnored"]),
        ("query", PINGING),
        (
            "observe",
            PINGING,
            BOOTSTRAPPED,
            L,
            0,
            ["LocalParticipationCompleted", "BroadcastLocalReady", "Concluded"],
        ),
        ("rejection", BOOTSTRAPPED, P, 1),
    ]


def test_results_without_an_observer():
    machine = Faction(0, [0, 1], 2)
    assert machine.process(D) == core.REJECTED
    assert machine.process(Q) == core.PROBED
    assert machine.process(P, 0) == core.ACCEPTED
    assert machine.process(D) == core.ACCEPTED
    assert machine.state == TIMED_OUT
    assert names.outcomes(machine, 0) == [{"outcome": "Concluded", "mode": "TimedOut"}]


@pytest.mark.parametrize("command", [-1, 5, 99, 1 << 40])
def test_a_command_that_does_not_exist_is_rejected(command):
    machine = Faction(0, [0, 1], 2)
    machine.process(P, 0)
    before = names.view(machine)
    assert machine.process(command) == core.REJECTED
    assert names.view(machine) == before


def test_rejection_leaves_no_outcomes_of_the_command_before():
    machine = Faction(0, [0, 1], 2)
    machine.process(P, 1)
    machine.process(Q)
    assert machine.outcome_count == 0
    machine.process(P, 1)
    machine.process(D)
    machine.process(D)
    assert machine.outcome_count == 0


def test_reset_is_a_fresh_machine():
    machine = Faction(0, list(range(9)), 2)
    fresh = names.view(machine)
    for command, peer in ((P, 8), (R, 8), (L, 0)):
        machine.process(command, peer)
    assert machine.state == BOOTSTRAPPED
    machine.reset()
    assert names.view(machine) == fresh
    assert (machine.pinging_count, machine.collecting_count, machine.outcome_count) == (0, 0, 0)


def test_counts_follow_the_sets():
    machine = Faction(0, list(range(20)), 20)
    for peer in (3, 3, 19, 77):
        machine.process(P, peer)
        machine.process(R, peer)
    assert (machine.pinging_count, machine.collecting_count) == (2, 2)
    machine.process(L)
    assert machine.collecting_count == 3


def test_the_table_has_a_cell_for_every_pair():
    assert len(core.TABLE) == len(names.STATES) * len(names.COMMANDS) * 3
    for at in range(0, len(core.TABLE), 3):
        action, below, reached = core.TABLE[at : at + 3].decode()
        assert action in "ARLD?-"
        if action == "-":
            assert (below, reached) == ("-", "-")
        else:
            assert below in "01234" and reached in "01234"
        if action == "?":
            assert int(below) == int(reached) == at // 3 // len(names.COMMANDS), "a probe changes nothing"

"""The readiness machine at its edges: codes, sizes, how it finds a member, and a swarm explored to its end."""

import math

import pytest

from faction import core, names
from faction.core import Faction
from model import COMMANDS, Model

STATES = ("INITIAL", "PINGING", "COLLECTING", "BOOTSTRAPPED", "TIMED_OUT")
COMMAND_CODES = (
    "PARTICIPATION_OBSERVED",
    "READY_OBSERVED",
    "LOCAL_PARTICIPATION_COMPLETED",
    "DEADLINE_EXPIRED",
    "PROBE",
)
P, R, L, D, Q = range(5)


class Looked(list):
    """A machine's ids, which count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, at):
        assert 0 <= at < len(self), f"looks at position {at} of {len(self)}"
        self.looks += 1
        return super().__getitem__(at)


def looks(ids, peer_id):
    """(position found, how often an id was looked at) when peer_id is sought."""
    machine = Faction(ids[0], ids, 1)
    machine.ids = Looked(machine.ids)
    return machine.index(peer_id), machine.ids.looks


def test_codes_are_the_places_of_their_names():
    assert [getattr(core, name) for name in STATES] == list(range(5))
    assert [name.replace("_", "").lower() for name in STATES] == [name.lower() for name in names.STATES]
    assert [getattr(core, name) for name in COMMAND_CODES] == list(range(5))
    assert [name.replace("_", "").lower() for name in COMMAND_CODES] == [name.lower() for name in names.COMMANDS]
    assert [core.REJECTED, core.ACCEPTED, core.PROBED] == [0, 1, 2]
    assert names.RESULTS == ("Rejected", "Accepted", "Probed")


@pytest.mark.parametrize("members", (1, 7, 8, 9, 16, 17, 64, 65, 680))
def test_a_machine_takes_the_memory_that_it_needs(members):
    machine = Faction(0, range(members), 1)
    assert len(machine.pinging) == len(machine.collecting) == -(-members // 8)
    assert len(machine.outcomes) == 3, "the longest list: completed, broadcast, concluded"


def test_all_attributes_are_made_with_the_machine():
    machine = Faction(0, range(9), 2)
    made = set(vars(machine))
    for command in (Q, P, R, L, D):
        machine.process(command, 3)
    assert set(vars(machine)) == made, "one made later takes memory then"


@pytest.mark.parametrize("first", (0, 1, 1000, 65535 - 299))
def test_where_ids_have_no_gaps_a_member_is_looked_at_once(first):
    ids = list(range(first, first + 300))
    for at in (0, 1, 2, 127, 128, 298, 299):
        # The first id, then whether it is the one that is sought.
        assert looks(ids, ids[at]) == (at, 2)


@pytest.mark.parametrize("first", (0, 5))
def test_a_gap_costs_a_search_by_halves(first):
    ids = [first + 100 * i for i in range(300)]
    for at in range(300):
        for peer_id in (ids[at] - 1, ids[at], ids[at] + 1):
            found, looked = looks(ids, peer_id)
            assert found == (at if peer_id == ids[at] else -1)
            # Each halving compares twice; before the first, one look at where it would be without gaps.
            assert looked <= 1 + 2 + 2 * math.ceil(math.log2(301)), peer_id


@pytest.mark.parametrize("peer_id, most", ((-1, 1), (4, 1), (65536, 1)))
def test_one_member_is_compared_with_once_at_most_twice(peer_id, most):
    found, looked = looks([5], peer_id)
    assert found == -1
    assert looked <= 1 + 2 * most


def test_the_outcomes_begin_anew_with_each_command():
    machine = Faction(0, [0, 1], 2)
    for command, peer_id, outcomes in (
        (P, 1, ["ParticipationAccepted"]),
        (R, 1, ["ReadyAccepted"]),
        (L, 0, ["LocalParticipationCompleted", "BroadcastLocalReady", "Concluded"]),
        (D, 0, []),
    ):
        machine.process(command, peer_id)
        assert [entry["outcome"] for entry in names.outcomes(machine, peer_id)] == outcomes


def test_the_answers_are_truth_values():
    machine = Faction(0, [0, 1], 2)
    assert machine.completed is False
    for command in (P, L):
        machine.process(command)
    assert machine.completed is True
    machine.reset()
    assert machine.completed is False


def test_a_command_without_a_peer_is_told_with_id_0():
    class Observer:
        def observe(self, machine, before, command, peer_id):
            told.append((command, peer_id))

        def observe_rejection(self, machine, command, peer_id):
            told.append((command, peer_id))

    told = []
    machine = Faction(1, [1, 2], 2, Observer())
    machine.process(D)
    machine.process(P, 2)
    machine.process(L)
    assert told == [(D, 0), (P, 2), (L, 0)]


def everything(members, local, required):
    """Every state that can be reached is visited, and every command given there; returns how many states."""
    peers = list(members)
    commands = [(command, peer_id) for command in (P, R) for peer_id in (*peers, max(peers) + 1)]
    commands += [(command, 0) for command in (L, D, Q)]
    paths, seen = [()], set()
    while paths:
        path = paths.pop()
        for last in commands:
            machine, model = Faction(local, peers, required), Model(local, peers, required)
            for command, peer_id in path:
                machine.process(command, peer_id)
                model.process(COMMANDS[command], peer_id)
            command, peer_id = last
            result = machine.process(command, peer_id)
            outcomes = names.outcomes(machine, peer_id) if result == core.ACCEPTED else []
            said = {"result": names.RESULTS[result], "outcomes": outcomes}
            said |= {"view": names.view(machine), "admissible": names.admissible(machine)}
            assert said == model.process(COMMANDS[command], peer_id), (path, last)
            state = repr(said["view"])
            if state not in seen:
                seen.add(state)
                paths.append((*path, last))
    return len(seen)


# Initial; Pinging with any of 4 pinging and of 4 collecting sets, and timed out from each; with a quorum of one the
# 4 * 2 conclusions, with one of two 4 times Collecting, timed out from it, and concluded.
@pytest.mark.parametrize("local, required, states", ((1, 1, 41), (1, 2, 45), (2, 2, 45)))
def test_every_state_of_two_members_agrees_with_the_model(local, required, states):
    assert everything((1, 2), local, required) == states


@pytest.mark.parametrize("required", (1, 2, 3))
def test_every_state_of_three_members_agrees_with_the_model(required):
    assert everything((2, 3, 500), 3, required) > 2 * 8 * 8

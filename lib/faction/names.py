"""Names of the machine's codes, and snapshots of a machine as vectors, traces and the status show them.

Apart from core.py, so that a node that prints nothing pays nothing for them. Everything here allocates.
"""

from micropython import const

from faction.core import TABLE

STATES = ("Initial", "Pinging", "Collecting", "Bootstrapped", "TimedOut")
COMMANDS = (
    "ParticipationObserved",
    "ReadyObserved",
    "LocalParticipationCompleted",
    "DeadlineExpired",
    "Probe",
)
RESULTS = ("Rejected", "Accepted", "Probed")
OUTCOMES = (
    "NonMemberIgnored",
    "DuplicateParticipationIgnored",
    "ParticipationAccepted",
    "DuplicateReadyIgnored",
    "ReadyAccepted",
    "LocalParticipationCompleted",
    "BroadcastLocalReady",
    "Concluded",
)
_LOCAL_COMPLETED = const(5)  # outcomes before this one are about a peer
_CONCLUDED = const(7)
_REFUSED = const(45)  # in the table: -
# What a node counts, in the order of its counters.
COUNTERS = (
    "received",
    "malformed",
    "foreign",
    "misfit",
    "non_member",
    "impossible",
    "forged",
    "replayed",
    "stale",
    "unproved",
    "own",
    "sent",
    "suppressed",
    "restarts",
    "timeouts",
    "outdated",
)


def members(ids, bitmap):
    """The ids whose bit is set in the bitmap, ascending, as a list."""
    return [ids[i] for i in range(len(ids)) if bitmap[i >> 3] >> (i & 7) & 1]


def missing(node):
    """Ids of the members that a node does not know to be ready, as a list."""
    return members(node.machine.ids, bytes([byte ^ 0xFF for byte in node.knowledge.bitmaps[node.frame.width :]]))


def view(machine):
    """The machine's view, as a dict with the keys of a vector's `view`."""
    name = STATES[machine.state]
    return {
        "peer_state": name,
        "conclusion": name if name in ("Bootstrapped", "TimedOut") else None,
        "is_pinging_completed": machine.completed,
        "pinging_peers": members(machine.ids, machine.pinging),
        "collecting_peers": members(machine.ids, machine.collecting),
        "required_count": machine.required_count,
    }


def outcomes(machine, peer_id):
    """Outcomes of the last accepted command, as a list of dicts; peer_id: the peer of that command."""
    result = []
    for code in machine.outcomes[: machine.outcome_count]:
        entry = {"outcome": OUTCOMES[code]}
        if code < _LOCAL_COMPLETED:
            entry["peer_id"] = peer_id
        elif code == _CONCLUDED:
            entry["mode"] = STATES[machine.state]
        result.append(entry)
    return result


def admissible(machine):
    """Names of the commands that the machine's state accepts or answers."""
    return [name for code, name in enumerate(COMMANDS) if TABLE[(machine.state * 5 + code) * 3] != _REFUSED]

"""The readiness machine with plain sets and names, written from the tables of the design: what core.py is held against.

It shares nothing with core.py, so that a mistake would have to be made twice.
"""

COMMANDS = ("ParticipationObserved", "ReadyObserved", "LocalParticipationCompleted", "DeadlineExpired", "Probe")
STATES = ("Initial", "Pinging", "Collecting", "Bootstrapped", "TimedOut")
ACCEPTS = {
    "Initial": {"ParticipationObserved", "ReadyObserved"},
    "Pinging": {"ParticipationObserved", "ReadyObserved", "LocalParticipationCompleted", "DeadlineExpired"},
    "Collecting": {"ReadyObserved", "DeadlineExpired"},
    "Bootstrapped": set(),
    "TimedOut": set(),
}


class Model:
    """One peer's machine; process() returns a vector's result, outcomes, view and admissible."""

    def __init__(self, peer_id, peers, required_count):
        self.peer_id = peer_id
        self.peers = set(peers)
        self.required_count = required_count
        self.state = "Initial"
        self.pinging = set()
        self.ready = set()
        self.completed = False

    def process(self, command, peer_id=None):
        outcomes = []
        if command == "Probe":
            result = "Probed"
        elif command in ACCEPTS[self.state]:
            result = "Accepted"
            outcomes = getattr(self, "_" + command)(peer_id)
        else:
            result = "Rejected"
        return {"result": result, "outcomes": outcomes, "view": self.view(), "admissible": self.admissible()}

    def view(self):
        return {
            "peer_state": self.state,
            "conclusion": self.state if self.state in ("Bootstrapped", "TimedOut") else None,
            "is_pinging_completed": self.completed,
            "pinging_peers": sorted(self.pinging),
            "collecting_peers": sorted(self.ready),
            "required_count": self.required_count,
        }

    def admissible(self):
        return [command for command in COMMANDS if command in ACCEPTS[self.state] or command == "Probe"]

    def _ParticipationObserved(self, peer_id):  # noqa: N802 - named as the command
        self.state = "Pinging"
        if peer_id not in self.peers:
            return [{"outcome": "NonMemberIgnored", "peer_id": peer_id}]
        if peer_id in self.pinging:
            return [{"outcome": "DuplicateParticipationIgnored", "peer_id": peer_id}]
        self.pinging.add(peer_id)
        return [{"outcome": "ParticipationAccepted", "peer_id": peer_id}]

    def _ReadyObserved(self, peer_id):  # noqa: N802
        if self.state == "Initial":
            self.state = "Pinging"
        if peer_id not in self.peers:
            return [{"outcome": "NonMemberIgnored", "peer_id": peer_id}]
        if peer_id in self.ready:
            return [{"outcome": "DuplicateReadyIgnored", "peer_id": peer_id}]
        self.ready.add(peer_id)
        outcomes = [{"outcome": "ReadyAccepted", "peer_id": peer_id}]
        if self.state == "Collecting" and len(self.ready) >= self.required_count:
            outcomes += self._conclude("Bootstrapped")
        return outcomes

    def _LocalParticipationCompleted(self, _):  # noqa: N802
        self.completed = True
        self.ready.add(self.peer_id)
        outcomes = [{"outcome": "LocalParticipationCompleted"}, {"outcome": "BroadcastLocalReady"}]
        if len(self.ready) >= self.required_count:
            return outcomes + self._conclude("Bootstrapped")
        self.state = "Collecting"
        return outcomes

    def _DeadlineExpired(self, _):  # noqa: N802
        return self._conclude("TimedOut")

    def _conclude(self, mode):
        self.state = mode
        return [{"outcome": "Concluded", "mode": mode}]

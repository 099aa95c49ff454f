"""The readiness machine: a deterministic Mealy machine, equal in behaviour to the Rust crate faction 0.3.2.

It knows no clock and does no I/O. Ids sit in one array and the two sets are bitmaps over it, so that processing a
command allocates nothing and raises nothing. Codes are small integers; their names are in names.py.
This file also runs on MicroPython 1.9: no f-strings, properties or memoryviews here.
"""

from array import array

from micropython import const

# Peer states
INITIAL = const(0)
PINGING = const(1)
COLLECTING = const(2)
BOOTSTRAPPED = const(3)
TIMED_OUT = const(4)

# Commands
PARTICIPATION_OBSERVED = const(0)
READY_OBSERVED = const(1)
LOCAL_PARTICIPATION_COMPLETED = const(2)
DEADLINE_EXPIRED = const(3)
PROBE = const(4)

# Results of a command (names.RESULTS)
REJECTED = const(0)
ACCEPTED = const(1)
PROBED = const(2)

# Outcomes of an accepted command (names.OUTCOMES)
_NON_MEMBER_IGNORED = const(0)
_DUPLICATE_PARTICIPATION_IGNORED = const(1)
_PARTICIPATION_ACCEPTED = const(2)
_DUPLICATE_READY_IGNORED = const(3)
_READY_ACCEPTED = const(4)
_LOCAL_COMPLETED = const(5)
_BROADCAST_LOCAL_READY = const(6)
_CONCLUDED = const(7)

# The whole machine. A row is a state, a cell of three characters a command: what the command does (A: participation,
# R: readiness, L: local completion, D: deadline, ?: probe, -: rejected), the state after it, and the state after it
# when the collecting set has reached the required count. In Pinging both are alike: the quorum is not checked there.
# The columns are ParticipationObserved, ReadyObserved, LocalParticipationCompleted, DeadlineExpired, Probe.
TABLE = (
    b"A11R11------?00"  # Initial
    b"A11R11L23D44?11"  # Pinging
    b"---R23---D44?22"  # Collecting
    b"------------?33"  # Bootstrapped
    b"------------?44"  # TimedOut
)
_READINESS = const(82)  # R
_LOCAL = const(76)  # L
_DEADLINE = const(68)  # D
_QUERY = const(63)  # ?
_REFUSED = const(45)  # -
_ZERO = const(48)  # the digit 0


class Faction:
    """One peer's readiness machine.

    peer_id: this peer; peers: ids of all members (0 ... 65535, in any order); required_count: how many members must
    be ready. observer, when given, has observe(machine, before, command, peer_id) after each accepted command,
    observe_query(machine) after each probe and observe_rejection(machine, command, peer_id); the state after the
    command and its outcomes are read from the machine.

    Attributes, to be read only: state, peer_id, required_count, ids (array of ascending ids), pinging and collecting
    (bitmaps: bit i, least significant first, is ids[i]), pinging_count, collecting_count, completed (local
    participation has completed), outcomes and outcome_count (codes of the last accepted command, in order).

    Raises ValueError, which names the value, for no members, a duplicate id, an id outside 0 ... 65535, a peer_id
    that is not a member, and a required_count below 1 or above the number of members.
    """

    def __init__(self, peer_id, peers, required_count, observer=None):
        ids = sorted(peers)
        if not ids:
            raise ValueError("no members: name at least one peer")
        for i in range(len(ids)):
            if not 0 <= ids[i] <= 65535:
                raise ValueError("peer id %s: outside 0 ... 65535" % ids[i])
            if i and ids[i] == ids[i - 1]:
                raise ValueError("peer id %s: listed twice" % ids[i])
        if peer_id not in ids:
            raise ValueError("local peer id %s: not a member" % peer_id)
        if not 1 <= required_count <= len(ids):
            raise ValueError("required count %s: outside 1 ... %d members" % (required_count, len(ids)))
        self.peer_id = peer_id
        self.required_count = required_count
        self.ids = array("H", ids)
        self.pinging = bytearray((len(ids) + 7) // 8)
        self.collecting = bytearray((len(ids) + 7) // 8)
        self.outcomes = bytearray(3)
        self.observer = observer
        self.reset()

    def reset(self):
        """Return to Initial with empty sets: a fresh machine of the same swarm, without taking memory for it."""
        self.state = INITIAL
        self.completed = False
        self.pinging_count = self.collecting_count = self.outcome_count = 0
        for i in range(len(self.pinging)):
            self.pinging[i] = self.collecting[i] = 0

    def index(self, peer_id):
        """Position of peer_id in ids, or -1 when it is not a member."""
        ids = self.ids
        low = 0
        high = len(ids) - 1
        at = peer_id - ids[0]  # where it is when the ids have no gaps
        while low <= high:
            if not low <= at <= high:
                at = (low + high) >> 1
            if ids[at] == peer_id:
                return at
            if ids[at] < peer_id:
                low = at + 1
            else:
                high = at - 1
        return -1

    def process(self, command, peer_id=0):
        """Process one command; peer_id goes with the two Observed commands.

        Returns ACCEPTED (its outcomes are in outcomes[:outcome_count]), REJECTED or PROBED; only an
        accepted command changes anything.
        """
        self.outcome_count = 0
        before = self.state
        cell = (before * 5 + command) * 3
        if not 0 <= command <= PROBE or TABLE[cell] == _REFUSED:
            if self.observer:
                self.observer.observe_rejection(self, command, peer_id)
            return REJECTED
        if TABLE[cell] == _QUERY:
            if self.observer:
                self.observer.observe_query(self)
            return PROBED
        self._apply(TABLE[cell], peer_id)
        self.state = TABLE[cell + (2 if self.collecting_count >= self.required_count else 1)] - _ZERO
        if self.state >= BOOTSTRAPPED:
            self._add(_CONCLUDED)
        if self.observer:
            self.observer.observe(self, before, command, peer_id)
        return ACCEPTED

    def _apply(self, action, peer_id):
        if action == _LOCAL:
            self.completed = True
            if self._mark(self.collecting, self.index(self.peer_id), _DUPLICATE_READY_IGNORED):
                self.collecting_count += 1
            self.outcome_count = 0  # that is told in other words
            self._add(_LOCAL_COMPLETED)
            self._add(_BROADCAST_LOCAL_READY)
        elif action != _DEADLINE:
            at = self.index(peer_id)
            if at < 0:
                self._add(_NON_MEMBER_IGNORED)
            elif action == _READINESS:
                if self._mark(self.collecting, at, _DUPLICATE_READY_IGNORED):
                    self.collecting_count += 1
            elif self._mark(self.pinging, at, _DUPLICATE_PARTICIPATION_IGNORED):
                self.pinging_count += 1

    def _mark(self, bitmap, at, known):
        """Set that bit; returns whether it was not set. The outcome is known if it was, else the one after that."""
        mask = 1 << (at & 7)
        new = not bitmap[at >> 3] & mask
        bitmap[at >> 3] |= mask
        self.outcomes[0] = known + new
        self.outcome_count = 1
        return new

    def _add(self, outcome):
        self.outcomes[self.outcome_count] = outcome
        self.outcome_count += 1

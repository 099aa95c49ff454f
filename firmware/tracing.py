"""A trace of the machine's last transitions: an observer that takes memory once and can be replayed on the host.

report.py reads it.
"""

from faction.core import INITIAL, Faction

ENTRY = 6  # bytes: command and state before, state after, number of outcomes, first outcome, peer position (u16)
_NOBODY = 0xFFFF  # the peer is not a member


class Trace:
    """Observer that keeps the last `size` accepted commands of one machine.

    peer_id, peers, required_count: of that machine; size: 0 keeps nothing. What falls out of the ring is applied to
    base, a machine of the trace's own, so that a replay can begin where the ring begins. count: entries in the ring.
    """

    def __init__(self, peer_id, peers, required_count, size=32):
        self.base = Faction(peer_id, peers, required_count)
        self.ring = bytearray(size * ENTRY)
        self.size = size
        self.next = 0  # entry to be written
        self.count = 0
        self._busy = False
        self.noted = 0  # changes whenever the trace does, modulo 2^16

    def observe(self, machine, before, command, peer_id):
        """Note a transition."""
        if self.size:
            self._make_room()
            self._note(machine, before << 4 | command)
            self._note_peer(machine.index(peer_id))
            self.next = (self.next + 1) % self.size
            self._busy = False

    def observe_query(self, machine):
        """A probe changes nothing: not noted."""

    def observe_rejection(self, machine, command, peer_id):
        """A rejected command changes nothing: not noted."""

    def _make_room(self):
        self.mend()
        self._busy = True
        self.noted = self.noted + 1 & 0xFFFF
        if self.count < self.size:
            self.count += 1
        else:
            self._apply(self.next * ENTRY)

    def mend(self):
        """When an interrupt has cut a note short, begin anew: so does the node, with a fresh machine."""
        if self._busy:
            self.count = 0
            self.base.reset()
            self._busy = False

    def _note(self, machine, what):
        at = self.next * ENTRY
        self.ring[at] = what
        self.ring[at + 1] = machine.state
        self.ring[at + 2] = machine.outcome_count
        self.ring[at + 3] = machine.outcomes[0]

    def _note_peer(self, peer):
        at = self.next * ENTRY
        self.ring[at + 4] = peer & 0xFF
        self.ring[at + 5] = peer >> 8 & 0xFF

    def peer_id(self, at):
        """The peer of the entry at that byte of the ring, -1: not a member."""
        peer = self.ring[at + 4] | self.ring[at + 5] << 8
        return -1 if peer == _NOBODY else self.base.ids[peer]

    def _apply(self, at):
        """Let the entry that falls out of the ring happen in the machine from which a replay begins."""
        if self.ring[at] >> 4 == INITIAL:
            self.base.reset()
        self.base.process(self.ring[at] & 15, self.peer_id(at))

"""A trace of the machine's last transitions: an observer that takes memory once and can be replayed on the host."""

from faction.core import INITIAL, Faction

_ENTRY = 6  # bytes: command and state before, state after, number of outcomes, first outcome, peer position (u16)
_NOBODY = 0xFFFF  # the peer is not a member


class Trace:
    """Observer that keeps the last `size` accepted commands of one machine.

    peer_id, peers, required_count: of that machine; size: 0 keeps nothing. What falls out of the ring is applied to
    base, a machine of the trace's own, so that a replay can begin where the ring begins.
    """

    def __init__(self, peer_id, peers, required_count, size=40):
        self.base = Faction(peer_id, peers, required_count)
        self._ring = bytearray(size * _ENTRY)
        self._size = size
        self._next = 0
        self._count = 0
        self._busy = False
        self.noted = 0  # changes whenever the trace does, modulo 2^16

    def observe(self, machine, before, command, peer_id):
        """Note a transition."""
        if self._size:
            self._make_room()
            self._note(machine, before << 4 | command)
            self._note_peer(machine.index(peer_id))
            self._next = (self._next + 1) % self._size
            self._busy = False

    def observe_query(self, machine):
        """A probe changes nothing: not noted."""

    def observe_rejection(self, machine, command, peer_id):
        """A rejected command changes nothing: not noted."""

    def _make_room(self):
        self._mend()
        self._busy = True
        self.noted = self.noted + 1 & 0xFFFF
        if self._count < self._size:
            self._count += 1
        else:
            self._apply(self._next * _ENTRY)

    def _mend(self):
        """When an interrupt has cut a note short, begin anew: so does the node, with a fresh machine."""
        if self._busy:
            self._count = 0
            self.base.reset()
            self._busy = False

    def _note(self, machine, what):
        at = self._next * _ENTRY
        self._ring[at] = what
        self._ring[at + 1] = machine.state
        self._ring[at + 2] = machine.outcome_count
        self._ring[at + 3] = machine.outcomes[0]

    def _note_peer(self, peer):
        at = self._next * _ENTRY
        self._ring[at + 4] = peer & 0xFF
        self._ring[at + 5] = peer >> 8 & 0xFF

    def _peer_id(self, at):
        peer = self._ring[at + 4] | self._ring[at + 5] << 8
        return -1 if peer == _NOBODY else self.base.ids[peer]

    def _apply(self, at):
        """Let the entry that falls out of the ring happen in the machine from which a replay begins."""
        if self._ring[at] >> 4 == INITIAL:
            self.base.reset()
        self.base.process(self._ring[at] & 15, self._peer_id(at))

    def entries(self):
        """The kept transitions, oldest first, from base on: for each a tuple of command, peer id (-1: not a member),
        state before, state after, number of outcomes and first outcome, as codes of core.py. Takes memory."""
        self._mend()
        for i in range(self._count):
            at = (self._next - self._count + i) % self._size * _ENTRY
            ring = self._ring
            yield (ring[at] & 15, self._peer_id(at), ring[at] >> 4, ring[at + 1], ring[at + 2], ring[at + 3])

"""Nodes that believe a frame which nothing proves to be live, to be new, or to be of another board."""

from __future__ import annotations

from swarm.device.library import COUNTERS, Node

_OWN = COUNTERS.index("own")


class NoProof(Node):
    """Takes a frame's word for it that its sender is alive."""

    def _prove(self, buffer):
        proved = super()._prove(buffer)
        if not proved:
            self._sessions[self.frame.sender] = self.frame.session
            self._sequences[self.frame.sender] = self.frame.sequence
        return proved or 1


class AnyEcho(Node):
    """Takes an echo of any session of its own for a proof."""

    def _echoes(self, buffer, peer_id, session):
        return any(self.frame.echo_id(buffer, i) == peer_id for i in range(self.frame.echo_count))


class NoSequenceCheck(Node):
    """Takes a frame of a live session again and again."""

    def _prove(self, buffer):
        frame = self.frame
        last = self._sequences[frame.sender]
        if self._sessions[frame.sender] == frame.session and frame.sequence <= last:
            return 1
        return super()._prove(buffer)


class NoSessionOrder(Node):
    """Takes an earlier session of a member for as good as the one that it has heard."""

    def _prove(self, buffer):
        if self._sessions[self.frame.sender] > self.frame.session:
            return 1
        return super()._prove(buffer)


class AnyOwnFrame(Node):
    """Takes its own recorded frames for those of a second board."""

    def _receive(self, buffer, length):
        owned = self.counters[_OWN]
        super()._receive(buffer, length)
        if self.counters[_OWN] > owned:
            self.conflict = True

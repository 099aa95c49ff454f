"""Nodes that keep silent, or speak, when others want them to."""

from __future__ import annotations

from swarm.device.library import BOOTSTRAPPED, COUNTERS, Echoes, Node

_UNPROVED = COUNTERS.index("unproved")


class KeepsEchoes(Node):
    """Sends an echo only when Trickle would have it speak anyhow."""

    def poll(self, now, now_us, buffer):
        """Nothing, if enough others have said the same."""
        if self.trickle.suppressed():
            self.echoes.count = 0
        return super().poll(now, now_us, buffer)


class NeverAsks(Node):
    """Lets others speak in its stead also when it needs an echo."""

    def poll(self, now, now_us, buffer):
        """As if it needed none."""
        self._asks = 0
        return super().poll(now, now_us, buffer)


class FallsSilent(Node):
    """Falls silent when it has concluded, as in the published protocol."""

    def poll(self, now, now_us, buffer):
        """Nothing, once it has concluded."""
        length = super().poll(now, now_us, buffer)
        return 0 if self.machine.state == BOOTSTRAPPED else length


class Answers(Node):
    """Answers each frame of an unproved session at once."""

    def _hear(self, buffer, sent_us):
        unproved = self.counters[_UNPROVED]
        super()._hear(buffer, sent_us)
        if self.counters[_UNPROVED] > unproved:
            self.trickle.start(self._now)
            self.trickle.due = self._now


class UnboundedQueue(Echoes):
    """Queues every echo, a member's as often as it asks."""

    def add(self, member, session):
        """One more."""
        if self.count == len(self.members):
            self.members.append(0)
            self.sessions.append(0)
        self.members[self.count] = member
        self.sessions[self.count] = session
        self.count += 1

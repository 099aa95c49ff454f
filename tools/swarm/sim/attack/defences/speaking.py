"""Nodes that keep silent, or speak, when others want them to."""

from __future__ import annotations

from array import array

from swarm.device.library import BOOTSTRAPPED, COUNTERS, Node

_UNPROVED = COUNTERS.index("unproved")


class KeepsEchoes(Node):
    """Sends an echo only when Trickle would have it speak anyhow."""

    def poll(self, now, now_us, buffer):
        """Nothing, if enough others have said the same."""
        if self.trickle.suppressed():
            self._echo_count = 0
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

    def _hear(self, buffer):
        unproved = self.counters[_UNPROVED]
        super()._hear(buffer)
        if self.counters[_UNPROVED] > unproved:
            self.trickle.start(self._now)
            self.trickle.due = self._now


class UnboundedQueue(Node):
    """Queues every echo, a member's as often as it asks."""

    def _queue_echo(self, member, session):
        if self._echo_count == len(self._echo_members):
            self._echo_members.extend(array("H", [0]))
            self._echo_sessions.extend(array("I", [0]))
        self._echo_members[self._echo_count] = member
        self._echo_sessions[self._echo_count] = session
        self._echo_count += 1

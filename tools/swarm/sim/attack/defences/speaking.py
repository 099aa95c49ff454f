"""Nodes that keep silent, or speak, when others want them to."""

from __future__ import annotations

from swarm.device.library import BOOTSTRAPPED, COUNTERS, Echoes, Node

_UNPROVED = COUNTERS.index("unproved")


class _Unhurried(Node):
    """Begins a new window for news alone, and for nobody who lacks something or claims it unproved."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        reset = self.trickle.reset
        self.trickle.reset = lambda now, news=True: news and reset(now)


class KeepsEchoes(_Unhurried):
    """Sends an echo only when Trickle would have it speak anyhow."""

    def poll(self, now, now_us, buffer):
        """Nobody waits for one."""
        self.echoes.urgent[:] = bytes(len(self.echoes.urgent))
        return super().poll(now, now_us, buffer)


class NeverAsks(_Unhurried):
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


class Ledger(Echoes):
    """Keeps each session that it hears of, a member's as often as that has another."""

    def owe(self, member):
        """One more."""
        super().owe(member)
        self._heard.append(0)

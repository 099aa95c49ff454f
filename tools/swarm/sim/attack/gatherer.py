"""A member that has gone wrong where samples go over the air: it gathers and keeps nothing, and asks without end."""

from __future__ import annotations

from swarm.device.library import RemoteNode
from swarm.sim.kernel import PERIOD

_EACH = 4  # reports in a shortest interval of Trickle
_FAR = 1 << 29  # a round that nobody comes to see


class FalseGatherer(RemoteNode):
    """Says what any member says, and besides that it gathers, in this round or in one far ahead, that all has been
    gathered, and one question after the other."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.reports.set_gathers(True)
        self._due: int | None = None

    def poll(self, now, now_us, buffer):
        """A member's frame, or another report."""
        length = super().poll(now, now_us, buffer)
        if length or self.conflict or self._due is not None and (now - self._due) % PERIOD > PERIOD // 2:
            return length
        self._due = now + self.trickle.imin_ms // _EACH & PERIOD - 1
        reports = self.reports
        records = reports._records
        records.clear()
        for slot in range(records.beats):
            for member in range(len(self.machine.ids)):
                records.gather(slot, member)
        reports._gathered = _FAR if self.sequence & 1 else self.rounds.number + 2
        reports.asked.ask(self.machine.ids[self.sequence % len(self.machine.ids)], 0, 0)
        return reports._build(buffer)

    def wait_ms(self, now, now_us):
        """As a node that has something to say soon."""
        wait = super().wait_ms(now, now_us)
        return wait if self._due is None else min(wait, max((self._due - now + PERIOD // 2) % PERIOD - PERIOD // 2, 0))

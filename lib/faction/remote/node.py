"""The node of a swarm that has rounds, and of one whose samples go over the air (PROTOCOL.md)."""

from time import ticks_diff

from micropython import const

from faction.cmac import Cmac
from faction.description import digest
from faction.node import Node
from faction.remote.rounds import RoundFrame, Rounds

_KEPT = const(3)  # numbers that sessions.py keeps of a member


class RemoteNode(Node):
    """A Node that takes part in rounds of round_ms, and in reports unless gather is None; gather: whether this node
    gathers what the swarm measures. The rest is as for Node; period_ms must not be 0.

    Attributes to read besides: rounds; reports, None where nobody ever gathers.
    """

    series_frame = RoundFrame

    def __init__(self, name, members, node_id, required, key, session, round_ms=0, gather=None, **options):
        Node.__init__(self, name, members, node_id, required, key, session, **options)
        self.frame.digest = digest(name, self.machine.ids, required, options["period_ms"], round_ms)
        self.rounds = Rounds(self.frame, self.first_sample, self.trickle, self.machine, round_ms)
        self.reports = None
        if gather is not None:
            from faction.remote.envelope import MAX_LENGTH, TAG
            from faction.remote.reports import Reports

            self.frame.max_length = MAX_LENGTH
            self.frame._cmac = Cmac(key, MAX_LENGTH - TAG)
            self.reports = self.frame.reports = Reports(self, gather)  # type: ignore[attr-defined]

    def poll(self, now, now_us, buffer):
        """As Node.poll()."""
        length = Node.poll(self, now, now_us, buffer)
        if self.reports and not length and not self.conflict:
            length = self.reports.poll(now, now_us, buffer)
        return length

    def wait_ms(self, now, now_us):
        """As Node.wait_ms()."""
        wait = Node.wait_ms(self, now, now_us)
        if self.reports and self.rounds.number >= 0 and not self.conflict:
            wait = min(wait, max(ticks_diff(self.reports.trickle.due, now), 0))
        return wait

    def _enter(self, now, now_us):
        Node._enter(self, now, now_us)
        self.rounds.advance(now_us)

    def _hear(self, buffer, sent_us):
        if self.frame.is_report:  # type: ignore[attr-defined] # it is not about readiness
            self.reports.hear(self._now, sent_us)
            return
        Node._hear(self, buffer, sent_us)
        # Who knows of others in this round than this node knows not what this node would say.
        if self._counts(_KEPT * self.frame.sender) and self.rounds.take(buffer, self._now_us):
            self.trickle.heard = -1

    def _counts(self, at):
        """Whether the frame that has been heard counts; at: what is kept of its sender."""
        heard = self.sessions.heard
        known = heard[at] == self.frame.session and heard[at + 1] == self.frame.sequence
        return known and self.sessions.is_live(self.frame.sender)

"""Nodes that believe a frame which nothing proves to be live, to be new, or to be of another board."""

from __future__ import annotations

from swarm.device.library import COUNTERS, Node, Sessions
from swarm.sim.attack.forge import LIVE

_OWN, _UNPROVED = map(COUNTERS.index, ("own", "unproved"))
_REPLAYED, _STALE = map(COUNTERS.index, ("replayed", "stale"))
_PROVED = 0  # a verdict of Sessions.prove()


class NoProof(Sessions):
    """Takes a frame's word for it that its sender is alive."""

    def prove(self, buffer, sent_us):
        """What nothing proves is proved."""
        verdict = super().prove(buffer, sent_us)
        if verdict != _UNPROVED:
            return verdict
        self._believe(self._frame.sender)
        return _PROVED


class AnyEcho(Node):
    """Takes an echo of any session of its own for a proof."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        frame = self.frame
        frame.has_echo = lambda buffer, member_id, session: any(
            frame.echo_id(buffer, i) == member_id for i in range(frame.echo_count)
        )


class AnyVoucher(Sessions):
    """Takes the word of who is not proved itself for it that others are alive."""

    def prove(self, buffer, sent_us):
        """Whom the frame vouches for is alive, whoever has made it."""
        self.take(buffer, 1)
        return super().prove(buffer, sent_us)


class AnyVouch(Sessions):
    """Takes each session that a member has heard for one that is live."""

    def take(self, buffer, lacks):
        """As if each echo had its live bit."""
        said = bytearray(buffer)
        for i in range(self._frame.echo_count):
            said[self._frame.echoes + 6 * i + 5] |= LIVE >> 24
        super().take(said, lacks)


class VouchesForAll(Node):
    """Says of each session that it has heard that it is live."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        put_echo = self.frame.put_echo
        self.frame.put_echo = lambda buffer, live, member_id, session: put_echo(buffer, 1, member_id, session)


class NoSequenceCheck(Sessions):
    """Takes a frame of a live session again and again."""

    def old(self):
        """No frame is a replayed one."""
        verdict = super().old()
        return 0 if verdict == _REPLAYED else verdict


class NoSessionOrder(Sessions):
    """Takes an earlier session of a member for as good as the one that it has heard."""

    def old(self):
        """No frame is a stale one."""
        verdict = super().old()
        return 0 if verdict == _STALE else verdict

    def prove(self, buffer, sent_us):
        """The session that it knows stays the highest."""
        if self.heard[3 * self._frame.sender] > self._frame.session:
            return _PROVED
        return super().prove(buffer, sent_us)


class AnyOwnFrame(Node):
    """Takes its own recorded frames for those of a second board."""

    def _hear(self, buffer, sent_us):
        owned = self.counters[_OWN]
        super()._hear(buffer, sent_us)
        if self.counters[_OWN] > owned:
            self.conflict = True

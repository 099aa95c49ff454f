"""Nodes that let others move the agreed instant."""

from __future__ import annotations

from swarm.device.library import FOLLOW_UP_FLAG, INSTANT_FLAG, Node, Sessions
from swarm.sim.kernel import PERIOD


class LatestInstant(Node):
    """Takes whatever instant it is told, until that has passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        first = self.first_sample
        offer = first.offer

        def any_offer(theirs_us, now_us, own=False):
            first.known = first.known and first.passed
            return offer(theirs_us, now_us, own)

        first.offer = any_offer


class InstantNotFixed(Node):
    """Takes an earlier instant also when its own has passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        first = self.first_sample
        offer = first.offer

        def any_offer(theirs_us, now_us, own=False):
            passed, first.passed = first.passed, False
            taken = offer(theirs_us, now_us, own)
            first.passed = first.passed or passed and not taken or first.remaining_us(now_us) <= 0
            return taken

        first.offer = any_offer


class InstantFromArrival(Node):
    """Takes the moment of a frame's arrival for that of its making, less whatever it could have been on its way."""

    def receive(self, buffer, length, now, now_us, sent_us):
        """As a node that rounds the wrong way."""
        super().receive(buffer, length, now, now_us, sent_us - 5_000 & PERIOD - 1)


class AnyFrameBefore(Sessions):
    """Takes a follow-up for one of the last frame that it has heard of its sender, whichever that was."""

    def prove(self, buffer, sent_us):
        """The offset counts from a frame from which it should not."""
        flags = self._frame.flags
        stamp_us = self.heard[3 * self._frame.sender + 2]
        verdict = super().prove(buffer, sent_us)
        if flags & INSTANT_FLAG and flags & FOLLOW_UP_FLAG:
            self.since_us = stamp_us
        return verdict

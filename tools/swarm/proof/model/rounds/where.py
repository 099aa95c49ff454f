"""Where the members of a model-checked swarm with rounds are, what they say, and the clock they go by."""

from __future__ import annotations

from typing import NamedTuple

from swarm.proof.model.state import ids


class Where(NamedTuple):
    """A member, as it is and as it should be.

    kept: what its Rounds and its Presence hold. phase: how far it is in its round, -1: it knows of no round. The rest
    is the truth, members as bits: heard (in this round) and before (in the one before); whole: it was there when this
    round began; missing: in the round before, which it saw from beginning to end, to be lost if they are missing still
    when the twelfth of this one has passed; lost; told (who was said to be lost).
    """

    kept: tuple
    phase: int = -1
    heard: int = 0
    before: int = 0
    whole: bool = False
    missing: int = 0
    lost: int = 0
    told: int = 0


class Word(NamedTuple):
    """A frame: whom it names as present (named), and whom rightly; phase: where in its round its sender was."""

    sender: int
    named: int
    rightly: int
    phase: int

    def words(self, behind: int) -> str:
        """The frame in words; behind: of so many rounds before the one it is heard in."""
        when = (
            "this round"
            if not behind
            else f"{abs(behind)} round{'s' * (abs(behind) > 1)} {'before' if behind > 0 else 'ahead'}"
        )
        return f"node {self.sender + 1}'s word of {when}, that names {ids(self.named)}"


class Clock:
    """The swarm's clock, as far as Rounds and Presence ask for it: mark is what the checker says."""

    def __init__(self, mark_us: int) -> None:
        self.mark_us = mark_us
        self.mark = 0

    def time_us(self, now_us: int) -> int:
        """As SwarmClock.time_us()."""
        return (self.mark - 1) * self.mark_us

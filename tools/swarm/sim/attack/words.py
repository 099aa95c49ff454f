"""What is true of the frames that an attacked swarm hears."""

from __future__ import annotations

from swarm.sim.invariants import Said


class Lie:
    """Payload of a frame that was sealed with the key and is not true. valid: it follows the rules of a frame."""

    def __init__(self, valid: bool) -> None:
        self.valid = valid


class Word(Said):
    """Payload of a frame that a member has sent: all that was true of it when it was made.

    number, session, sequence, generation: as in the frame; bits: both its bitmaps; tokens: for the place of each member
    whose readiness it tells, the session in which that member was ready; echoes: (number, session) of each; vouches:
    those of them that it tells to be live, and rightly; instant_us: simulated time of the first sample that its maker
    held to, None if it knew none; exact: it tells that whatever its link has kept it waiting; made_us: when.
    """

    __slots__ = (
        "number", "session", "sequence", "generation", "bits", "tokens", "echoes", "vouches", "instant_us", "exact",
        "made_us",
    )  # fmt: skip


class Report(Word):
    """Payload of a report that a member has sent; of a word it has number, session, sequence and made_us."""

    __slots__ = ()

"""What a board may rightly hold, the clock of a series among it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm.sim.attack.words import Word
from swarm.sim.kernel import PERIOD

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board

EARLY_US = 500  # clocks drift, and a link tells that a frame has left, in doubt, too early


class Held:
    """What one life of a board may rightly hold."""

    def __init__(self, now: int) -> None:
        self.booted_us = now
        self.last: dict[int, tuple[int, int]] = {}  # of each member the session and sequence that counted last
        self.vouched: dict[int, set[int]] = {}  # of each member the sessions that it was rightly told to be live
        self.direct: dict[int, Word] = {}  # of each member the last word that came straight from it
        self.rebooted: dict[int, int] = {}  # place: the session in which a member is back and not ready yet
        self.tokens: dict[int, int] = {}  # in this generation, place: the session in which it was ready
        self.bits = 0  # in this generation: both bitmaps
        self.generation = 0
        self.earliest_us: int | None = None  # simulated time of the earliest instant that it was told
        self.latest_us: int | None = None  # and the latest that it may hold after what it has heard in time
        self.instant_us: int | None = None  # the instant that it holds, by its own clock
        self.passed = False
        self.admits = False  # whether the frame at hand may count
        self.unmoved = False  # it has just changed nothing, so that there is nothing to check
        self.before: tuple[dict, dict] = {}, {}
        self.ignored = self.unproved = 0


def began_us(board: Board, now: int) -> int:
    """Simulated time of a board's T0, as its clock has it."""
    clock = board.node.first_sample
    local_us = board.clock.local_us(now)
    ahead_us = (clock._instant_us - local_us + PERIOD // 2) % PERIOD - PERIOD // 2
    return now + ahead_us - clock.mark * clock.mark_us


def taken_ahead_us(board: Board, truth: Held, now: int) -> int:
    """By how much a board's T0, if it has just become earlier, is earlier than the earliest that members have told it.

    truth: of that life, which keeps what the board held before (instant_us) and the earliest (earliest_us).
    """
    held_us = began_us(board, now)
    before_us, truth.instant_us = truth.instant_us, held_us
    if before_us is None or held_us >= before_us - EARLY_US:
        return 0
    return (before_us if truth.earliest_us is None else truth.earliest_us) - held_us

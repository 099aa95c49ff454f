"""What comes of rounds: how soon the others name a member that has died, and whom they miss without a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.sim.series.beats import kept_apart

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

NAMED = "lost_member_named"
ALARM = "no_false_alarm"
NAMES = (NAMED, ALARM)

_ROUNDS = 2  # and
_MORE_US = 5_000_000  # after a member's death all have named it


@dataclass
class Found:
    """detected_us: from a member's death until another names it, for each of the others; false_alarms: how often one
    that was there and in reach was named; node_days: of the time in which that was watched."""

    detected_us: list[int] = field(default_factory=list)
    false_alarms: int = 0
    node_days: float = 0.0


class Presence:
    """Watches whom the boards of a run name as lost."""

    def __init__(self, kernel: Kernel, plan: Plan, boards: list[Board], checks: Any) -> None:
        self.found = Found(node_days=len(plan.ids) * plan.options.hours / 24)
        self._kernel = kernel
        self._plan = plan
        self._boards = boards
        self._checks = checks
        # A member whose id a second board has taken is silent, or the other speaks for it.
        unclear = set(plan.absent) | ({plan.double[0]} if plan.double else set())
        self._unclear = {plan.ids[place] for place in unclear}
        self._died = {plan.ids[place]: when for place, when in plan.deaths}
        for place, lost_us in plan.deaths:
            kernel.at(lost_us + 1, self._await, place)
        self._wild = {place for place, _, _ in plan.wild}
        self._kept_apart = kept_apart(plan)
        # Where all hear each other and nothing is lost, there is no reason to miss anybody who is there.
        whole = plan.topology in ("single", "bus") and not plan.options.loss
        self._calm = whole and set(plan.faults) <= {"death", "drift"}
        self._changes: dict[Board, tuple[int, int]] = {}  # life, changes
        self._lost: dict[Board, set[int]] = {}

    def changed(self, board: Board) -> None:
        """Something has happened to a board."""
        rounds = board.node.rounds
        seen = board.life, rounds.changes
        if self._changes.get(board) == seen:
            return
        self._changes[board] = seen
        ids = board.node.machine.ids
        lost = {ids[i] for i in range(len(ids)) if rounds.is_lost(i)}
        for number in lost - self._lost.get(board, set()):
            self._named(board, number)
        self._lost[board] = lost

    def _named(self, board: Board, number: int) -> None:
        now = self._kernel.now
        died = self._died.get(number)
        if died is not None and now >= died:
            self.found.detected_us.append(now - died)
        elif number not in self._unclear and board.place not in self._wild and not self._apart(now - _within(board)):
            self.found.false_alarms += 1
            if self._calm:
                self._checks.fail(ALARM, board, f"it has lost {number}, which is there")

    def _apart(self, since_us: int) -> bool:
        """Whether something has kept the swarm apart since then."""
        return any(begin <= self._kernel.now and since_us <= end for begin, end in self._kept_apart)

    def _await(self, place: int) -> None:
        """A member has just died: look when all must have named it."""
        on = [board for board in self._boards if board.on]
        if on:
            self._kernel.at(self._kernel.now + _within(on[0]), self._look, place)

    def _look(self, place: int) -> None:
        number = self._plan.ids[place]
        dead = not any(board.on and board.number == number for board in self._boards)
        if not dead or self._apart(self._died[number] - _MORE_US):
            return
        for board in self._boards:
            took_part = board.on and not board.node.conflict and board.node.rounds.number >= 0
            if took_part and board.place not in self._wild and number not in self._lost.get(board, set()):
                self._checks.fail(NAMED, board, f"it has not lost {number}")


def _within(board: Board) -> int:
    """In how many microseconds after a death a member is named."""
    return _ROUNDS * board.node.rounds.marks * board.node.first_sample.mark_us + _MORE_US

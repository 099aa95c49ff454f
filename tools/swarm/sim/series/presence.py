"""What comes of rounds: how soon the others name a member that has died, and whom they miss without a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan


@dataclass
class Found:
    """detected_us: from a member's death until another names it, for each of the others; false_alarms: how often one
    that was there was named; node_days: of the time in which that was watched."""

    detected_us: list[int] = field(default_factory=list)
    false_alarms: int = 0


class Presence:
    """Watches whom the boards of a run name as lost."""

    def __init__(self, kernel: Kernel, plan: Plan, boards: list[Board]) -> None:
        self.found = Found()
        self._kernel = kernel
        self._plan = plan
        self._boards = boards
        self._died = {plan.ids[place]: when for place, when in plan.deaths}
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
        died = self._died.get(number)
        if died is not None and self._kernel.now >= died:
            self.found.detected_us.append(self._kernel.now - died)
        else:
            self.found.false_alarms += 1

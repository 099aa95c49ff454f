"""What is true of rounds and reports in an attacked swarm: who has spoken in which round, which report may count."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from swarm.sim.attack.truth import Truth
from swarm.sim.attack.words import Report
from swarm.sim.boards.board import Board
from swarm.sim.invariants import Said

# Names of successes besides those of truth.py
PRESENT = "nobody_present_who_has_not_spoken"
FAR = "gathers_no_longer_than_told"
LOUD = "no_report_before_a_beat"
NAMES = (PRESENT, FAR, LOUD)

_AHEAD = 2  # 1 more than the round after the hearer's own: what it may take of who has gathered
_QUIET_US = 1_500_000
_SHARE = 8
_SCRATCH_US = 1_000  # by how much two looks at a clock may differ


class RemoteTruth(Truth):
    """The same of a swarm with rounds and a gateway."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.violations.update(dict.fromkeys(NAMES, 0))
        self._spoke: dict[int, dict[int, int]] = {}  # of each round who has told it, and when last
        self._gathered: dict[Board, int] = {}  # what each knew before a frame

    def booted(self, board: Board) -> None:
        """Its node has been made."""
        super().booted(board)
        known = self._known[board]
        state, node = known.state_of, board.node
        reports = node.reports
        state._add(state._knows, vars(node.rounds), ["number", "present", "lost", "silent", "changes"])
        state._add(state._knows, vars(reports), ["_gathered", "_full"])
        state._add(state._knows, vars(reports.asked), [name for name in vars(reports.asked) if name != "_me"])
        state._add(state._knows, vars(reports._records), ["_ring", "_used", "_numbers", "_gathered", "series"])
        state._add(state._speaks, vars(reports.trickle), list(vars(reports.trickle)))
        for part in (node.rounds, reports, reports.asked, reports._records, reports._envelope):
            values = vars(part)
            known.sizes += [(values, name, len(value)) for name, value in values.items() if isinstance(value, Sized)]

    # What it says

    def sends(self, board: Board, due: int) -> Said:
        """It sends a frame about readiness; returns the frame's payload."""
        clock, rounds = board.node.first_sample, board.node.rounds
        if clock.known and clock.mark:
            self._spoke.setdefault((clock.mark - 1) // rounds.marks, {})[board.number] = self._kernel.now
        return super().sends(board, due)

    def reports(self, board: Board) -> Said:
        """It sends a report."""
        node = board.node
        word = Report(board, board.life, self._known[board].vouched)
        word.number, word.session, word.sequence = board.number, node.session, node.sequence
        word.made_us = self._kernel.now
        if board is not self.exempt:
            clock = node.first_sample
            ahead_us = clock.remaining_us(node._now_us)
            if _SCRATCH_US < ahead_us < min(_QUIET_US, clock.mark_us // _SHARE) - _SCRATCH_US:
                self.fail(LOUD, board, f"a report {ahead_us} us before a beat")
        return word

    # What it hears

    def hearing(self, board: Board, payload: Any) -> None:
        """It is about to be given a frame, and has been told the time."""
        super().hearing(board, payload)
        self._gathered[board] = board.node.reports._gathered

    def _admits(self, board: Board, truth: Any, word: Any) -> bool:
        """A report counts of a session that counts already or is vouched for, after all that has counted of its
        member."""
        if type(word) is not Report:
            return super()._admits(board, truth, word)
        last = truth.last.get(word.number)
        if word.number == board.number or board.node.conflict or last and (word.session, word.sequence) <= last:
            return False
        return bool(last) and last[0] == word.session or word.session in truth.vouched.get(word.number, ())

    def heard(self, board: Board, payload: Any) -> None:
        """It has been given that frame."""
        truth = self._truths[board]
        super().heard(board, payload)
        if truth.admits and type(payload) is Report and self._ignored(board) == truth.ignored:
            truth.last[payload.number] = payload.session, payload.sequence
        gathered, number = board.node.reports._gathered, board.node.rounds.number
        if gathered != self._gathered[board] and gathered > number + _AHEAD and board is not self.exempt:
            self.fail(FAR, board, f"in round {number} somebody is said to gather in {gathered - 1}")

    def changed(self, board: Board) -> None:
        """Something has happened to it."""
        super().changed(board)
        rounds = board.node.rounds
        if rounds.number < 0:
            return
        spoke = self._spoke.get(rounds.number, {})
        since_us = self._kernel.now - 2 * rounds.marks * board.node.first_sample.mark_us
        for place, number in enumerate(self._plan.ids):
            if not rounds.is_present(place) or number == board.number or spoke.get(number, since_us - 1) >= since_us:
                continue
            if number not in spoke or spoke[number] < since_us - self._behind_us(board):
                self.fail(PRESENT, board, f"{number} has not spoken in round {rounds.number}")

    def _behind_us(self, board: Board) -> int:
        """By how much a board's clock is behind the first one's: who delays all that it hears makes its rounds as
        late."""
        clocks = [other.node.first_sample for other in self._known if other.on and other.node]
        clock = board.node.first_sample
        return max(other.mark - clock.mark for other in clocks) * clock.mark_us

"""What comes of a series: who sampled when, beat by beat, held against what must hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarm.sim.kernel import PERIOD

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.invariants import Invariants
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

TWICE = "no_beat_twice"
NOT_THE_SWARMS = "beats_are_the_swarms"
BACKWARDS = "time_never_moves_back"
MISSED = "no_beat_missed"
_KEPT = 4  # beats that are still open: a sample may come late
_ALONE_US = 100_000  # a sample so far from all others of its beat is not the swarm's


@dataclass
class Series:
    """A run's beats. spread_us: of each beat that two or more sampled; moves: how often a node was moved by more than
    3 ms; rate_ppm: by how much the swarm's clock ran faster than true time; fastest_ppm: as the fastest member's."""

    sampled: int = 0
    missed: int = 0
    late: int = 0
    spread_us: list[int] = field(default_factory=list)
    frames_per_node_minute: float = 0.0
    moves: int = 0
    rate_ppm: float | None = None
    fastest_ppm: int = 0


class Beats:
    """Watches the samples of a run. period_us: between two."""

    def __init__(self, kernel: Kernel, plan: Plan, checks: Invariants) -> None:
        self.series = Series(fastest_ppm=max(member.ppm for member in plan.members))
        self._kernel = kernel
        self._checks = checks
        self._period_us = plan.options.period_ms * 1000
        self._faulty = bool(plan.faults)
        self._open: dict[tuple[int, int], list[int]] = {}
        self._last: dict[Board, tuple[int, int, int]] = {}  # life, series, beat
        self._first: tuple[int, int, int] | None = None  # series, beat and when
        self._end: tuple[int, int, int] | None = None
        self._time: dict[Board, tuple[int, int, int]] = {}
        self._moves: Counter = Counter()

    def sampled(self, board: Board, late: bool) -> None:
        """A board has taken the sample of its clock's last beat."""
        clock = board.node.first_sample
        series, beat = clock.series, clock.beat
        last = self._last.get(board)
        if last and last[0] == board.life and last[1] == series:
            if beat <= last[2]:
                self._checks.fail(TWICE, board, f"beat {beat} after beat {last[2]}")
            self._missed(board, beat - last[2] - 1)
        self._last[board] = board.life, series, beat
        if late:
            self.series.late += 1
            return
        self.series.sampled += 1
        self._open.setdefault((series, beat), []).append(self._kernel.now)
        if len(self._open) > _KEPT:
            self._close(min(self._open, key=lambda key: self._open[key][0]))

    def _missed(self, board: Board, count: int) -> None:
        if count > 0:
            self.series.missed += count
            if not self._faulty:
                self._checks.fail(MISSED, board, f"{count} beats")

    def _close(self, key: tuple[int, int]) -> None:
        times = self._open.pop(key)
        if len(times) > 1:
            self.series.spread_us.append(max(times) - min(times))
        self._first = self._first if self._first and self._first[0] == key[0] else (*key, min(times))
        self._end = *key, min(times)

    def changed(self, board: Board) -> None:
        """Something has happened to a board: its time has not moved back, unless it says so."""
        clock = board.node.first_sample
        if not clock.known:
            return
        now_us = board.clock.local_us(self._kernel.now) & PERIOD - 1
        ahead_us = (clock._instant_us - now_us + PERIOD // 2) % PERIOD - PERIOD // 2
        time_us = clock.mark * clock.mark_us - ahead_us
        before = self._time.get(board)
        if before and before[0] == board.life and before[1] == clock.moves and time_us < before[2]:
            self._checks.fail(BACKWARDS, board, f"by {before[2] - time_us} us")
        if before and before[0] == board.life:
            self.series.moves += clock.moves - before[1]
        self._time[board] = board.life, clock.moves, time_us

    def end(self, frames: int, minutes: float, nodes: int) -> Series:
        """The run is over."""
        while self._open:
            self._close(min(self._open, key=lambda key: self._open[key][0]))
        series = self.series
        series.frames_per_node_minute = round(frames / nodes / minutes, 2) if minutes else 0.0
        if self._first and self._end and self._first[0] == self._end[0] and self._end[1] > self._first[1]:
            true_us = self._end[2] - self._first[2]
            series.rate_ppm = round(((self._end[1] - self._first[1]) * self._period_us / true_us - 1) * 1e6, 2)
        return series

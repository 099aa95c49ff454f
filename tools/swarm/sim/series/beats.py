"""What comes of a series: who sampled when, beat by beat, held against what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swarm.sim.kernel import PERIOD

if TYPE_CHECKING:
    from swarm.sim.boards.board import Board
    from swarm.sim.kernel import Kernel
    from swarm.sim.plan import Plan

TWICE = "no_beat_twice"
APART = "beats_are_the_swarms"
BACKWARDS = "time_never_moves_back"
MISSED = "no_beat_missed"
NAMES = (TWICE, APART, BACKWARDS, MISSED)

_OPEN = 4  # beats of which samples may still come
_HEALS_US = 10_000_000  # in which a swarm that was kept apart is one again
_APART_US = 20_000  # that samples of one beat are apart at most where all hear each other,
_HOPS_US = 60_000  # over several hops,
_WIFI_US = 200_000  # and where an access point keeps broadcasts
AIM_US = 10_000  # by as much a node's aim may differ from its clock, at most
_MEASURED_FROM = 1  # beat from which on the clock's rate is measured: the first is still being agreed on


def begun_us(clock) -> int:
    """When the first sample's instant is or was, by a node's ticks_us: the same as long as nothing moves it."""
    return (clock._instant_us - getattr(clock, "mark", 0) * getattr(clock, "mark_us", 0)) % PERIOD


def aimed_us(clock) -> int:
    """The same by its samples, which a node aims at what it hears."""
    return begun_us(clock) + clock._aim_us


def kept_apart(plan: Plan) -> list[tuple[int, int]]:
    """What keeps a swarm apart, from and until: what came before the series began, and what befalls it."""
    apart = [(0, plan.settled_us + _HEALS_US)] if plan.faults else []
    apart += [(plan.cut[0], plan.cut[1] + _HEALS_US)] if plan.cut else []
    apart += [(when, when + abs(by_us) + _HEALS_US) for _, when, by_us in plan.jumps]
    # Who is off may have been the only way between others.
    return apart + [(lost_us, back_us + _HEALS_US) for _, lost_us, back_us in plan.cycles]


@dataclass
class Series:
    """What came of a series. spread_us: of each beat that two or more sampled on time; moves: how often a node was
    moved by more than 5 ms; rate_ppm: how much faster than true time the swarm's clock ran; fastest_ppm: its fastest
    member's, by nature."""

    sampled: int = 0
    missed: int = 0
    late: int = 0
    spread_us: list[int] = field(default_factory=list)
    frames_per_node_minute: float = 0.0
    moves: int = 0
    rate_ppm: float | None = None
    fastest_ppm: int = 0


class Beats:
    """Watches the samples of a run."""

    def __init__(self, kernel: Kernel, plan: Plan, checks: Any) -> None:
        self.series = Series(fastest_ppm=max(member.ppm for member in plan.members))
        self._kernel = kernel
        self._plan = plan
        self._checks = checks
        self._wild = {place for place, _, _ in plan.wild}
        self._open: dict[tuple[int, int], list[tuple[int, Board]]] = {}
        self._last: dict[Board, tuple[int, int, int]] = {}  # life, series, beat
        self._ends: list[tuple[int, int, int]] = []  # series, beat and when, of the first and the last
        self._time: dict[Board, tuple[int, int, int]] = {}  # life, moves and microseconds since T0
        self._kept_apart = kept_apart(plan)
        hops = plan.topology in ("grid", "random", "mixed")
        self._apart_us = _WIFI_US if plan.topology == "wifi" else _HOPS_US if hops else _APART_US

    def sampled(self, board: Board, beat: int) -> None:
        """A board has taken the sample of that beat."""
        series = board.node.first_sample.series
        last = self._last.get(board)
        if last and last[:2] == (board.life, series):
            if beat <= last[2]:
                self._checks.fail(TWICE, board, f"beat {beat} after beat {last[2]}")
            elif beat > last[2] + 1:
                self.series.missed += beat - last[2] - 1
                if not self._plan.faults:
                    self._checks.fail(MISSED, board, f"{beat - last[2] - 1} before beat {beat}")
        self._last[board] = board.life, series, beat
        if board.node.sampled_late:
            self.series.late += 1
            return
        self.series.sampled += 1
        self._open.setdefault((series, beat), []).append((self._kernel.now, board))
        if len(self._open) > _OPEN:
            self._close(min(self._open, key=lambda key: self._open[key][0][0]))

    def _close(self, key: tuple[int, int]) -> None:
        taken = [(when, board) for when, board in self._open.pop(key) if board.place not in self._wild]
        if len(taken) < 2:
            return
        first_us, last_us = taken[0][0], taken[-1][0]
        self.series.spread_us.append(last_us - first_us)
        if last_us - first_us > self._apart_us and not any(
            begin <= last_us and first_us <= end for begin, end in self._kept_apart
        ):
            self._checks.fail(APART, taken[-1][1], f"{last_us - first_us} us behind the first of beat {key[1]}")
        if key[1] >= _MEASURED_FROM:
            if not self._ends or self._ends[0][0] != key[0]:
                self._ends = [(*key, first_us)]
            self._ends[1:] = [(*key, first_us)]

    def changed(self, board: Board) -> None:
        """Something has happened to a board: its time has not moved back, unless it counts that as a move."""
        clock = board.node.first_sample
        if not clock.known or board.node.conflict or board.place in self._wild:
            return
        now_us = board.clock.local_us(self._kernel.now) & PERIOD - 1
        ahead_us = (clock._instant_us - now_us + PERIOD // 2) % PERIOD - PERIOD // 2
        time_us = clock.mark * clock.mark_us - ahead_us
        life, moves, before_us = self._time.get(board, (0, 0, 0))
        if life == board.life:
            jumped = any(place == board.place for place, _, _ in self._plan.jumps)
            if moves == clock.moves and time_us < before_us and not jumped:
                self._checks.fail(BACKWARDS, board, f"by {before_us - time_us} us")
            self.series.moves += clock.moves - moves
        self._time[board] = board.life, clock.moves, time_us

    def end(self, frames: int, minutes: float) -> Series:
        """The run is over, frames having been sent in the minutes of the series."""
        while self._open:
            self._close(next(iter(self._open)))
        series = self.series
        if minutes:
            series.frames_per_node_minute = round(frames / len(self._plan.ids) / minutes, 2)
        if len(self._ends) > 1 and self._ends[1][1] > self._ends[0][1]:
            (_, first, first_us), (_, last, last_us) = self._ends
            period_us = self._plan.options.period_ms * 1000
            series.rate_ppm = round(((last - first) * period_us / (last_us - first_us) - 1) * 1e6, 2)
        return series

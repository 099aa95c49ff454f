"""What can be wrong with the course of a series: clocks, beats, and boards that start again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median

from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, Words, node_of
from swarm.watch.node_table import duration

_BEHIND_S = 10.0  # what a member tells over the air is up to 5 s old
_CAPPED_US = 499_000_000  # a node tells no more of how far its next beat is ahead
_MOVES, _MOVED_US = 3, 50_000  # of a clock: two halves of a swarm that meet move one once
_MISSED, _SHARE = 3, 20  # so many beats, and one of so many
_LATE_US = 250_000  # a write to the flash takes 200 ms
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_OFTEN, _EACH_S = 5, _HOUR_S  # besides one of each other member, as a deploy makes; and one each so often
_YOUNG = 10  # who restarts again and again has been there for a part so small


class OfCourse(Words):
    """Findings about a series, of which a node tells by its beats; a node without one tells nothing of these."""

    def of_series(self, board: Board, status: dict) -> Iterator[Finding]:
        """Whether a node keeps its beats."""
        series, sample = status.get("series"), status["sample"]
        if not series:
            return
        missed, beats = series["missed"], series["missed"] + series["sampled"]
        if missed >= _MISSED and missed * _SHARE >= beats:
            yield self.at(
                board,
                "beats missed",
                f"it has missed {missed} of {beats} beats",
                "a sample that is not begun within half a period is left out",
                "have sample(), and what runs beside it, take less time than half a period",
            )
        if series["moves"] >= _MOVES and abs(series["moved_us"]) >= _MOVED_US:
            yield self.at(
                board,
                "clock",
                f"its clock was moved {series['moves']} times, last by {duration(series['moved_us'])}",
                "its samples were that far from the others' before" + " and late" * (series["moved_us"] > 0),
                f"look at what keeps it from hearing the others, distance or code that takes long: {self.reset(board)}",
            )
        if sample and not sample["late"] and sample["late_us"] >= _LATE_US:
            yield self.at(
                board,
                "late",
                f"its last sample was begun {duration(sample['late_us'])} after its beat",
                "the others have measured before it",
                "have what runs beside its node take less time: a timer of its own, an interrupt, machine code",
            )

    def of_clocks(self) -> Iterator[Finding]:
        """Whose beats are behind or ahead of the others' by seconds."""
        told = [(board, began_s) for board in self.looked if (began_s := _began_s(board)) is not None]
        of_series = Counter(_series(board)["id"] for board, _ in told)
        for number, count in of_series.items():
            same = [(board, began_s) for board, began_s in told if _series(board)["id"] == number]
            middle_s = median(began_s for _, began_s in same)
            for board, began_s in same:
                by_s = began_s - middle_s
                if count > 2 and abs(by_s) > _BEHIND_S:
                    yield self.at(
                        board,
                        "clock",
                        f"its clock is {abs(by_s):.0f} s {'late' if by_s > 0 else 'early'}",
                        "its samples are of other moments than the others'",
                        f"{self.reset(board)}: it takes the others' clock then",
                    )

    def of_restarts(self) -> Iterator[Finding]:
        """Whose board starts again and again, by what the one that has been there longest has seen of the others."""
        lives = [(life_s, board) for board in self.looked if (life_s := _life_s(board)) is not None]
        if len(lives) < 2:
            return
        (least_s, youngest), *_, (most_s, oldest) = sorted(lives, key=lambda one: one[0])
        status = oldest.status or {}
        seen, others = status["restarts"], len({*status["heard"], *status["missing"]} - {status["node"]})
        by = f"node {node_of(oldest)} has seen {seen} restarts in {_ago(most_s)}"
        if seen >= _OFTEN + others and seen * _EACH_S >= most_s and least_s * _YOUNG <= most_s:
            yield self.at(
                youngest,
                "restarts",
                f"it started {_ago(least_s)} ago, and {by}",
                "a board that starts again and again samples late or not at all: code that hangs, or its power",
                f"look at its power and its sensor; plugged in, `swarm doctor {node_of(youngest)}` tells more",
            )


def _series(board: Board) -> dict:
    return (board.status or {}).get("series") or {}


def _began_s(board: Board) -> float | None:
    """When beat 0 was by this computer's clock, as the board's node has it; None where that cannot be told."""
    series = _series(board)
    left_us = series.get("beat_in_us")
    if board.seen is None or left_us is None or abs(left_us) >= _CAPPED_US or (board.status or {}).get("conflict"):
        return None
    return board.seen - series["beat"] * series["period_ms"] / 1000 + left_us / 1e6


def _life_s(board: Board) -> float | None:
    """For how long its node has been in the series; None where it is in none."""
    series = _series(board)
    return (series["sampled"] + series["missed"]) * series["period_ms"] / 1000 if series else None


def _ago(seconds: float) -> str:
    for name, of_s in (("days", _DAY_S), ("h", _HOUR_S), ("min", 60.0)):
        if seconds >= 2 * of_s:
            return f"{seconds / of_s:.0f} {name}"
    return f"{seconds:.0f} s"

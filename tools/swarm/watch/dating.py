"""When the beats of a series were by this computer's clock, from what nodes tell of it while they run."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.watch import samples
from swarm.watch.samples import Move, Sample

_DRIFT = 100e-6  # share of the time gone by by which a swarm's clock and this computer's may have drifted apart
_ALIKE = 0.005  # share of a period by which another is the same
_ROUNDED_S = 0.001  # between two times that a file has


@dataclass(frozen=True)
class Reading:
    """When beat 0 of a series was by this computer's clock, seconds since 1970, as a node had it at beat n."""

    series: int
    period_s: float
    n: int
    at_s: float
    within_s: float


@dataclass(frozen=True)
class _Known:
    """When a beat was, seconds since 1970; n: of the beat from which that is reckoned."""

    at_s: float
    within_s: float
    n: int


def reading(answer: dict) -> Reading | None:
    """What a node's status tells of when its series began."""
    series, known = answer.get("series"), samples.instant(answer)
    if not series or known is None:
        return None
    return Reading(series["id"], series["period_ms"] / 1000, series["beat"], *known)


def date(table: list[Sample], moved: list[Move], readings: list[Reading]) -> None:
    """Say of each beat's samples when it was, as exactly as is known by now.

    From what running nodes tell, and what the table knows from earlier ones; both are less exact the further a beat is
    from that, and what a node sampled before it moved its clock was off by as much. A series that has ended, as when
    all boards have restarted, is told of by nobody: its beats are dated from those that the table has dated already,
    where these are two or more, since they tell its period too.
    """
    by_series: dict[int, dict[int, list[Sample]]] = {}
    for one in table:
        if one.series is not None and one.n is not None:
            by_series.setdefault(one.series, {}).setdefault(one.n, []).append(one)
    periods = {reading.period_s for reading in readings}
    for series, rows in by_series.items():
        told = [reading for reading in readings if reading.series == series]
        beats: dict[int, _Known] = {}
        for reading in told:
            _better(beats, reading.n, _Known(reading.at_s + reading.n * reading.period_s, reading.within_s, reading.n))
        for n, taken in rows.items():
            for one in taken:
                if one.utc and one.within_s is not None:
                    _better(beats, n, _Known(samples.seconds(one.utc), one.within_s, n))
        period = (told[0].period_s, 0.0) if told else _period(beats, periods, series, moved)
        if period is None:
            continue
        period_s, doubt_s = period
        # Each is known as by the nearest that is known: by the one before it, and by the one after.
        ordered = sorted({*beats, *rows})
        for places in (ordered, ordered[::-1]):
            for before, n in zip(places, places[1:], strict=False):
                if before in beats:
                    by = beats[before]
                    wrong_s = abs(n - before) * (period_s * _DRIFT + doubt_s)
                    _better(beats, n, _Known(by.at_s + (n - before) * period_s, by.within_s + wrong_s, by.n))
        for n, taken in rows.items():
            for one in taken:
                off_us = sum(abs(move.moved_us) for move in moved if _was_before(one, move))
                if not told and beats[n].n < n:
                    off_us += _moved_us(moved, series, beats[n].n, n)
                within_s = round(beats[n].within_s + off_us / 1e6, 6)
                if one.within_s is None or within_s < one.within_s:
                    one.utc, one.within_s = samples.written(beats[n].at_s), within_s


def _period(beats: dict[int, _Known], told: set[float], series: int, moved: list[Move]) -> tuple[float, float] | None:
    """A series' period, and by how much it may be another, from beats that are dated; None where that cannot be told.

    told: periods of other series. One of these that fits, where little else would, is taken to be this one's as well:
    boards that restart have the period that they had, and two that somebody has chosen differ by a hundredth or more.
    """
    if len(beats) < 2:
        return None
    n = min(beats, key=lambda n: beats[n].within_s)

    def wrong_s(other: int) -> float:
        return (beats[n].within_s + beats[other].within_s + _ROUNDED_S) / abs(other - n)

    other = min((one for one in beats if one != n), key=wrong_s)
    period_s = abs(beats[other].at_s - beats[n].at_s) / abs(other - n)
    moved_s = _moved_us(moved, series, min(n, other), max(n, other)) / 1e6
    doubt_s = wrong_s(other) + moved_s / abs(other - n) + period_s * _DRIFT
    fits = [one for one in told if abs(one - period_s) <= doubt_s <= period_s * _ALIKE]
    return (min(fits, key=lambda one: abs(one - period_s)), 0.0) if fits else (period_s, doubt_s)


def _moved_us(moved: list[Move], series: int, dated: int, n: int) -> int:
    """By how much a series was moved between the beat by which another one, later, was dated, and that one: the most
    that a node tells of."""
    by_node: dict[int, int] = {}
    for move in moved:
        if move.series == series and dated <= move.n < n:
            by_node[move.node] = by_node.get(move.node, 0) + abs(move.moved_us)
    return max(by_node.values(), default=0)


def _better(beats: dict[int, _Known], n: int, known: _Known) -> None:
    if n not in beats or known.within_s < beats[n].within_s:
        beats[n] = known


def _was_before(one: Sample, move: Move) -> bool:
    same = (one.node, one.session, one.series) == (move.node, move.session, move.series)
    return same and one.n is not None and one.n <= move.n

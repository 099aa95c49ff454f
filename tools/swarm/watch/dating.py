"""When the beats of a series were by this computer's clock, from what nodes tell of it while they run."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.watch import samples
from swarm.watch.samples import Move, Sample

_DRIFT = 100e-6  # share of the time gone by by which a swarm's clock and this computer's may have drifted apart


@dataclass(frozen=True)
class Reading:
    """When beat 0 of a series was by this computer's clock, seconds since 1970, as a node had it at beat n."""

    series: int
    period_s: float
    n: int
    at_s: float
    within_s: float


def reading(answer: dict) -> Reading | None:
    """What a node's status tells of when its series began."""
    series, known = answer.get("series"), samples.instant(answer)
    if not series or known is None:
        return None
    return Reading(series["id"], series["period_ms"] / 1000, series["beat"], *known)


def date(table: list[Sample], moved: list[Move], readings: list[Reading]) -> None:
    """Say of each beat's samples when it was, as exactly as is known by now.

    From what running nodes tell, and what the table knows from earlier ones; both are less exact the further a beat is
    from that, and what a node sampled before it moved its clock was off by as much.
    """
    for series in {reading.series for reading in readings}:
        told = [reading for reading in readings if reading.series == series]
        rows: dict[int, list[Sample]] = {}
        for one in table:
            if one.series == series and one.n is not None:
                rows.setdefault(one.n, []).append(one)
        # Each is known as by the nearest that is known: by the one before it, and by the one after.
        period_s = told[0].period_s
        beats: dict[int, tuple[float, float]] = {}
        for reading in told:
            _better(beats, reading.n, (reading.at_s + reading.n * period_s, reading.within_s))
        for n, taken in rows.items():
            for one in taken:
                if one.utc and one.within_s is not None:
                    _better(beats, n, (samples.seconds(one.utc), one.within_s))
        ordered = sorted({*beats, *rows})
        for places in (ordered, ordered[::-1]):
            for before, n in zip(places, places[1:], strict=False):
                if before in beats:
                    apart_s = (n - before) * period_s
                    at_s, within_s = beats[before]
                    _better(beats, n, (at_s + apart_s, within_s + abs(apart_s) * _DRIFT))
        for n, taken in rows.items():
            for one in taken:
                off_s = sum(abs(move.moved_us) for move in moved if _was_before(one, move)) / 1e6
                at_s, within_s = beats[n][0], round(beats[n][1] + off_s, 6)
                if one.within_s is None or within_s < one.within_s:
                    one.utc, one.within_s = samples.written(at_s), within_s


def _better(beats: dict[int, tuple[float, float]], n: int, known: tuple[float, float]) -> None:
    if n not in beats or known[1] < beats[n][1]:
        beats[n] = known


def _was_before(one: Sample, move: Move) -> bool:
    same = (one.node, one.session, one.series) == (move.node, move.session, move.series)
    return same and one.n is not None and one.n <= move.n

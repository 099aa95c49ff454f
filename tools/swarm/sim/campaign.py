"""Many runs: spread over the cores, and summed up."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from swarm.sim.invariants import NAMES
from swarm.sim.plan import Options
from swarm.sim.result import Result
from swarm.sim.run import Run
from swarm.sim.series.beats import Series
from swarm.sim.series.presence import Found
from swarm.sim.series.records import Gathered


def cores() -> int:
    """How many processes may run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def begin() -> None:
    """What each of several processes does first: a Ctrl-C is for the one that has begun them, and ends the others by a
    signal, of which they may have inherited a handler."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _one(job: tuple[Options, int]) -> Result:
    return Run(*job).run()


def results(work: Iterable[tuple[Options, int]], jobs: int) -> Iterator[Result]:
    """Run every (options, seed) on that many processes; results in the order of the work, whatever their number."""
    work = list(work)
    if jobs <= 1 or len(work) <= 1:
        yield from map(_one, work)
        return
    with multiprocessing.Pool(min(jobs, len(work)), begin) as pool:
        yield from pool.imap(_one, work)  # one by one: runs of large swarms take seconds, and come together


def run(
    options: Options, seeds: Iterable[int], jobs: int, done: Callable[[Result], None] | None = None
) -> list[Result]:
    """All seeds of one campaign; done is called with each result."""
    found = []
    for result in results([(options, seed) for seed in seeds], jobs):
        found.append(result)
        if done:
            done(result)
    return found


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that is not below that share of all of them; None of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -(-int(share * 1000) * len(ranked) // 1000) - 1))] if ranked else None


def spread(values: Iterable[float]) -> dict[str, float | None]:
    """p50, p99 and max."""
    values = list(values)
    return {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99), "max": max(values, default=None)}


def _per_node(lists: Iterable[list[int]]) -> dict[str, float | None]:
    values = [value for one in lists for value in one]
    return {"mean": round(sum(values) / len(values), 2) if values else None, "max": max(values, default=None)}


def summary(options: Options, found: list[Result]) -> dict[str, Any]:
    """What a campaign shows, as one object: the form that --json prints."""
    digest = hashlib.blake2b(digest_size=16)
    for result in found:
        digest.update(result.event_hash.encode())
    return {
        "options": {name: value for name, value in asdict(options).items() if value not in (None, ())},
        "seeds": [found[0].seed, found[-1].seed] if found else [],
        "runs": len(found),
        "concluded": sum(result.converge_us is not None for result in found),
        "stranded": sum(result.stranded > 0 for result in found),
        "false_conclusions": sum(result.false_conclusions for result in found),
        "violations": {name: sum(result.violations[name] for result in found) for name in NAMES},
        "converge_ms": spread(r.converge_us / 1000 for r in found if r.converge_us is not None),
        "frames_per_node": _per_node(result.frames for result in found),
        "bytes_per_node": _per_node(result.bytes for result in found),
        "frames_per_node_until_sampled": _per_node(result.frames_sampled for result in found),
        "skew_us": spread(result.skew_us for result in found if result.skew_us is not None),
        "early_us": spread(result.early_us for result in found if result.early_us is not None),
        "late_samples": sum(result.late for result in found),
        **_series([result.series for result in found if result.series]),
        **_presence([result.presence for result in found if result.presence]),
        **_records([result.records for result in found if result.records]),
        "events": sum(result.events for result in found),
        "event_hash": digest.hexdigest(),
    }


def _series(found: list[Series]) -> dict[str, Any]:
    """What a campaign shows of series, where it had any."""
    if not found:
        return {}
    rates = [one.rate_ppm - one.fastest_ppm for one in found if one.rate_ppm is not None]
    return {
        "beats": {
            "sampled": sum(one.sampled for one in found),
            "missed": sum(one.missed for one in found),
            "late": sum(one.late for one in found),
            "spread_us": spread(us for one in found for us in one.spread_us),
        },
        "frames_per_node_minute": round(sum(one.frames_per_node_minute for one in found) / len(found), 2),
        "moves": sum(one.moves for one in found),
        "rate_above_fastest_ppm": round(max(rates), 2) if rates else None,
    }


def _presence(found: list[Found]) -> dict[str, Any]:
    """What a campaign shows of rounds, where it had any."""
    if not found:
        return {}
    return {
        "presence": {
            "detected_ms": spread(us / 1000 for one in found for us in one.detected_us),
            "false_alarms": sum(one.false_alarms for one in found),
            "node_days": round(sum(one.node_days for one in found), 2),
        },
    }


def _records(found: list[Gathered]) -> dict[str, Any]:
    """What a campaign shows of samples over the air, where there were any."""
    if not found:
        return {}
    sent = sum(one.sent for one in found)
    return {
        "records": {
            "sent": sent,
            "gathered": sum(one.gathered for one in found),
            "twice": sum(one.twice for one in found),
            "lost": sum(one.lost for one in found),
            "frames_per_record": round(sum(one.frames for one in found) / sent, 2) if sent else None,
            "delay_ms": spread(us / 1000 for one in found for us in one.delay_us),
            "backlog_ms": spread(one.backlog_us / 1000 for one in found if one.backlog_us is not None),
        },
    }


def failures(found: list[Result]) -> list[str]:
    """The first violations in words."""
    return [words for result in found for words in result.words]

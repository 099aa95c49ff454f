"""Attacks on many simulated swarms: one a seed, spread over the cores, and summed up."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from swarm.device.library import Node
from swarm.sim.attack.defences import DEFENCES
from swarm.sim.attack.run import KINDS, AttackRun, kind_of
from swarm.sim.campaign import begin

SEEDS = 20_000


@dataclass
class Outcome:
    """What came of one seed. tried: what the attacker did, by kind; words: its successes, none as it should be."""

    seed: int
    kind: str
    tried: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)


def attack(seed: int, without: str | None = None) -> Outcome:
    """Attack the swarm of that seed, whose nodes lack a defence, one of DEFENCES."""
    run = AttackRun(seed, DEFENCES[without].node_class if without else Node)
    result = run.run()
    return Outcome(seed, run.kind, run.attacker.tried if run.attacker else Counter({run.kind: 1}), result.words)


def seeds_of(kind: str, first: int = 1) -> Iterator[int]:
    """The seeds from the first on in which it is that kind that is hostile."""
    seed = first
    while True:
        if kind_of(seed) == kind:
            yield seed
        seed += 1


def _one(job: tuple[int, str | None]) -> Outcome:
    return attack(*job)


def attacks(seeds: Iterable[int], jobs: int, without: str | None = None) -> Iterator[Outcome]:
    """Attack with each of the seeds on that many processes; outcomes in their order."""
    work = [(seed, without) for seed in seeds]
    if jobs <= 1 or len(work) <= 1:
        yield from map(_one, work)
        return
    with multiprocessing.Pool(min(jobs, len(work)), begin) as pool:
        yield from pool.imap(_one, work, chunksize=min(50, max(1, len(work) // (8 * jobs))))


def summary(found: list[Outcome], seconds: float) -> str:
    """The campaign in one line."""
    tried: Counter[str] = Counter()
    kinds = Counter(outcome.kind for outcome in found)
    for outcome in found:
        tried.update(outcome.tried)
    what = ", ".join(f"{count:,} {name}" for name, count in sorted(tried.items()) if name not in KINDS)
    who = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
    successes = sum(bool(outcome.words) for outcome in found)
    return (
        f"adversary: {len(found)} seeds ({who}), {sum(tried.values()):,} attacks ({what}), "
        f"{successes} successes, {seconds:.0f} s"
    )

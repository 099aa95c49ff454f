"""`make adversary`: attacks on simulated swarms of the real nodes, judged by what the simulation knows to be true.

python -m swarm.sim.attack.campaign [--seeds N] [--seed S] [--jobs N] [--without DEFENCE]

PROTOCOL.md's threat model says what an attacker can do; anything else that comes of an attack is a success, and the
exit code is then 1. Who is hostile is drawn for each seed: somebody without the key, somebody who seals lies with it, a
member that talks without end, or one that restarts for ever.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from swarm.device.library import Node
from swarm.output.arguments import count
from swarm.output.progress import progress
from swarm.sim import campaign, report
from swarm.sim.attack.defences import DEFENCES
from swarm.sim.attack.run import KINDS, AttackRun, kind_of

SEEDS = 20_000
_SHOWN = 10


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
    with multiprocessing.Pool(min(jobs, len(work))) as pool:
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


def _again(outcome: Outcome, without: str | None) -> str:
    """The first success in words, and how to see it."""
    option = f" --without {without}" if without else ""
    return f"{outcome.words[0]}\n    again: python -m swarm.sim.attack.campaign --seed {outcome.seed}{option}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swarm.sim.attack.campaign",
        description="Attack simulated swarms of the real nodes; 1 is returned when an attack succeeds.",
        epilog="defences: " + ", ".join(DEFENCES),
    )
    parser.add_argument("--seeds", type=count, metavar="N", help=f"how many runs (default {SEEDS})")
    parser.add_argument("--seed", type=int, metavar="S", help="the first run's seed (default 1); alone: show that run")
    parser.add_argument("--jobs", type=count, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--without", choices=DEFENCES, metavar="DEFENCE", help="take a defence out of the nodes")
    return parser


def _show(seed: int, without: str | None) -> int:
    """One run as a timeline."""
    events = report.Timeline()
    run = AttackRun(seed, DEFENCES[without].node_class if without else Node, trace=events)
    result = run.run()
    print(report.timeline(run, events.events))
    print(report.outcome(result))
    tried = run.attacker.tried if run.attacker else {}
    print(f"{run.kind}: {', '.join(f'{count} {name}' for name, count in sorted(tried.items())) or 'a member'}")
    return 1 if result.words else 0


def main(words: list[str] | None = None) -> int:
    """The command line."""
    arguments = _parser().parse_args(words)
    if arguments.seed is not None and arguments.seeds is None:
        return _show(arguments.seed, arguments.without)
    first = 1 if arguments.seed is None else arguments.seed
    seeds = range(first, first + (arguments.seeds or SEEDS))
    found = []
    start = time.monotonic()
    with progress(len(seeds), "attacking") as done:
        for outcome in attacks(seeds, arguments.jobs or campaign.cores(), arguments.without):
            found.append(outcome)
            done()
    successful = [outcome for outcome in found if outcome.words]
    print(summary(found, time.monotonic() - start))
    for outcome in successful[:_SHOWN]:
        print(_again(outcome, arguments.without))
    if len(successful) > _SHOWN:
        print(f"... and {len(successful) - _SHOWN} more")
    return 1 if successful else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make adversary`: attacks on simulated swarms of the real nodes, judged by what the simulation knows to be true.

python -m swarm.sim.attack [--seeds N] [--seed S] [--jobs N] [--without DEFENCE]

PROTOCOL.md's threat model says what an attacker can do; anything else that comes of an attack is a success, and the
exit code is then 1. Who is hostile is drawn for each seed: somebody without the key, somebody who seals lies with it, a
member that talks without end, one that restarts for ever, or one that gathers falsely and asks without end.
"""

from __future__ import annotations

import argparse
import sys
import time

from swarm.device.library import Node
from swarm.output.arguments import count
from swarm.output.progress import progress
from swarm.sim import report
from swarm.sim.attack.campaign import SEEDS, Outcome, attacks, summary
from swarm.sim.attack.defences import DEFENCES
from swarm.sim.attack.run import AttackRun
from swarm.sim.campaign import cores

_SHOWN = 10


def _again(outcome: Outcome, without: str | None) -> str:
    """The first success in words, and how to see it."""
    option = f" --without {without}" if without else ""
    return f"{outcome.words[0]}\n    again: python -m swarm.sim.attack --seed {outcome.seed}{option}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swarm.sim.attack",
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
        for outcome in attacks(seeds, arguments.jobs or cores(), arguments.without):
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

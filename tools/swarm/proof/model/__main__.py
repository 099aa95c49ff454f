"""`make model`: check the protocol by meeting every state that a few real nodes can get into, within bounds.

python -m swarm.proof.model [--only N]

Prints a line for each of CONFIGURATIONS. At the first violation it prints the shortest way to it, and exits with 1.
What is explored is said in search.py and rounds/search.py, what must hold in properties.py and the two end.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from swarm.proof.model.rounds.search import RoundBounds, RoundsSearch
from swarm.proof.model.search import Bounds, Search
from swarm.proof.model.walk import Found

CONFIGURATIONS: tuple[Bounds | RoundBounds, ...] = (
    # Two nodes: everything in flight, then more frames, more reboots, deadlines.
    Bounds(nodes=2, required=2, speaks=3, reboots=0),
    Bounds(nodes=2, required=2, speaks=2, reboots=1),
    Bounds(nodes=2, required=2, speaks=3, reboots=1, flight=2),
    Bounds(nodes=2, required=2, speaks=4, reboots=1, flight=1),
    Bounds(nodes=2, required=2, speaks=2, reboots=2, flight=2),
    Bounds(nodes=2, required=1, speaks=2, reboots=1, flight=2, deadlines=1),
    Bounds(nodes=2, required=2, speaks=2, reboots=1, flight=1, deadlines=1, retry=False),
    # Three nodes: from power-up, then from a swarm that knows itself.
    Bounds(nodes=3, required=2, speaks=1, reboots=0),
    Bounds(nodes=3, required=2, speaks=1, reboots=1, flight=1),
    Bounds(nodes=3, required=3, speaks=1, reboots=1, flight=1),
    Bounds(nodes=3, required=2, speaks=1, reboots=0, flight=1, deadlines=1),
    Bounds(nodes=3, required=3, speaks=1, reboots=1, settled=(1, 2)),
    Bounds(nodes=3, required=3, speaks=1, reboots=2, flight=1, rebooting=(1, 3), settled=(1, 2, 3)),
    # Rounds of two nodes: deaths, told at any time; cuts, in which clocks drift apart. Of three: losses, deaths, cuts,
    # and frames that come late.
    RoundBounds(nodes=2, flight=2, mortal=(1, 2), tells=False),
    RoundBounds(nodes=2, flight=2, mortal=(1,), cut=(1,), apart=4),
    RoundBounds(nodes=2, mortal=(1, 2), cut=(1,), apart=9),
    RoundBounds(nodes=3, marks=1, flight=0),
    RoundBounds(nodes=3, marks=1, flight=0, mortal=(3,), steps=19),
    RoundBounds(nodes=3, marks=1, flight=0, cut=(3,), apart=5, steps=18),
    RoundBounds(nodes=3, mortal=(3,), steps=18),
)
PROGRESS_S = 10  # from one report to the next


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    numbered = "\n".join(f"  {number}  {bounds}" for number, bounds in enumerate(CONFIGURATIONS, 1))
    parser = argparse.ArgumentParser(
        prog="python -m swarm.proof.model",
        description=__doc__,
        epilog=f"configurations:\n{numbered}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", type=int, choices=range(1, len(CONFIGURATIONS) + 1), metavar="N", help="one of the configurations"
    )
    only = parser.parse_args(arguments).only
    for bounds in CONFIGURATIONS[only - 1 : only] if only else CONFIGURATIONS:
        search = RoundsSearch if isinstance(bounds, RoundBounds) else Search
        found = search(bounds, report=_progress()).run()
        print(found, flush=True)
        if found.violation:
            print(explain(found))
            return 1
    return 0


def explain(found: Found) -> str:
    """A violation, and the shortest way to it."""
    return "\n".join((f"broken: {found.violation}", *found.trace))


def _progress() -> Callable[[Found], None]:
    """What tells on stderr, now and then, how far a search is."""
    began = last = time.monotonic()

    def report(found: Found) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_S:
            last = now
            print(
                f"  {now - began:.0f} s: {found.states} states, {found.transitions} transitions, depth {found.depth}",
                file=sys.stderr,
                flush=True,
            )

    return report


if __name__ == "__main__":
    sys.exit(main())

"""Virtual boards sample in series through reboots and power cuts, and are collected: each record is there once.

python -m swarm.proof.series [--nodes 8] [--minutes 10] [--period 1000] [--faults 20] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from swarm.proof.series.campaign import Campaign


def main(argv: list[str] | None = None) -> int:
    """Print the spread within beats in true time, what was kept and what went wrong; 1 when something did."""
    parser = argparse.ArgumentParser(prog="python -m swarm.proof.series", description=__doc__.split("\n\n")[0])
    parser.add_argument("--nodes", type=int, default=8, metavar="N", help="default %(default)s")
    parser.add_argument("--minutes", type=float, default=10, metavar="M", help="default %(default)s")
    parser.add_argument("--period", type=int, default=1000, metavar="MS", help="default %(default)s")
    parser.add_argument(
        "--faults", type=float, default=20, metavar="S", help="between two; default %(default)s; 0: none"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="default: a new one")
    options = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="swarm-series-") as folder:
        campaign = Campaign(
            Path(folder), options.nodes, options.minutes * 60, options.period, options.faults, seed, _say
        )
        try:
            campaign.go()
        except (OSError, EOFError) as error:
            print(f"series: {error} (seed {seed})", file=sys.stderr)
            return 1
    print(
        f"{options.nodes} boards, {len(campaign.said)} records of {len(campaign.spreads_us)} beats, "
        f"{campaign.restarts} restarts, {campaign.cuts} power cuts, which took {campaign.lost} records; seed {seed}\n"
        f"spread within a beat in true time: {_shares(campaign.spreads_us)}\n"
        f"of which clocks: {_shares(campaign.clocks_us)}"
    )
    for words in campaign.problems():
        print(f"  {words}")
    return 1 if campaign.problems() else 0


def _shares(us: list[int]) -> str:
    """How times are spread, in milliseconds."""
    ordered = sorted(us) or [0]
    p50, p99, worst = (ordered[round((len(ordered) - 1) * share)] / 1000 for share in (0.5, 0.99, 1))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {worst:.2f} ms"


def _say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())

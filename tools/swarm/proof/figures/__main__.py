"""`make figures`: every figure and plot of FIGURES.md, each with the command that makes it and its bar.

python -m swarm.proof.figures [--folder build/figures] [--quick] [--write]

Tables are printed as they come about, in the form in which FIGURES.md holds them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from swarm import runtimes
from swarm.proof.figures import campaigns, page, words
from swarm.proof.figures.maker import Maker
from swarm.sim.campaign import cores

_SHARE = 0.05  # of the runs with --quick


def main(argv: list[str] | None = None) -> int:
    """Print every figure and draw every plot; 1 when something stranded, broke or missed its bar."""
    parser = argparse.ArgumentParser(prog="python -m swarm.proof.figures", description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", default="build/figures", help="where plots and JSON go (default build/figures)")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the runs, to look at the form")
    parser.add_argument("--write", action="store_true", help="write tables and plots into FIGURES.md and tools/figures")
    parser.add_argument("--jobs", type=int, help="processes (default: one a core)")
    arguments = parser.parse_args(argv)
    if arguments.write and arguments.quick:
        parser.error("--write with --quick: FIGURES.md holds the full figures")
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    maker = Maker(folder, _SHARE if arguments.quick else 1.0, arguments.jobs or cores())
    try:
        if arguments.write:
            page.split(page.PAGE.read_text(encoding="utf-8"))  # told before the hour, not after it
        maker.device()
    except (runtimes.RuntimeMissing, runtimes.ScriptFailed, page.PageError) as error:
        print(f"make figures: {error}", file=sys.stderr)
        return 2 if isinstance(error, runtimes.RuntimeMissing) else 1
    print(words.WORDS + "\n")
    table, _ = maker.table(campaigns.FIGURES)
    print()
    print(words.HONEST_WORDS + "\n")
    honest, _ = maker.table(campaigns.HONEST)
    print()
    print(words.SERIES_WORDS + "\n")
    series, _ = maker.table(campaigns.SERIES)
    print()
    print(words.REMOTE_WORDS + "\n")
    remote, _ = maker.table(campaigns.REMOTE)
    print()
    growing = campaigns.GROWTH[:4] if arguments.quick else campaigns.GROWTH
    grown, summaries = maker.table(growing)
    maker.growth(growing, summaries)
    tuned = maker.tuning()
    maker.lanes()
    compared = maker.bench(arguments.quick)
    maker.keep()
    honest = f"{words.HONEST_WORDS}\n\n{honest}"
    series = f"{words.SERIES_WORDS}\n\n{series}\n\n{words.REMOTE_WORDS}\n\n{remote}"
    section = page.section(
        words=words.WORDS,
        campaigns=table,
        honest=honest,
        series=series,
        grown=grown,
        compared=compared,
        tuned=tuned,
        lanes=campaigns.LANES_COMMAND,
    )
    (folder / "section.md").write_text(section, encoding="utf-8")
    if arguments.write:
        page.write(section, folder)
    took = (time.monotonic() - begun) / 60
    print(f"\nPlots and numbers: {folder}. {'All bars met' if maker.met else 'Bars missed'}, {took:.0f} minutes")
    return 0 if maker.met else 1


if __name__ == "__main__":
    sys.exit(main())

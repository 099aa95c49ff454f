"""`make figures`: every figure and plot of FIGURES.md, each with the command that makes it and its bar.

python -m swarm.proof.figures.campaigns [--folder build/figures] [--quick] [--write]

Tables are printed as they come about, in the form in which FIGURES.md holds them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm import runtimes
from swarm.output import svg
from swarm.output.progress import progress
from swarm.proof.figures import page
from swarm.runtimes.measure import size
from swarm.sim import benchmark, campaign, plot, report
from swarm.sim.plan import Options
from swarm.sim.run import Run

_FREE = {"hidden_wait_ms": 0.0, "stamp_us": 1}
_FIFTY = {"nodes": (50, 50), "boot_spread_ms": 5}
_MIXED = Options(nodes=(2, 12), quorum=0, loss=0.1, topology="any", faults=("mixed",))
_SHARE = 0.05  # of the runs with --quick


@dataclass(frozen=True)
class Figure:
    """One row of a table: options, seeds, and the bars as (what, limit); see value()."""

    name: str
    options: Options
    seeds: int
    bars: tuple[tuple[str, float], ...] = ()


FIGURES = (
    Figure(
        "20 nodes, 10 % loss",
        Options(loss=0.1),
        200,
        (("wait p50", 35), ("wait p99", 70), ("frames", 24), ("skew p99", 2.5)),
    ),
    Figure(
        "20 nodes, 10 % loss, link says when it is free",
        Options(loss=0.1, **_FREE),
        200,
        (("wait p50", 35), ("wait p99", 70), ("frames", 18), ("skew p99", 0.1)),
    ),
    Figure("20 nodes, 30 % loss", Options(loss=0.3), 100),
    Figure("50 nodes powered on within 5 ms", Options(**_FIFTY), 100, (("wait max", 325), ("frames", 14))),
    Figure(
        "50 nodes powered on within 5 ms, link says when it is free",
        Options(**_FIFTY, **_FREE),
        100,
        (("wait max", 100), ("frames", 10)),
    ),
    Figure("50 nodes, 10 % loss", Options(nodes=(50, 50), loss=0.1), 40),
    Figure("100 nodes, 10 % loss", Options(nodes=(100, 100), loss=0.1), 20, (("skew p99", 2.5),)),
    Figure("200 nodes, 10 % loss", Options(nodes=(200, 200), loss=0.1), 5),
    Figure("6 x 6 grid, neighbours only, 10 % loss", Options(nodes=(36, 36), loss=0.1, topology="grid"), 40),
    Figure("20 nodes on a bus, 10 % loss", Options(loss=0.1, topology="bus"), 40),
    Figure("20 nodes, half radio, half bus, 10 % loss", Options(loss=0.1, topology="mixed"), 40),
    Figure(
        "8 nodes, 20 s from conclusion to sample, clocks that do not drift",
        Options(nodes=(8, 8), lead_ms=20_000, ppm=0),
        40,
        (("frames until sampled", 40), ("skew p99", 2.5), ("early max", 0.2)),
    ),
    Figure("2 to 12 nodes, random faults", _MIXED, 10_000),
)
GROWTH = tuple(  # a few runs suffice: within one, hundreds of nodes are counted
    Figure(
        f"{count} nodes, random multi-hop graph",
        Options(nodes=(count, count), loss=0.1, topology="random"),
        max(3, min(40, 2000 // count)),
    )
    for count in (10, 20, 50, 100, 200, 400, 680)
)
# One rule's parameter after another away from what the nodes use, at two sizes.
TUNING: tuple[tuple[str, dict[str, int]], ...] = (
    ("", {}),
    ("--imin-ms 8", {"imin_ms": 8}),
    ("--imin-ms 24", {"imin_ms": 24}),
    ("--imin-ms 32", {"imin_ms": 32}),
    ("--imin-ms 48", {"imin_ms": 48}),
    ("--imax-ms 512", {"imax_ms": 512}),
    ("--imax-ms 8192", {"imax_ms": 8192}),
    ("--redundancy 1", {"redundancy": 1}),
    ("--redundancy 3", {"redundancy": 3}),
    ("--echoes 2", {"echoes": 2}),
    ("--echoes 4", {"echoes": 4}),
)
TUNED = (Figure("20 nodes, 10 % loss", Options(loss=0.1), 60), Figure("50 within 5 ms", Options(**_FIFTY), 20))
LANES = Options(nodes=(5, 5), loss=0.1, faults=("reboot",)), 7  # a run to look at
LANES_COMMAND = "swarm sim --nodes 5 --loss 0.1 --faults reboot --seed 7 --plot run.svg"
_NAMES = ("loss", "topology", "boot_spread_ms", "warmup_ms", "hidden_wait_ms", "stamp_us", "ppm", "lead_ms")


def command(options: Options, seeds: int) -> str:
    """The `swarm sim` command line of a campaign."""
    default = Options()
    low, high = options.nodes
    words = ["swarm sim", f"--nodes {low}" if low == high else f"--nodes {low}-{high}"]
    if options.quorum is not None:
        words.append(f"--quorum {options.quorum or 'random'}")
    for name in _NAMES:
        value = getattr(options, name)
        if value != getattr(default, name):
            words.append(f"--{name.replace('_', '-')} {value:g}" if name != "topology" else f"--topology {value}")
    if options.faults:
        words.append(f"--faults {','.join(options.faults)}")
    return " ".join([*words, f"--seeds {seeds}"])


def value(summary: dict[str, Any], what: str) -> float | None:
    """A campaign's figure by its name in a bar: frames, or wait, skew or early (milliseconds) with p50, p99 or max."""
    if what == "frames":
        return summary["frames_per_node"]["mean"]
    if what == "frames until sampled":
        return summary["frames_per_node_until_sampled"]["mean"]
    kind, share = what.split()
    if kind == "wait":
        return summary["converge_ms"][share]
    found = summary["skew_us" if kind == "skew" else "early_us"][share]
    return None if found is None else found / 1000


def row(figure: Figure, seeds: int, summary: dict[str, Any]) -> tuple[str, bool]:
    """A row of the table, and whether every bar was met."""
    frames = summary["frames_per_node"]
    broken = sum(summary["violations"].values())
    bars, met = [], not broken
    for what, limit in figure.bars:
        reached = value(summary, what)
        missed = reached is None or reached > limit
        met = met and not missed
        bars.append(f"**{what} {limit:g}: missed**" if missed else f"{what} {limit:g}: met")
    text = (
        f"| {figure.name} | {summary['stranded']} / {summary['false_conclusions']} / {broken} "
        f"| {_three(summary['converge_ms'])} | {frames['mean']} / {frames['max']} "
        f"| {summary['frames_per_node_until_sampled']['mean']} | {_three(summary['skew_us'], 1000)} "
        f"| {', '.join(bars)} | `{command(figure.options, seeds)}` |"
    )
    return text, met


def _three(values: dict[str, Any], scale: float = 1) -> str:
    return " / ".join("-" if values[key] is None else f"{values[key] / scale:.3g}" for key in ("p50", "p99", "max"))


HEAD = """\
| swarm | stranded / false / violations | wait | frames | until sampled | skew | bars | command |
|---|---|---|---|---|---|---|---|"""
WORDS = """\
Wait: milliseconds from the last readiness to the last conclusion, p50 / p99 / max. Frames: of a node, until the last
conclusion, mean / max, and until the last first sample, mean. Skew: milliseconds between the first samples of a run,
p50 / p99 / max; early: by how much the first of them came before the instant that the first conclusion named. Unless a
row says otherwise all nodes hear each other by an honest ESP-NOW: the radio waits for 0 to 4 ms before each frame, and
stamps have 1 ms; boots fall in 2 s, and clocks run at up to 50 ppm off. Among random faults are cuts of the swarm in
two: both halves may rightly conclude, each with an instant of its own."""


class Maker:
    """Makes figures and plots into a folder, prints them, and knows whether all bars were met."""

    def __init__(self, folder: Path, share: float, jobs: int) -> None:
        self.folder = folder
        self.met = True
        self._share = share
        self._jobs = jobs
        self._numbers: dict[str, Any] = {}

    def _campaign(self, what: str, options: Options, seeds: int) -> tuple[list, dict[str, Any]]:
        with progress(seeds, what) as done:
            found = campaign.run(options, range(1, seeds + 1), self._jobs, done)
        return found, campaign.summary(options, found)

    def _seeds(self, figure: Figure) -> int:
        return max(1, round(figure.seeds * self._share))

    def table(self, figures: tuple[Figure, ...]) -> tuple[str, list[dict[str, Any]]]:
        """The rows of those figures below HEAD, and their summaries; the first failures are printed as well."""
        print(HEAD, flush=True)
        lines, summaries = [HEAD], []
        for figure in figures:
            seeds = self._seeds(figure)
            found, summary = self._campaign(figure.name, figure.options, seeds)
            line, met = row(figure, seeds, summary)
            self.met = self.met and met
            print(line, *campaign.failures(found)[:3], sep="\n", flush=True)
            lines.append(line)
            summaries.append(summary)
            self._numbers[command(figure.options, seeds)] = summary
            if figure is FIGURES[0]:
                self.draw("distributions", plot.distributions(figure.options, found))
        return "\n".join(lines), summaries

    def draw(self, name: str, picture: str) -> None:
        """Write a picture."""
        svg.save(str(self.folder / f"{name}.svg"), picture)

    def growth(self, figures: tuple[Figure, ...], summaries: list[dict[str, Any]]) -> None:
        """Draw how time and frames grow with the swarm."""
        waits, frames = [], []
        for figure, summary in zip(figures, summaries, strict=True):
            if summary["converge_ms"]["p50"] is not None:
                waits.append((float(figure.options.nodes[0]), summary["converge_ms"]["p50"]))
                frames.append((float(figure.options.nodes[0]), summary["frames_per_node"]["mean"]))
        panels = [
            ("nodes", "ms to the last conclusion", {"median": waits}),
            ("nodes", "frames a node until then", {"mean": frames}),
        ]
        self.draw("growth", plot.curves("Random multi-hop swarms, 10 % loss", panels))

    def tuning(self) -> None:
        """Print what Trickle's intervals and redundancy and the number of echoes do, and draw it for Imin."""
        waits: dict[str, list] = {}
        frames: dict[str, list] = {}
        for figure in TUNED:
            seeds = self._seeds(figure)
            print(f"\nTuning: `{command(figure.options, seeds)}` with\n")
            print("| option | wait p50 / p99 / max, ms | frames a node | bytes a node |\n|---|---|---|---|", flush=True)
            for words, changes in TUNING:
                options = replace(figure.options, **changes)
                _, summary = self._campaign(f"{figure.name} {words}", options, seeds)
                sent = summary["frames_per_node"]["mean"]
                print(
                    f"| {words or '(as it is)'} | {_three(summary['converge_ms'])} | {sent} "
                    f"| {summary['bytes_per_node']['mean']} |",
                    flush=True,
                )
                imin_ms = float(changes.get("imin_ms", 0 if changes else _imin_ms()))
                if imin_ms and summary["converge_ms"]["p99"] is not None:
                    waits.setdefault(figure.name, []).append((imin_ms, summary["converge_ms"]["p99"]))
                    frames.setdefault(figure.name, []).append((imin_ms, sent))
        panels = [
            ("shortest interval, ms", "ms to the last conclusion, p99", waits),
            ("shortest interval, ms", "frames a node until then, mean", frames),
        ]
        self.draw("tuning", plot.curves("Trickle's shortest interval", panels))

    def lanes(self) -> None:
        """Draw one run."""
        events = report.Timeline()
        run = Run(*LANES, trace=events)
        run.run()
        self.draw("run", plot.lanes(run, events.events))

    def bench(self, quick: bool) -> str:
        """The comparison with other protocols: printed whole; returns the page's table of it."""
        sizes = benchmark.SIZES[:2] if quick else benchmark.SIZES
        found = benchmark.compare(sizes, benchmark.LOSSES, 2 if quick else None, 1, self._jobs)
        print(f"\n`swarm bench`\n\n{benchmark.table(found)}", flush=True)
        self._numbers["swarm bench"] = found
        return benchmark.markdown(found)

    def device(self) -> None:
        """What the device code takes beside its limits, as `make size` prints it."""
        print("`make size`\n\n| device code | measured | bar | |\n|---|---|---|---|")
        for one in size.measure():
            print(f"| {one.name} | {one.value:g} | {one.limit:g} {one.unit} | {'missed' if one.above else 'met'} |")
            self.met = self.met and not one.above
        print(flush=True)

    def keep(self) -> None:
        """Write all numbers as JSON."""
        text = json.dumps(self._numbers, indent=1)
        (self.folder / "figures.json").write_text(text, encoding="utf-8")


def _imin_ms() -> int:
    return Run(TUNED[0].options, 1).imin_ms


def main(argv: list[str] | None = None) -> int:
    """Print every figure and draw every plot; 1 when something stranded, broke or missed its bar."""
    parser = argparse.ArgumentParser(
        prog="python -m swarm.proof.figures.campaigns", description=__doc__.split("\n\n")[0]
    )
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
    maker = Maker(folder, _SHARE if arguments.quick else 1.0, arguments.jobs or campaign.cores())
    try:
        if arguments.write:
            page.split(page.PAGE.read_text(encoding="utf-8"))  # told before the hour, not after it
        maker.device()
    except (runtimes.RuntimeMissing, runtimes.ScriptFailed, page.PageError) as error:
        print(f"make figures: {error}", file=sys.stderr)
        return 2 if isinstance(error, runtimes.RuntimeMissing) else 1
    print(WORDS + "\n")
    campaigns, _ = maker.table(FIGURES)
    print()
    growing = GROWTH[:4] if arguments.quick else GROWTH
    grown, summaries = maker.table(growing)
    maker.growth(growing, summaries)
    maker.tuning()
    maker.lanes()
    compared = maker.bench(arguments.quick)
    maker.keep()
    section = page.section(WORDS, campaigns, grown, compared, LANES_COMMAND)
    (folder / "section.md").write_text(section, encoding="utf-8")
    if arguments.write:
        page.write(section, folder)
    took = (time.monotonic() - begun) / 60
    print(f"\nPlots and numbers: {folder}. {'All bars met' if maker.met else 'Bars missed'}, {took:.0f} minutes")
    return 0 if maker.met else 1


if __name__ == "__main__":
    sys.exit(main())

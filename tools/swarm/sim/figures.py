"""`make figures`: every figure and plot of the README, each with the command that makes it.

python -m swarm.sim.figures [--folder build/figures] [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm import benchmark
from swarm.sim import campaign, plot
from swarm.sim.cli import progress
from swarm.sim.plan import Options

_FREE = {"hidden_wait_ms": 0.0, "stamp_us": 1}
_MIXED = Options(nodes=(2, 12), quorum=0, loss=0.1, topology="any", faults=("mixed",))


@dataclass(frozen=True)
class Figure:
    """One line of the README's table: options, seeds, and the bars as (what, limit); see _value()."""

    name: str
    options: Options
    seeds: int
    bars: tuple[tuple[str, float], ...] = ()


FIGURES = (
    Figure(
        "20 nodes, 10 % loss",
        Options(loss=0.1),
        200,
        (("wait p50", 35), ("wait p99", 70), ("frames", 24), ("skew p99", 5)),
    ),
    Figure(
        "20 nodes, 10 % loss, link says when it is free",
        Options(loss=0.1, **_FREE),
        200,
        (("wait p50", 35), ("wait p99", 70), ("frames", 18), ("skew p99", 0.1)),
    ),
    Figure("20 nodes, 30 % loss", Options(loss=0.3), 100),
    Figure(
        "50 nodes powered on within 5 ms",
        Options(nodes=(50, 50), boot_spread_ms=5),
        20,
        (("wait max", 325), ("frames", 14)),
    ),
    Figure(
        "50 nodes powered on within 5 ms, link says when it is free",
        Options(nodes=(50, 50), boot_spread_ms=5, **_FREE),
        20,
        (("wait max", 100), ("frames", 10)),
    ),
    Figure("50 nodes, 10 % loss", Options(nodes=(50, 50), loss=0.1), 10),
    Figure("100 nodes, 10 % loss", Options(nodes=(100, 100), loss=0.1), 4, (("skew p99", 5),)),
    Figure("200 nodes, 10 % loss", Options(nodes=(200, 200), loss=0.1), 2),
    Figure("6 x 6 grid, neighbours only, 10 % loss", Options(nodes=(36, 36), loss=0.1, topology="grid"), 20),
    Figure("20 nodes on a bus, 10 % loss", Options(loss=0.1, topology="bus"), 20),
    Figure("20 nodes, half radio, half bus, 10 % loss", Options(loss=0.1, topology="mixed"), 20),
    Figure("2 to 12 nodes, random faults", _MIXED, 10_000),
)
# One rule's parameter after another away from what the nodes use, at two sizes.
TUNING = (
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
TUNED = ((Options(loss=0.1), 60), (Options(nodes=(50, 50), boot_spread_ms=5), 8))
GROWTH = (10, 20, 50, 100, 200, 400, 680)  # members of a random multi-hop swarm, 10 % loss


def command(options: Options, seeds: int) -> str:
    """The `swarm sim` command line of a campaign."""
    default = Options()
    low, high = options.nodes
    words = ["swarm sim", f"--nodes {low}" if low == high else f"--nodes {low}-{high}"]
    if options.quorum is not None:
        words.append(f"--quorum {options.quorum or 'random'}")
    for name in ("loss", "topology", "boot_spread_ms", "warmup_ms", "hidden_wait_ms", "stamp_us"):
        if getattr(options, name) != getattr(default, name):
            words.append(f"--{name.replace('_', '-')} {getattr(options, name):}")
    if options.faults:
        words.append(f"--faults {','.join(options.faults)}")
    return " ".join([*words, f"--seeds {seeds}"])


def _value(summary: dict[str, Any], what: str) -> float | None:
    if what == "frames":
        return summary["frames_per_node"]["mean"]
    kind, share = what.split()
    if kind == "wait":
        return summary["converge_ms"][share]
    value = summary["skew_us"][share]
    return None if value is None else value / 1000


def _line(figure: Figure, seeds: int, summary: dict[str, Any], seconds: float) -> tuple[str, bool]:
    """A row of the table, and whether every bar was kept."""
    waits, frames, skew = summary["converge_ms"], summary["frames_per_node"], summary["skew_us"]
    broken = sum(summary["violations"].values())
    missed = [
        f"{what} {_value(summary, what)} over {limit:g}"
        for what, limit in figure.bars
        if (_value(summary, what) or 0) > limit
    ]
    judged = "missed: " + "; ".join(missed) if missed else "kept" if figure.bars else ""
    row = (
        f"| {figure.name} | {summary['runs']} | {summary['stranded']} / {summary['false_conclusions']} / {broken} "
        f"| {_three(waits)} | {frames['mean']} / {frames['max']} "
        f"| {summary['frames_per_node_until_sampled']['mean']} | {_three(skew, 1000)} | {judged} |"
        f" {seconds:.0f} s | `{command(figure.options, seeds)}` |"
    )
    return row, not missed and not broken


def _three(values: dict[str, Any], scale: float = 1) -> str:
    return " / ".join("-" if values[key] is None else f"{values[key] / scale:.3g}" for key in ("p50", "p99", "max"))


_HEAD = """\
Wait: milliseconds from the last readiness to the last conclusion, p50 / p99 / max. Frames: a node, until then,
mean / max. Skew: milliseconds between the first samples of a run, p50 / p99 / max.

| swarm | runs | stranded / false / violations | wait | frames | until sampled | skew | bars | took | command |
|---|---|---|---|---|---|---|---|---|---|"""


def _campaigns(folder: Path, share: float, jobs: int) -> bool:
    print(_HEAD, flush=True)
    kept = True
    everything = {}
    for figure in FIGURES:
        seeds = max(1, round(figure.seeds * share))
        begun = time.monotonic()
        with progress(seeds, figure.name) as done:
            found = campaign.run(figure.options, range(1, seeds + 1), jobs, done)
        summary = campaign.summary(figure.options, found)
        row, fine = _line(figure, seeds, summary, time.monotonic() - begun)
        kept = kept and fine
        print(row, *campaign.failures(found)[:3], sep="\n", flush=True)
        everything[figure.name] = summary
        if figure is FIGURES[0]:
            plot.save(str(folder / "distributions.svg"), plot.distributions(figure.options, found))
    (folder / "figures.json").write_text(json.dumps(everything, indent=1), encoding="utf-8")
    return kept


def _growth(folder: Path, share: float, jobs: int) -> bool:
    """How time and frames grow with the swarm, on random multi-hop graphs."""
    print("\nRandom multi-hop swarms, 10 % loss: how they grow\n", flush=True)
    print(
        "| nodes | runs | stranded | wait p50 / max, ms | frames a node, mean / max |\n|---|---|---|---|---|",
        flush=True,
    )
    waits, frames = [], []
    fine = True
    for size in GROWTH:
        if share < 1 and size > 100:
            break
        # A short lead: what is looked at ends with the last conclusion, and simulating on costs most of the time.
        options = Options(nodes=(size, size), loss=0.1, topology="random", lead_ms=500)
        runs = max(1, round(min(20, 600 / size) * share))
        found = campaign.run(options, range(1, runs + 1), jobs)
        summary = campaign.summary(options, found)
        wait, sent = summary["converge_ms"], summary["frames_per_node"]
        fine = fine and not sum(summary["violations"].values())
        print(
            f"| {size} | {runs} | {summary['stranded']} | {wait['p50']} / {wait['max']} "
            f"| {sent['mean']} / {sent['max']} |",
            *campaign.failures(found)[:3],
            sep="\n",
            flush=True,
        )
        if wait["p50"] is not None:
            waits.append((float(size), wait["p50"]))
            frames.append((float(size), sent["mean"]))
    plot.save(
        str(folder / "growth-time.svg"),
        plot.curves("Random multi-hop swarms, 10 % loss", "nodes", "ms to the last conclusion", {"median wait": waits}),
    )
    plot.save(
        str(folder / "growth-frames.svg"),
        plot.curves("Random multi-hop swarms, 10 % loss", "nodes", "frames a node", {"mean": frames}),
    )
    return fine


def _tuning(share: float, jobs: int) -> None:
    """What Trickle's intervals and redundancy and the number of echoes do to time and frames."""
    for base, seeds in TUNED:
        seeds = max(1, round(seeds * share))
        print(f"\nTuning: `{command(base, seeds)}` with\n", flush=True)
        print("| option | wait p50 / p99 / max, ms | frames a node | bytes a node |\n|---|---|---|---|", flush=True)
        for words, changes in TUNING:
            options = replace(base, **changes)
            summary = campaign.summary(options, campaign.run(options, range(1, seeds + 1), jobs))
            print(
                f"| {words or '(as it is)'} | {_three(summary['converge_ms'])} | {summary['frames_per_node']['mean']} "
                f"| {summary['bytes_per_node']['mean']} |",
                flush=True,
            )


def _one_run(folder: Path) -> None:
    """A run to look at: five nodes, one of which loses power."""
    from swarm.sim import report
    from swarm.sim.run import Run

    events = report.Timeline()
    run = Run(replace(Options(), nodes=(5, 5), loss=0.1, faults=("reboot",)), 7, trace=events)
    run.run()
    plot.save(str(folder / "run.svg"), plot.lanes(run, events.events))
    print(f"\n{folder / 'run.svg'}: swarm sim --nodes 5 --loss 0.1 --faults reboot --seed 7 --plot run.svg")


def main(argv: list[str] | None = None) -> int:
    """Print every figure and draw every plot; 1 when something stranded, broke or missed its bar."""
    parser = argparse.ArgumentParser(prog="python -m swarm.sim.figures", description=__doc__)
    parser.add_argument("--folder", default="build/figures", help="where plots and JSON go (default build/figures)")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the runs, to look at the form")
    parser.add_argument("--jobs", type=int, help="processes (default: one a core)")
    arguments = parser.parse_args(argv)
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    share = 0.05 if arguments.quick else 1.0
    jobs = arguments.jobs or campaign.cores()
    kept = _campaigns(folder, share, jobs)
    kept = _growth(folder, share, jobs) and kept
    _tuning(share, jobs)
    _one_run(folder)
    sizes = benchmark.SIZES[:2] if arguments.quick else benchmark.SIZES
    found = benchmark.compare(sizes, benchmark.LOSSES, 2 if arguments.quick else None, 1, jobs)
    (folder / "bench.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"\nswarm bench\n\n{benchmark.table(found)}")
    print(f"\nPlots and numbers: {folder}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

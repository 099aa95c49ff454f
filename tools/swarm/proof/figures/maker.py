"""Makes the figures: runs their campaigns, prints each beside its bar, and draws the plots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm.output import svg
from swarm.output.progress import progress
from swarm.proof.figures import campaigns
from swarm.proof.figures.campaigns import Figure, command, row, three
from swarm.proof.figures.words import HEAD, REMOTE_HEAD, SERIES_HEAD
from swarm.runtimes.measure import size
from swarm.sim import benchmark, campaign, plot, report
from swarm.sim.boards.profiles import IDEAL
from swarm.sim.plan import Options
from swarm.sim.run import Run


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
        """The rows of those figures below their head, and their summaries; the first failures are printed as well."""
        options = figures[0].options
        head = REMOTE_HEAD if options.round_ms else SERIES_HEAD if options.period_ms else HEAD
        print(head, flush=True)
        lines, summaries = [head], []
        for figure in figures:
            seeds = self._seeds(figure)
            found, summary = self._campaign(figure.name, figure.options, seeds)
            line, met = row(figure, seeds, summary)
            self.met = self.met and met
            print(line, *campaign.failures(found)[:3], sep="\n", flush=True)
            lines.append(line)
            summaries.append(summary)
            self._numbers[command(figure.options, seeds)] = summary
            if figure is campaigns.FIGURES[0]:
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

    def tuning(self) -> str:
        """A table of what Trickle's intervals, redundancy and the number of echoes do: printed, and drawn for Imin."""
        waits: dict[str, list] = {}
        frames: dict[str, list] = {}
        lines = [
            "| option | " + " | ".join(f"{figure.name}: wait, frames" for figure in campaigns.TUNED) + " |",
            "|---|" + "---|" * len(campaigns.TUNED),
        ]
        print("", *lines, sep="\n", flush=True)
        for changes in campaigns.TUNING:
            words = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in changes.items())
            cells = [f"`{words}`" if words else "as it is"]
            for figure in campaigns.TUNED:
                options = replace(figure.options, **changes)
                _, summary = self._campaign(f"{figure.name} {words}", options, self._seeds(figure))
                sent = summary["frames_per_node"]["mean"]
                cells.append(f"{three(summary['converge_ms'])}, {sent}")
                imin_ms = float(changes.get("imin_ms", 0 if changes else _imin_ms()))
                if imin_ms and summary["converge_ms"]["p99"] is not None:
                    waits.setdefault(figure.name, []).append((imin_ms, summary["converge_ms"]["p99"]))
                    frames.setdefault(figure.name, []).append((imin_ms, sent))
            lines.append("| " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
        panels = [
            ("shortest interval, ms", "ms to the last conclusion, p99", waits),
            ("shortest interval, ms", "frames a node until then, mean", frames),
        ]
        self.draw("tuning", plot.curves("Trickle's shortest interval", panels))
        commands = [f"`{command(figure.options, self._seeds(figure))}`" for figure in campaigns.TUNED]
        lines += ["", f"Each option with {', '.join(commands)}."]
        print(*lines[-2:], sep="\n", flush=True)
        return "\n".join(lines)

    def lanes(self) -> None:
        """Draw one run."""
        events = report.Timeline()
        run = Run(*campaigns.LANES, trace=events)
        run.run()
        self.draw("run", plot.lanes(run, events.events))

    def bench(self, quick: bool) -> str:
        """The comparison with other protocols: printed whole; returns the page's table of it."""
        sizes = benchmark.SIZES[:2] if quick else benchmark.SIZES
        found = benchmark.compare(sizes, benchmark.LOSSES, 2 if quick else None, 1, self._jobs, IDEAL)
        print(f"\n`swarm bench --board {IDEAL}`\n\n{benchmark.table(found)}", flush=True)
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
    return Run(campaigns.TUNED[0].options, 1).imin_ms

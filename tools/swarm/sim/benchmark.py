"""Our protocol beside others in the same simulator."""

from __future__ import annotations

from typing import Any

from swarm.output.progress import progress
from swarm.sim import campaign
from swarm.sim.baselines import CLASSES
from swarm.sim.boards.profiles import IDEAL
from swarm.sim.plan import Options

PROTOCOLS = ("faction", *CLASSES)
SIZES = (5, 20, 50, 200)
LOSSES = (0.0, 0.1, 0.3)
SEEDS = {5: 40, 20: 20, 50: 8, 200: 2}  # of each case, by size
AFTER_MS = 10_000  # how long the settled swarm is listened to


def protocols(board: str) -> tuple[str, ...]:
    """Which are compared on those boards: a tag takes ideal ones no time."""
    return tuple(name for name in PROTOCOLS if board != IDEAL or name != "tagged")


def compare(
    sizes: tuple[int, ...], losses: tuple[float, ...], seeds: int | None, first: int, jobs: int | None, board: str
) -> list[dict[str, Any]]:
    """Every protocol on every size and loss with the same seeds and boards; one object a case and protocol."""
    cases = []
    work = []
    for size in sizes:
        for loss in losses:
            for protocol in protocols(board):
                options = Options(nodes=(size, size), loss=loss, board=board, protocol=protocol, after_ms=AFTER_MS)
                runs = seeds or SEEDS.get(size, max(2, 400 // size))
                cases.append((size, loss, protocol, runs, options))
                work += [(options, seed) for seed in range(first, first + runs)]
    results = []
    with progress(len(work), "comparing") as done:
        for result in campaign.results(work, jobs or campaign.cores()):
            results.append(result)
            done()
    found = []
    for size, loss, protocol, runs, options in cases:
        mine, results = results[:runs], results[runs:]
        summary = campaign.summary(options, mine)
        after = [frames for result in mine for frames in result.frames_after]
        found.append(
            {
                "nodes": size,
                "loss": loss,
                "board": board,
                "protocol": protocol,
                "runs": runs,
                "stranded": summary["stranded"],
                "converge_ms": summary["converge_ms"],
                "frames_per_node": summary["frames_per_node"]["mean"],
                "bytes_per_node": summary["bytes_per_node"]["mean"],
                "frames_per_node_settled_minute": round(sum(after) / len(after) * 60_000 / AFTER_MS, 1),
                "skew_us": campaign.spread(
                    result.skew_us for result in mine if result.skew_us is not None and not result.stranded
                ),
            }
        )
    return found


def table(found: list[dict[str, Any]]) -> str:
    """The comparison for reading; ratios are the other protocol's number over ours."""
    lines = [
        "Last readiness to last conclusion (median and worst of the runs that concluded), frames and bytes a node up",
        "to then, frames a node in a minute after all is settled, and spread of the first samples (median).",
        f"x: times ours. Boards: {found[0]['board']}.",
        "",
        f"{'nodes':>5} {'loss':>5}  {'protocol':10} {'stranded':>9} {'wait ms':>15} {'x':>5} {'frames':>7} {'x':>5} "
        f"{'bytes':>6} {'x':>5} {'a minute':>9} {'skew ms':>9} {'x':>6}",
    ]
    ours: dict[str, Any] = {}
    for case in found:
        if case["protocol"] == "faction":
            ours = case
            lines.append("")
        wait, mine = case["converge_ms"], ours["converge_ms"]
        lines.append(
            f"{case['nodes']:5} {case['loss']:5.0%}  {case['protocol']:10} {case['stranded']:4} of {case['runs']:<2} "
            f"{_pair(wait):>15} {_ratio(wait['p50'], mine['p50'])} {case['frames_per_node']:7.1f} "
            f"{_ratio(case['frames_per_node'], ours['frames_per_node'])} {case['bytes_per_node']:6.0f} "
            f"{_ratio(case['bytes_per_node'], ours['bytes_per_node'])} {case['frames_per_node_settled_minute']:9.1f} "
            f"{_skew(case['skew_us']['p50'])} {_ratio(case['skew_us']['p50'], ours['skew_us']['p50'], 6)}"
        )
    return "\n".join(lines)


def markdown(found: list[dict[str, Any]]) -> str:
    """The comparison in short, as a Markdown table with a row for each size and loss."""
    names = protocols(found[0]["board"])
    lines = [
        "| nodes | loss | ours: stranded, wait ms, frames | " + " | ".join(f"{name}: x" for name in names[1:]) + " |",
        "|---|---|---|" + "---|" * (len(names) - 1),
    ]
    for at in range(0, len(found), len(names)):
        ours, *others = found[at : at + len(names)]
        wait = ours["converge_ms"]["p50"]
        shown = "-" if wait is None else f"{wait:.0f}"
        cells = [
            str(ours["nodes"]),
            f"{ours['loss']:.0%}",
            f"{ours['stranded']} of {ours['runs']}, {shown}, {ours['frames_per_node']:.1f}",
        ]
        cells += [_beside(case, ours) for case in others]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _beside(case: dict[str, Any], ours: dict[str, Any]) -> str:
    stranded = f"**{case['stranded']} of {case['runs']} stranded**, " if case["stranded"] else ""
    wait = _ratio(case["converge_ms"]["p50"], ours["converge_ms"]["p50"]).strip()
    frames = _ratio(case["frames_per_node"], ours["frames_per_node"]).strip()
    return f"{stranded}wait {wait}, frames {frames}"


def _pair(wait: dict[str, Any]) -> str:
    return "-" if wait["p50"] is None else f"{wait['p50']:.0f} / {wait['max']:.0f}"


def _skew(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value / 1000:9.2f}"


def _ratio(value: float | None, ours: float | None, width: int = 5) -> str:
    if value is None or not ours:
        return f"{'-':>{width}}"
    return f"{value / ours:{width}.{1 if value < 100 * ours else 0}f}"

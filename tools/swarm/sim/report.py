"""What a person sees of runs: a timeline of one, a page of numbers of many."""

from __future__ import annotations

from typing import Any

from swarm.sim.result import Result
from swarm.sim.run import Run

_QUIET = ("sends", "knows")


class Timeline:
    """Collects a run's events: a list of (microseconds, node, what, detail)."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, str, str]] = []

    def __call__(self, time_us: int, node: int, what: str, detail: str) -> None:
        """Add one."""
        self.events.append((time_us, node, what, detail))


def timeline(run: Run, events: list[tuple[int, int, str, str]]) -> str:
    """The run in lines; what a node comes to know is shown with its next event, frames are counted."""
    plan = run.plan
    lines = [
        f"seed {plan.seed}: {len(plan.ids)} nodes, {plan.required} required, {plan.topology}, "
        f"boards {plan.options.board}" + (f", {', '.join(plan.faults)}" if plan.faults else ""),
        f"{'ms':>10}  node   what",
    ]
    knows: dict[int, str] = {}
    frames: dict[int, int] = {}
    for time_us, node, what, detail in events:
        if what == "sends":
            frames[node] = frames.get(node, 0) + 1
        elif what == "knows":
            knows[node] = detail
        else:
            said = [part for part in (detail, knows.pop(node, "")) if part]
            if frames.get(node):
                said.append(f"{frames.pop(node)} frames sent")
            lines.append(f"{time_us / 1000:10.3f}  {node:5}  {what}" + (": " + "; ".join(said) if said else ""))
    return "\n".join(lines)


def outcome(result: Result) -> str:
    """A run's result in a few lines."""
    wait = "nobody could conclude" if result.converge_us is None else f"{result.converge_us / 1000:.1f} ms"
    skew = "none" if result.skew_us is None else f"{result.skew_us / 1000:.3f} ms"
    count = max(1, len(result.frames))
    lines = [
        f"last conclusion after the last readiness: {wait}",
        f"frames a node: {sum(result.frames) / count:.1f}, until the first sample "
        f"{sum(result.frames_sampled) / count:.1f}",
        f"spread of first samples: {skew}, {result.late} late",
        f"events: {result.events}, hash {result.event_hash}",
    ]
    if result.series:
        apart = max(result.series.spread_us, default=0)
        counts = f"{result.series.sampled} samples, {result.series.missed} missed"
        lines.insert(3, f"series: {counts}, at most {apart / 1000:.3f} ms apart within a beat")
    if result.presence:
        named = max(result.presence.detected_us, default=0)
        lines.insert(
            4, f"rounds: deaths named within {named / 1000:.0f} ms, {result.presence.false_alarms} false alarms"
        )
    if result.records:
        records = result.records
        delay = max(records.delay_us, default=0)
        lines.insert(
            5 if result.presence else 4,
            f"records: {records.gathered} of {records.sent} gathered within {delay / 1000:.0f} ms, "
            f"{records.twice} twice, {records.lost} lost",
        )
    lines += result.words
    return "\n".join(lines)


def _ms(values: dict[str, Any], scale: float = 1.0) -> str:
    return " / ".join("-" if values[key] is None else f"{values[key] / scale:.4g}" for key in ("p50", "p99", "max"))


def page(summary: dict[str, Any], failures: list[str], shown: int = 10) -> str:
    """A campaign's summary for reading."""
    frames, sent, all_frames = (
        summary[name] for name in ("frames_per_node", "bytes_per_node", "frames_per_node_until_sampled")
    )
    broken = {name: count for name, count in summary["violations"].items() if count}
    lines = [
        f"boards             {summary['options']['board']}",
        f"runs               {summary['runs']}, {summary['concluded']} concluded, {summary['stranded']} stranded, "
        f"{summary['false_conclusions']} false conclusions",
        f"violations         {broken or 'none'}",
        f"wait, ms           {_ms(summary['converge_ms'])}   (p50 / p99 / max, last readiness to last conclusion)",
        f"frames a node      {frames['mean']} mean, {frames['max']} max; until the first sample {all_frames['mean']}",
        f"bytes a node       {sent['mean']} mean, {sent['max']} max",
        f"first samples, ms  {_ms(summary['skew_us'], 1000)} apart, {summary['late_samples']} late",
        f"event hash         {summary['event_hash']}",
    ]
    if "beats" in summary:
        beats = summary["beats"]
        lines += [
            f"beats              {beats['sampled']} samples, {beats['missed']} missed, {beats['late']} late",
            f"within a beat, ms  {_ms(beats['spread_us'], 1000)} apart",
            f"frames a minute    {summary['frames_per_node_minute']} a node; moved by more than 5 ms: "
            f"{summary['moves']} times; the clock's rate less that of the fastest member: "
            f"{summary['rate_above_fastest_ppm']} ppm",
        ]
    if "presence" in summary:
        presence = summary["presence"]
        lines.append(
            f"deaths named, ms   {_ms(presence['detected_ms'])} after it; {presence['false_alarms']} false alarms in "
            f"{presence['node_days']} node-days"
        )
    if "records" in summary:
        records = summary["records"]
        lines.append(
            f"records            {records['gathered']} of {records['sent']} gathered, {records['twice']} twice, "
            f"{records['lost']} lost; {records['frames_per_record']} frames a record"
        )
        lines.append(f"at the gateway, ms {_ms(records['delay_ms'])} after the sample")
        if records["backlog_ms"]["max"] is not None:
            lines.append(f"backlog, ms        {_ms(records['backlog_ms'])}   (what was sampled before it came)")
    lines += failures[:shown]
    if len(failures) > shown:
        lines.append(f"... and {len(failures) - shown} more")
    return "\n".join(lines)

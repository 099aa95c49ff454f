"""How a demo looks on a terminal: a live table while it runs, and plain lines at the end."""

from __future__ import annotations

from rich.table import Table

from swarm.rig.demo.run import BOOTSTRAPPED, TIMED_OUT, Node, Run
from swarm.rig.demo.sniffer import Sighting, sight

_STYLES = {BOOTSTRAPPED: "green", TIMED_OUT: "red", "Collecting": "yellow", "off": "dim"}


def state_of(node: Node, sighting: Sighting | None) -> str:
    """The node's state: from its serial lines where they tell, else from its latest frame in the air."""
    if not node.powered:
        return "off"
    if node.error is not None:
        return "error"
    if node.conclusion is not None:
        return node.conclusion
    if sighting is None or sighting.session != node.session:
        return "starting"
    return "Collecting" if node.ready_us is not None else "Pinging"


_COLUMNS = ("node", "state", "heard", "ready", "frames", "reboots", "sample")
_BOXED = 80  # columns of a terminal that has room for lines around them
_ROOM = {"frames": 70, "reboots": 61}  # columns of a terminal that has room for these


def table(run: Run, stats: dict, title: str, width: int = _BOXED) -> Table:
    """The live table: one line a node, from the medium's statistics and the serial lines. width: of the terminal."""
    out = Table(title=title, title_justify="left")
    if width < _BOXED:
        out = Table(title=title, title_justify="left", box=None, pad_edge=False)
    names = [name for name in _COLUMNS if width >= _ROOM.get(name, 0)]
    for name in names:
        out.add_column(name, justify="left" if name in ("state", "sample") else "right", no_wrap=True)
    total = len(run.nodes)
    for node in run.nodes.values():
        air = stats["boards"].get(str(node.node), {})
        sighting = sight(bytes.fromhex(air.get("last_frame", "")))
        current = sighting is not None and node.powered and sighting.session == node.session
        state = state_of(node, sighting)
        cells = (
            str(node.node),
            f"[{_STYLES.get(state, 'default')}]{state}[/]",
            f"{sighting.heard}/{total}" if current and sighting else "",
            f"{sighting.ready}/{total}" if current and sighting else "",
            str(air.get("frames", 0)),
            str(max(0, node.boots - 1)),
            sample_text(node.latest) if node.latest else "",
        )
        out.add_row(*(cell for name, cell in zip(_COLUMNS, cells, strict=True) if name in names))
    return out


def sample_text(sample: dict) -> str:
    """A sample in words."""
    beat = f"beat {sample['n']}, " if "n" in sample else ""
    timing = "late: " if sample["late"] else ""
    return f"{sample['value']} C, {beat}{timing}{sample['late_us']:+d} us"


def _missing(run: Run, node: int) -> str:
    return str(node) if run.nodes[node].powered else f"{node} (no power)"


def summary(run: Run, statuses: dict[int, dict]) -> list[str]:
    """One line a node: its conclusion and its first sample, or who is missing."""
    lines = []
    for node in run.nodes.values():
        status = statuses.get(node.node, {})
        if not node.powered:
            text = "off (power cut)" if node.boots else "off"
        elif node.error is not None:
            text = f"error: {node.error}"
        elif node.succeeded() and node.sample is not None:
            text = f"{BOOTSTRAPPED}  first sample {sample_text(node.sample)}"
        else:
            text = node.conclusion or "not concluded"
            if node.conclusion == BOOTSTRAPPED:
                text += "  no sample"
            elif status.get("missing"):
                missing = ", ".join(_missing(run, who) for who in status["missing"])
                text += f"  not ready: {missing}; {len(status['ready'])} of {status['required']} required are ready"
        lines.append(f"node {node.node:>3}  {text}")
    return lines


def closing(run: Run, statuses: dict[int, dict], result: dict) -> list[str]:
    """The lines at the end; result: of Demo.result()."""
    lines = ["", *summary(run, statuses)]
    if result["converged_ms"] is not None:
        lines.append(f"converged {result['converged_ms']} ms after the last node was ready")
    if result["skew_us"] is not None:
        lines.append(f"skew of the first samples {result['skew_us'] / 1000:.1f} ms in true time")
    for beat in result.get("beats", ()):
        spread = "" if beat["spread_us"] is None else f", spread {beat['spread_us'] / 1000:.1f} ms in true time"
        lines.append(f"beat {beat['n']:>3}  {beat['nodes']} nodes in time{spread}")
    if gathered := result.get("gathered"):
        lines.append(
            f"node {run.via} gathered {gathered['gathered']} of the {gathered['samples']} samples of the others"
        )
        if gathered["gathered"]:
            after_ms = gathered["after_ms"]
            lines[-1] += f", half of them within {after_ms['p50']:.0f} ms, all within {after_ms['max']:.0f} ms"
    lines.append(f"frames sent {result['frames_sent']}")
    runtimes = {
        f"{runtime['implementation']} {'.'.join(str(part) for part in runtime['version'][:3])}"
        for runtime in result["runtime"].values()
    }
    lines.append(f"nodes ran on {', '.join(sorted(runtimes)) or 'nothing that answers'}")
    return lines

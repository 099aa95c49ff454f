"""The campaigns whose figures are published, each with the command that makes it and its bars, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarm.sim.boards.profiles import IDEAL
from swarm.sim.plan import Options


def ideal(**wishes: Any) -> Options:
    """Boards that take no time, which every bar is of."""
    return Options(board=IDEAL, **wishes)


_FREE = {"hidden_wait_ms": 0.0, "stamp_us": 1}
_FIFTY = {"nodes": (50, 50), "boot_spread_ms": 5}
_ANYWHERE = {"loss": 0.1, "topology": "any", "faults": ("mixed",)}
_MIXED = {"nodes": (2, 12), "quorum": 0, **_ANYWHERE}


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
        ideal(loss=0.1),
        200,
        (("wait p50", 10), ("wait p99", 30), ("frames", 13), ("skew p99", 2.5)),
    ),
    Figure(
        "20 nodes, 10 % loss, link says when it is free",
        ideal(loss=0.1, **_FREE),
        200,
        (("wait p50", 10), ("wait p99", 30), ("frames", 13), ("skew p99", 0.15)),
    ),
    Figure("20 nodes, 30 % loss", ideal(loss=0.3), 100),
    Figure("50 nodes powered on within 5 ms", ideal(**_FIFTY), 100, (("wait max", 325), ("frames", 9))),
    Figure(
        "50 nodes powered on within 5 ms, link says when it is free",
        ideal(**_FIFTY, **_FREE),
        100,
        (("wait max", 250), ("frames", 9)),
    ),
    Figure("50 nodes, 10 % loss", ideal(nodes=(50, 50), loss=0.1), 40),
    Figure("100 nodes, 10 % loss", ideal(nodes=(100, 100), loss=0.1), 20, (("skew p99", 2.5),)),
    Figure("200 nodes, 10 % loss", ideal(nodes=(200, 200), loss=0.1), 5),
    Figure("6 x 6 grid, neighbours only, 10 % loss", ideal(nodes=(36, 36), loss=0.1, topology="grid"), 40),
    Figure("20 nodes on a bus, 10 % loss", ideal(loss=0.1, topology="bus"), 40),
    Figure("20 nodes, half radio, half bus, 10 % loss", ideal(loss=0.1, topology="mixed"), 40),
    Figure(
        "8 nodes, 20 s from conclusion to sample, clocks that do not drift",
        ideal(nodes=(8, 8), lead_ms=20_000, ppm=0),
        40,
        (("frames until sampled", 40), ("skew p99", 2.5), ("early max", 0.2)),
    ),
    Figure("2 to 12 nodes, random faults", ideal(**_MIXED), 10_000),
)
_BARS = {
    ("esp32", "single", 5): (("wait p50", 14), ("wait p99", 55), ("frames", 11), ("skew p99", 2.5)),
    ("esp32", "single", 20): (("wait p50", 20), ("wait p99", 55), ("frames", 12.5), ("skew p99", 3)),
    ("esp32", "single", 50): (("wait p50", 35), ("wait p99", 90), ("frames", 14), ("skew p99", 3)),
    ("esp32", "single", 100): (("wait p50", 80), ("frames", 15), ("skew p99", 3)),
    ("rp2040", "bus", 5): (("wait p50", 60),),
    ("rp2040", "bus", 20): (("wait p50", 90),),
}
_PLACES = {"bus": " on a bus", "wifi": " in a WiFi network"}
HONEST = tuple(
    Figure(
        f"{count} nodes{_PLACES.get(topology, '')}, 10 % loss: {what}, boards {board}",
        Options(nodes=(count, count), loss=0.1, board=board, topology=topology, protocol=protocol),
        seeds,
        _BARS.get((board, topology, count), ()) if protocol == "faction" else (),
    )
    for board, topology, sizes in (
        ("esp32", "single", ((5, 100), (20, 100), (50, 40), (100, 10))),
        ("rp2040", "bus", ((5, 100), (20, 40))),
        ("rp2040", "wifi", ((5, 100), (20, 40))),
    )
    for count, seeds in sizes
    for protocol, what in (
        ("faction", "ours"),
        ("heartbeat", "heartbeats each 100 ms"),
        ("tagged", "heartbeats each 100 ms with a tag"),
    )
) + (
    Figure("50 nodes powered on within 5 ms: ours, boards esp32", Options(**_FIFTY), 40, (("frames", 9),)),
    Figure("6 x 6 grid, 10 % loss: ours, boards esp32", Options(nodes=(36, 36), loss=0.1, topology="grid"), 40),
    Figure("20 nodes, 30 % loss, a lead of 250 ms: ours, boards esp32", Options(loss=0.3, lead_ms=250), 100),
    Figure(
        "8 nodes, 20 s from conclusion to sample, clocks that do not drift: ours, boards esp32",
        Options(nodes=(8, 8), ppm=0, lead_ms=20_000),
        40,
        (("skew p99", 2.5), ("early max", 50)),
    ),
    Figure("2 to 12 nodes, random faults, boards esp32", Options(**_MIXED), 10_000),
    Figure("2 to 12 nodes, random faults, boards rp2040", Options(board="rp2040", **_MIXED), 10_000),
)
GROWTH = tuple(  # a few runs suffice: within one, hundreds of nodes are counted
    Figure(
        f"{count} nodes, random multi-hop graph",
        ideal(nodes=(count, count), loss=0.1, topology="random"),
        max(3, min(40, 2000 // count)),
    )
    for count in (10, 20, 50, 100, 200, 400, 680)
)
_MINUTE = {"period_ms": 60_000, "loss": 0.1}
_GRID = {"nodes": (36, 36), "topology": "grid"}
_SPREAD = (("missed", 0), ("frames a minute", 30), ("rate above the fastest", 0.5))
SERIES = (
    Figure(
        "20 nodes, a day",
        Options(hours=24, **_MINUTE),
        1,
        (("spread p99", 1.5), ("spread max", 3), *_SPREAD),
    ),
    Figure("100 nodes, 1 hour", Options(nodes=(100, 100), hours=1, **_MINUTE), 2, (("spread p99", 2), *_SPREAD)),
    Figure("6 x 6 grid, 1 hour", Options(hours=1, **_GRID, **_MINUTE), 4, (("spread p99", 10), *_SPREAD)),
    Figure(
        "5 nodes on a bus, boards rp2040, a day",
        Options(nodes=(5, 5), topology="bus", board="rp2040", hours=24, **_MINUTE),
        2,
        (("spread p99", 1.5), *_SPREAD),
    ),
    Figure("20 nodes, a sample a second, 1 hour", Options(period_ms=1000, loss=0.1, hours=1), 2, (("missed", 0),)),
    Figure(
        "10 nodes of up to 100 ppm, cut in two for an hour, 3 hours",
        Options(nodes=(10, 10), ppm=100, faults=("cut",), hours=3, **_MINUTE),
        6,
    ),
    Figure(
        "10 nodes, one clock from 1000 to 10,000 ppm wrong, 1 hour",
        Options(nodes=(10, 10), faults=("wild",), hours=1, **_MINUTE),
        4,
    ),
    Figure("10 nodes, a clock that jumps, 1 hour", Options(nodes=(10, 10), faults=("jump",), hours=1, **_MINUTE), 10),
    Figure(
        "2 to 12 nodes, random faults, 1 hour",
        Options(nodes=(2, 12), quorum=0, topology="any", faults=("mixed",), hours=1, **_MINUTE),
        30,
    ),
)
_ROUND = {"period_ms": 30_000, "round_ms": 30_000, "hours": 0.25, "faults": ("death",)}
_GATEWAY = {"period_ms": 60_000, "round_ms": 30_000, "hours": 0.25, "gateway": True}
_WITHIN_5_S = ("delay p99", 5000), ("lost", 0)
REMOTE = (
    Figure("20 nodes, 30 % loss, deaths", Options(loss=0.3, **_ROUND), 4, (("named max", 65_000),)),
    Figure("6 x 6 grid, 10 % loss, deaths", Options(loss=0.1, **_GRID, **_ROUND), 2, (("named max", 65_000),)),
    Figure(
        "10 nodes on a bus, boards rp2040, 10 % loss, deaths",
        Options(nodes=(10, 10), loss=0.1, topology="bus", board="rp2040", **_ROUND),
        2,
        (("named max", 65_000),),
    ),
    Figure(
        "20 nodes, 10 % loss, a gateway",
        Options(loss=0.1, **_GATEWAY),
        2,
        (("frames a record", 3), ("delay p99", 1000), ("lost", 0)),
    ),
    Figure("20 nodes, 30 % loss, a gateway", Options(loss=0.3, **_GATEWAY), 2, (("frames a record", 3), *_WITHIN_5_S)),
    Figure("6 x 6 grid, 30 % loss, a gateway", Options(loss=0.3, **_GRID, **_GATEWAY), 1, _WITHIN_5_S),
    Figure(
        "20 nodes, 10 % loss, a gateway that comes an hour late",
        Options(loss=0.1, faults=("gateway",), **{**_GATEWAY, "hours": 2}),
        1,
        (("backlog max", 120_000), ("lost", 0)),
    ),
    Figure(
        "2 to 10 nodes anywhere, mixed faults, a gateway",
        Options(nodes=(2, 10), quorum=0, **_ANYWHERE, **{**_GATEWAY, "period_ms": 20_000}),
        50,
        (("lost", 0), ("twice", 0)),
    ),
)
# One rule's parameter after another away from what the nodes use.
TUNING: tuple[dict[str, int], ...] = (
    {},
    *({"imin_ms": ms} for ms in (10, 16, 32, 48)),
    *({"imax_ms": ms} for ms in (512, 8192)),
    *({"redundancy": k} for k in (2, 3)),
    *({"echoes": most} for most in (2, 8)),
)
TUNED = (
    Figure("20 nodes, 10 % loss", Options(loss=0.1), 60),
    Figure("50 within 5 ms", Options(**_FIFTY), 20),
    Figure("6 x 6 grid, 10 % loss", Options(loss=0.1, **_GRID), 20),
)
LANES = ideal(nodes=(5, 5), loss=0.1, faults=("reboot",)), 7  # a run to look at
LANES_COMMAND = f"swarm sim --nodes 5 --loss 0.1 --board {IDEAL} --faults reboot --seed 7 --plot run.svg"
_NAMES = (
    "loss", "topology", "boot_spread_ms", "warmup_ms", "hidden_wait_ms", "stamp_us", "ppm", "lead_ms",
    "period_ms", "round_ms", "hours", "board", "protocol",
)  # fmt: skip
_NOTHING = dict.fromkeys(("p50", "p99", "max"))


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
            words.append(f"--{name.replace('_', '-')} {value if isinstance(value, str) else format(value, 'g')}")
    if options.gateway:
        words.append("--gateway")
    if options.faults:
        words.append(f"--faults {','.join(options.faults)}")
    return " ".join([*words, f"--seeds {seeds}"])


def value(summary: dict[str, Any], what: str) -> float | None:
    """A campaign's figure by its name in a bar: frames, or wait, skew or early (milliseconds) with p50, p99 or max."""
    if what == "frames":
        return summary["frames_per_node"]["mean"]
    if what == "frames until sampled":
        return summary["frames_per_node_until_sampled"]["mean"]
    if what == "missed":
        return summary["beats"]["missed"]
    if what == "frames a minute":
        return summary["frames_per_node_minute"]
    if what == "rate above the fastest":
        return summary["rate_above_fastest_ppm"]
    if what == "frames a record":
        return summary["records"]["frames_per_record"]
    if what in ("lost", "twice"):
        return summary["records"][what]
    kind, share = what.split()
    if kind == "named":
        return summary["presence"]["detected_ms"][share]
    if kind in ("delay", "backlog"):
        return summary["records"][f"{kind}_ms"][share]
    if kind == "spread":
        found = summary["beats"]["spread_us"][share]
        return None if found is None else found / 1000
    if kind == "wait":
        return summary["converge_ms"][share]
    found = summary["skew_us" if kind == "skew" else "early_us"][share]
    return None if found is None else found / 1000


def row(figure: Figure, seeds: int, summary: dict[str, Any]) -> tuple[str, bool]:
    """A row of the table, and whether every bar was met."""
    broken = sum(summary["violations"].values())
    bars, met = [], not broken
    for what, limit in figure.bars:
        reached = value(summary, what)
        missed = reached is None or reached > limit
        met = met and not missed
        bars.append(f"**{what} {limit:g}: missed**" if missed else f"{what} {limit:g}: met")
    if figure.options.round_ms:
        presence = summary["presence"]
        records = summary.get("records", {"delay_ms": _NOTHING, "backlog_ms": _NOTHING})
        counts = " / ".join(str(records.get(name, "-")) for name in ("sent", "twice", "lost", "frames_per_record"))
        text = (
            f"| {figure.name} | {summary['stranded']} / {summary['false_conclusions']} / {broken} "
            f"| {three(presence['detected_ms'], 1000)} | {presence['false_alarms']} | {counts} "
            f"| {three(records['delay_ms'], 1000)} | {three(records['backlog_ms'], 1000)} "
            f"| {summary['frames_per_node_minute']} | {', '.join(bars)} | `{command(figure.options, seeds)}` |"
        )
        return text, met
    if figure.options.period_ms:
        beats = summary["beats"]
        text = (
            f"| {figure.name} | {summary['stranded']} / {summary['false_conclusions']} / {broken} "
            f"| {beats['sampled']} / {beats['late']} / {beats['missed']} | {three(beats['spread_us'], 1000)} "
            f"| {summary['frames_per_node_minute']} | {summary['rate_above_fastest_ppm']} | {summary['moves']} "
            f"| {', '.join(bars)} | `{command(figure.options, seeds)}` |"
        )
        return text, met
    frames = summary["frames_per_node"]
    text = (
        f"| {figure.name} | {summary['stranded']} / {summary['false_conclusions']} / {broken} "
        f"| {three(summary['converge_ms'])} | {frames['mean']} / {frames['max']} "
        f"| {summary['frames_per_node_until_sampled']['mean']} | {three(summary['skew_us'], 1000)} "
        f"| {', '.join(bars)} | `{command(figure.options, seeds)}` |"
    )
    return text, met


def three(values: dict[str, Any], scale: float = 1) -> str:
    """p50, p99 and max of a campaign as a cell of a table."""
    return " / ".join("-" if values[key] is None else f"{values[key] / scale:.3g}" for key in ("p50", "p99", "max"))

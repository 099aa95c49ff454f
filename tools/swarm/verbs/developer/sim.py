"""`swarm sim`: the simulator on the command line."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from swarm.device.config import GATEWAY_ROUND_MS
from swarm.output import svg
from swarm.output.arguments import count
from swarm.output.progress import progress
from swarm.output.streams import fail
from swarm.sim import campaign, plot, report
from swarm.sim.benchmark import PROTOCOLS
from swarm.sim.boards.profiles import BOARDS
from swarm.sim.plan import FAULTS, TOPOLOGIES, Options
from swarm.sim.run import Run
from swarm.sim.series.faults import FAULTS as SERIES_FAULTS

_EXAMPLES = """\
examples:
  swarm sim --nodes 20 --loss 0.1 --seeds 200 --json       two hundred runs, one object
  swarm sim --nodes 2-12 --quorum random --topology any --faults mixed --loss 0.1 --seeds 10000
  swarm sim --nodes 5 --faults reboot --seed 7             one run again, as a timeline
  swarm sim --nodes 5 --seed 7 --plot run.svg              the same as a picture
  swarm sim --nodes 20 --topology bus --board rp2040       Picos on a bus instead of ESP32s on the air
  swarm sim --nodes 20 --loss 0.1 --period-ms 60000 --hours 24 --seed 1 --json
                                                           a day of a sample a minute
  swarm sim --nodes 20 --loss 0.3 --period-ms 30000 --round-ms 30000 --hours 1 --faults death --seeds 4
                                                           how soon the others name who has died
  swarm sim --nodes 20 --loss 0.1 --period-ms 60000 --gateway --hours 0.25 --seeds 4
                                                           when a member that gathers has all samples, and at what cost
  swarm sim --nodes 20 --topology wifi --board rp2040      the same in a WiFi network, where phones save power

faults:
"""
_MIXED = "mixed       none to four of these, and none to two of a series', another few for each seed"
_STATUSES = "exit status: 0 all held that must hold, 1 something did not, 2 used wrongly"


def register(subparsers) -> None:
    """Add the command to the command line."""
    faults, series_faults = (
        "\n".join(f"  {name:12}{meaning}" for name, meaning in kind.items()) for kind in (FAULTS, SERIES_FAULTS)
    )
    parser = subparsers.add_parser(
        "sim",
        help="simulate whole swarms of the real nodes",
        description="Simulate swarms of the real device code, check what must hold at every event, and sum up.",
        epilog=f"{_EXAMPLES}{faults}\n  {_MIXED}\n\nfaults of a series:\n{series_faults}\n\n{_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.add_argument("--seeds", type=count, metavar="N", help="how many runs (default 100; 1 with --seed alone)")
    parser.add_argument("--seed", type=int, metavar="S", help="the first run's seed (default 1); alone: show that run")
    parser.add_argument("--jobs", type=count, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plot", metavar="FILE.svg", help="draw the run, or the campaign's distributions")
    parser.set_defaults(run=_main)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that make an Options."""
    default = Options()
    parser.add_argument("--nodes", type=_nodes, default=default.nodes, metavar="N|A-B", help="members (default 20)")
    parser.add_argument("--quorum", type=_quorum, metavar="N|all|random", help="how many must be ready (default all)")
    parser.add_argument(
        "--loss", type=float, default=0.0, metavar="P", help="share of frames lost at each hearer (default 0)"
    )
    parser.add_argument(
        "--topology",
        choices=(*TOPOLOGIES, "any"),
        default="single",
        help="who hears whom; wifi: all, over an access point",
    )
    parser.add_argument(
        "--boot-spread-ms",
        type=int,
        default=default.boot_spread_ms,
        metavar="MS",
        help="boots fall in this time (default %(default)s)",
    )
    parser.add_argument(
        "--warmup-ms",
        type=int,
        default=default.warmup_ms,
        metavar="MS",
        help="longest time from boot to readiness (default %(default)s)",
    )
    parser.add_argument("--faults", type=_faults, default=(), metavar="NAME,...", help="see below")
    parser.add_argument(
        "--hidden-wait-ms", type=float, metavar="MS", default=default.hidden_wait_ms,
        help="longest wait inside the radio; 0: the link says when it is free (default 4)",
    )  # fmt: skip
    parser.add_argument(
        "--stamp-us", type=int, default=default.stamp_us, metavar="US", help="grain of receive stamps (default 1000)"
    )
    parser.add_argument(
        "--ppm", type=int, default=default.ppm, metavar="N", help="clocks are up to this much off (default 50)"
    )
    add_board(parser)
    parser.add_argument(
        "--frame-us", type=int, default=0, metavar="US", help="time that boards take for a frame besides (default 0)"
    )
    parser.add_argument(
        "--lead-ms", type=int, metavar="MS", help="from the first conclusion to the first sample (default by size)"
    )
    parser.add_argument(
        "--period-ms", type=int, default=0, metavar="MS", help="go on in series, a sample each so often (default: one)"
    )
    parser.add_argument(
        "--hours", type=float, default=0.0, metavar="H", help="how long, from the first sample on (default 0)"
    )
    parser.add_argument(
        "--round-ms", type=int, default=0, metavar="MS",
        help="of a series: in each round as long as that everybody is heard, or missed (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--gateway", action="store_true",
        help=f"of a series: the first member gathers samples over the air (rounds: {GATEWAY_ROUND_MS} ms by default)",
    )  # fmt: skip
    parser.add_argument("--imin-ms", type=int, metavar="MS", help="Trickle's shortest interval")
    parser.add_argument("--imax-ms", type=int, metavar="MS", help="Trickle's longest interval")
    parser.add_argument("--redundancy", type=int, metavar="K", help="Trickle's k")
    parser.add_argument("--echoes", type=int, choices=range(1, 9), help="most echoes in a frame")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="faction",
        help="the others are told of in `swarm bench --help` (default faction)",
    )


def add_board(parser: argparse.ArgumentParser) -> None:
    """The option that says what boards are simulated."""
    parser.add_argument(
        "--board",
        choices=BOARDS,
        default=Options().board,
        help="whose time for hearing, working and speaking the boards take; ideal ones take none (default %(default)s)",
    )


def options_from(arguments: argparse.Namespace) -> Options:
    """The Options that the command line asks for. Raises ValueError, which names the value."""
    names = [name for name in Options.__dataclass_fields__ if hasattr(arguments, name)]
    asked = {name: getattr(arguments, name) for name in names}
    if asked["gateway"] and asked["period_ms"]:
        asked["round_ms"] = asked["round_ms"] or GATEWAY_ROUND_MS
    return replace(Options(), **asked)


def _nodes(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: a number, or the fewest and the most as in 2-12") from None


def _quorum(text: str) -> int | None:
    if text == "all":
        return None
    if text == "random":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a number, all or random")
    return int(text)


def _faults(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _main(arguments: argparse.Namespace) -> int:
    try:
        options = options_from(arguments)
        svg.check(arguments.plot)
    except ValueError as error:
        return fail("sim", error, 2)
    first = 1 if arguments.seed is None else arguments.seed
    if arguments.seed is not None and arguments.seeds is None:
        events = report.Timeline()
        run = Run(options, first, trace=events)
        found = [run.run()]
        if not arguments.json:
            print(report.timeline(run, events.events))
            print(report.outcome(found[0]))
        if arguments.plot:
            svg.save(arguments.plot, plot.lanes(run, events.events))
    else:
        seeds = range(first, first + (arguments.seeds or 100))
        with progress(len(seeds), "simulating") as done:
            found = campaign.run(options, seeds, arguments.jobs or campaign.cores(), done)
        if not arguments.json:
            print(report.page(campaign.summary(options, found), campaign.failures(found)))
        if arguments.plot:
            svg.save(arguments.plot, plot.distributions(options, found))
    if arguments.json:
        print(json.dumps(campaign.summary(options, found)))
    return 1 if any(sum(result.violations.values()) for result in found) else 0

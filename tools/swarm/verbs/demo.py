"""Start a swarm of virtual boards, real MicroPython nodes, and watch them agree and take their first sample together,
or a series of them.

The nodes get power at random times and warm up for random times, both from the seed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time

from rich.live import Live

from swarm.device.config import NUMBERS
from swarm.output.streams import fail
from swarm.rig.demo.demo import Demo
from swarm.rig.demo.plan import Settings
from swarm.rig.demo.view import closing, table
from swarm.rig.virtual_board import RUNTIMES, unix_port_missing
from swarm.serial import kept
from swarm.verbs.options import stop

NODES_MAX = 32  # what an ordinary computer can run in real time
LINKS = ("espnow", "uart", "udp", "mixed")
NODES = {"espnow": 5, "uart": 5, "udp": 5, "mixed": 8}
LOSS = 0.1
DEADLINE_MS = 10_000
BEATS = 10
DEADLINES_MS = (500, NUMBERS["deadline_ms"][1])  # from what a start takes to what a node can hold
PERIODS_MS = (100, NUMBERS["period_ms"][1])
_REFRESH_S = 0.1

_EXAMPLES = """examples:
  swarm demo                                 five nodes, a tenth of the messages lost
  swarm demo --nodes 8 --loss 0.3 --seed 7
  swarm demo --link uart                     five nodes on one serial bus of 115200 baud
  swarm demo --link udp                      five nodes in one network, over this computer's own sockets
  swarm demo --link mixed                    1 to 3 have a radio, 5 to 8 the bus, and 4 has both and joins them
  swarm demo --reboot 2@900                  node 2 loses power for a moment at 900 ms
  swarm demo --nodes 5 --kill 3@300          node 3 goes for good: the others time out and say who is missing
  swarm demo --period 1000 --beats 10        and then a sample a second, ten times; each beat's spread in true time
  swarm demo --via 1 --period 1000           what the others measure comes to node 1 over the air
  swarm demo --nodes 3 --keep                leave the boards running; then swarm status, and swarm demo --stop

exit status: 0 every node that has power at the end concluded Bootstrapped and sampled, and none has missed a beat in a
series without a fault to blame, 1 otherwise, 2 used wrongly
"""


class _WrongUse(Exception):
    """An option does not fit; the message names its value and the remedy."""


def _node_at(text: str) -> tuple[int, int]:
    node, at, ms = text.partition("@")
    if not at or not node.isdecimal() or not ms.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE@MS; for example 2@900")
    if int(ms) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a node has no power to lose before 1 ms")
    return int(node), int(ms)


def register(subparsers) -> None:
    """Add `demo` to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="start a swarm of virtual boards and watch it",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=int, metavar="N", help="how many nodes (default: 5, with --link mixed 8)")
    parser.add_argument(
        "--link",
        choices=LINKS,
        default="espnow",
        help="what joins the nodes: a radio (the default), one serial bus, a network, or a radio for the first half of "
        "them and the bus for the others, with both at the last node of the first half",
    )
    parser.add_argument("--quorum", type=int, metavar="N", help="how many must be ready (default: all)")
    parser.add_argument(
        "--loss",
        type=float,
        metavar="P",
        help=f"share of messages that a listener loses (default: {LOSS}; a network here loses none)",
    )
    parser.add_argument(
        "--deadline", type=int, default=DEADLINE_MS, metavar="MS", help="when nodes give up (default: %(default)s)"
    )
    parser.add_argument(
        "--period",
        type=int,
        default=0,
        metavar="MS",
        help="between two samples of a series (default: one alone)",
    )
    parser.add_argument("--beats", type=int, metavar="N", help=f"how many of a series (default: {BEATS})")
    parser.add_argument(
        "--via", type=int, metavar="NODE", help="of a series: have this node gather what the others measure (gateway)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="decides every random choice (default: a new one)")
    parser.add_argument(
        "--kill", type=_node_at, action="append", default=[], metavar="NODE@MS", help="cut a node's power for good"
    )
    parser.add_argument(
        "--reboot", type=_node_at, action="append", default=[], metavar="NODE@MS", help="cut it for a moment"
    )
    parser.add_argument(
        "--on-timeout",
        choices=("halt", "retry"),
        default="halt",
        help="what a node does at the deadline (default here: %(default)s, so that a demo ends)",
    )
    parser.add_argument("--runtime", choices=RUNTIMES, help="what nodes run on (default: unix where it exists)")
    parser.add_argument("--keep", action="store_true", help="leave the boards running and print their ports")
    parser.add_argument("--stop", action="store_true", help="stop the boards that --keep left running")
    parser.add_argument("--json", action="store_true", help="print one object and nothing else on standard output")
    parser.set_defaults(run=_run, parser=parser)


def _settings(options: argparse.Namespace) -> Settings:
    nodes = NODES[options.link] if options.nodes is None else options.nodes
    return Settings(
        nodes=nodes,
        link=options.link,
        required=nodes if options.quorum is None else options.quorum,
        loss=options.loss if options.loss is not None else 0 if options.link == "udp" else LOSS,
        deadline_ms=options.deadline,
        on_timeout=options.on_timeout,
        seed=random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed,
        kills=options.kill,
        reboots=options.reboot,
        period_ms=options.period,
        beats=(BEATS if options.beats is None else options.beats) if options.period else 0,
        via=options.via,
    )


def _check(options: argparse.Namespace, settings: Settings) -> None:
    """Raise _WrongUse for options that do not fit."""
    nodes = settings.nodes
    if options.link == "mixed" and nodes < 2:
        raise _WrongUse(f"--nodes {nodes}: --link mixed needs a node on either side: 2 or more")
    if not 1 <= nodes <= NODES_MAX:
        raise _WrongUse(
            f"--nodes {nodes} is outside 1 ... {NODES_MAX}, what a computer can run in real time; "
            "`swarm sim` simulates larger swarms"
        )
    if options.quorum is not None and not 1 <= options.quorum <= nodes:
        raise _WrongUse(
            f"--quorum {options.quorum} is outside 1 ... {nodes}: it counts nodes; raise --nodes or lower --quorum"
        )
    if not 0 <= settings.loss <= 1:
        raise _WrongUse(f"--loss {options.loss} is outside 0 ... 1: it is a share, 0.1 loses a tenth")
    if options.link == "udp" and settings.loss:
        raise _WrongUse(f"--loss {options.loss}: this computer's own sockets lose nothing: leave it out")
    low, high = DEADLINES_MS
    if not low <= options.deadline <= high:
        raise _WrongUse(f"--deadline {options.deadline} is outside {low} ... {high}: it is in milliseconds")
    if options.period and not PERIODS_MS[0] <= options.period <= PERIODS_MS[1]:
        raise _WrongUse(f"--period {options.period} is outside {PERIODS_MS[0]} ... {PERIODS_MS[1]}: in milliseconds")
    if options.beats is not None and (not options.period or options.beats < 1):
        raise _WrongUse(f"--beats {options.beats}: write 1 or more, beside the --period of a series")
    if options.via is not None:
        if not 1 <= options.via <= nodes:
            raise _WrongUse(f"--via {options.via}: there is no node {options.via}; the nodes are 1 ... {nodes}")
        if not options.period:
            raise _WrongUse(
                f"--via {options.via}: samples of a series go over the air: give it a --period, such as 1000"
            )
    end_ms = settings.patience_ms
    for name in ("kill", "reboot"):
        for node, ms in getattr(options, name):
            if not 1 <= node <= nodes:
                raise _WrongUse(f"--{name} {node}@{ms}: there is no node {node}; the nodes are 1 ... {nodes}")
            if ms > end_ms:
                raise _WrongUse(
                    f"--{name} {node}@{ms}: the demo is over at {end_ms} ms; name an earlier time, or raise "
                    f"--deadline {options.deadline}"
                )
    if both := {node for node, _ in options.kill} & {node for node, _ in options.reboot}:
        raise _WrongUse(f"--kill and --reboot both name node {min(both)}: leave one of them away")
    if options.keep and kept.load() is not None:
        raise _WrongUse("--keep: a demo is running already; stop it first with `swarm demo --stop`")


def _choose_runtime(options: argparse.Namespace) -> str:
    missing = unix_port_missing()
    if options.runtime == "unix" and missing:
        raise _WrongUse(f"--runtime unix: {missing}; leave --runtime away, or run `make setup`")
    if options.link == "udp" and sys.platform != "linux":
        raise _WrongUse("--link udp: only Linux hands a broadcast on loopback to several nodes: take another link")
    if options.link == "udp" and (options.runtime == "cpython" or missing):
        raise _WrongUse(f"--link udp needs MicroPython's own sockets: {missing or 'leave --runtime cpython away'}")
    if options.runtime is None and missing:
        print(f"swarm demo: {missing}: the nodes run on CPython", file=sys.stderr)
        return "cpython"
    return options.runtime or "unix"


def _run(options: argparse.Namespace) -> int:
    if options.stop:
        return stop(options, "no demo is running")
    settings = _settings(options)
    try:
        _check(options, settings)
        runtime = _choose_runtime(options)
    except _WrongUse as error:
        return fail("demo", error, 2)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return _demo(options, settings, runtime)
    except OSError as error:
        return fail("demo", error, 1)
    except KeyboardInterrupt:
        return fail("demo", "interrupted; every board is off", 130)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _demo(options: argparse.Namespace, settings: Settings, runtime: str) -> int:
    with Demo(settings, runtime, stays=options.keep) as demo:
        _follow(demo, silent=options.json)
        demo.ask()
        result = demo.result()
        problem = demo.problem()
        if options.keep:
            demo.keep()
        if options.json:
            print(json.dumps(result))
        else:
            print("\n".join(closing(demo.run, demo.statuses, result)))
            if options.keep:
                print("\n".join(_keep_lines(demo.rig.ports, settings.via)))
        if problem:
            return fail("demo", f"{problem} (seed {settings.seed})", 1)
        return 0


def _follow(demo: Demo, silent: bool) -> None:
    """Show what the nodes do until the demo is over: a live table on a terminal, else a line for each thing."""
    settings = demo.settings
    title = f"{settings.nodes} nodes, {settings.link}, {settings.loss:.0%} of messages lost, seed {settings.seed}"
    if silent:
        for _ in demo.follow():
            pass
    elif sys.stdout.isatty():
        with Live(refresh_per_second=1 / _REFRESH_S, transient=False) as live:
            shown_s = 0.0
            for _ in demo.follow():
                now_s = time.monotonic()
                if now_s - shown_s >= _REFRESH_S:
                    shown_s = now_s
                    live.update(table(demo.run, demo.air(), title, live.console.width))
            live.update(table(demo.run, demo.air(), title, live.console.width))
    else:
        print(title)
        story, told = demo.run.story, 0
        for _ in demo.follow():
            if told < len(story):
                print("\n".join(story[told:]), flush=True)
                told = len(story)


def _keep_lines(ports: dict[int, str], via: int | None) -> list[str]:
    lines = ["", "the boards are left running:"]
    lines += [f"  node {node}  {port}" for node, port in ports.items()]
    port = next(iter(ports.values()))
    all_via = [f"            swarm status --via {ports[via]}"] if via is not None else []
    return [
        *lines,
        "read them:  swarm status",
        *all_via,
        f'            mpremote connect {port} resume exec "import faction; faction.status()"',
        "stop them:  swarm demo --stop",
    ]

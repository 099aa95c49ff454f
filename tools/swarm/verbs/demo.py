"""Start a swarm of virtual boards, real MicroPython nodes, and watch them agree and take their first sample together.

The nodes get power at random times and warm up for random times, both from the seed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from swarm.device.config import NUMBERS
from swarm.output.streams import fail
from swarm.rig.demo_run import Run
from swarm.rig.demo_view import summary, table
from swarm.rig.rig import Rig
from swarm.rig.virtual_board import RUNTIMES, prepare, unix_port_missing
from swarm.serial import kept
from swarm.serial.repl import BoardError, raw_repl, read_runtime, read_status

NODES_MAX = 32  # what an ordinary computer can run in real time
LINKS = ("espnow", "uart", "mixed")
NODES = {"espnow": 5, "uart": 5, "mixed": 8}
BOOT_SPREAD_MS = 1500
REBOOT_OFF_MS = 50  # how long --reboot leaves a board without power
JITTER_MS = 1.0  # a message comes up to this much later than its air time
DEADLINE_MS = 10_000
DEADLINES_MS = (500, NUMBERS["deadline_ms"][1])  # from what a start takes to what a node can hold
RETRIES = 3  # deadlines that --on-timeout retry is followed for
GRACE_MS = 3_000  # from the deadline to the end of patience
_REFRESH_S = 0.1

_EXAMPLES = """examples:
  swarm demo                                 five nodes, a tenth of the messages lost
  swarm demo --nodes 8 --loss 0.3 --seed 7
  swarm demo --link uart                     five nodes on one serial bus of 115200 baud
  swarm demo --link mixed                    1 to 3 have a radio, 5 to 8 the bus, and 4 has both and joins them
  swarm demo --reboot 2@900                  node 2 loses power for a moment at 900 ms
  swarm demo --nodes 5 --kill 3@300          node 3 goes for good: the others time out and say who is missing
  swarm demo --nodes 3 --keep                leave the boards running; then swarm status, and swarm demo --stop

exit status: 0 every node that has power at the end concluded Bootstrapped and sampled, 1 one did not, 2 used wrongly
"""


class WrongUse(Exception):
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
        help="what joins the nodes: a radio (the default), one serial bus, or a radio for the first half of them and "
        "the bus for the others, with both at the last node of the first half",
    )
    parser.add_argument("--quorum", type=int, metavar="N", help="how many must be ready (default: all)")
    parser.add_argument(
        "--loss",
        type=float,
        default=0.1,
        metavar="P",
        help="share of messages that a listener loses (default: %(default)s)",
    )
    parser.add_argument(
        "--deadline", type=int, default=DEADLINE_MS, metavar="MS", help="when nodes give up (default: %(default)s)"
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


def _patience_ms(options: argparse.Namespace) -> int:
    """How long after their start the nodes are followed."""
    return options.deadline * (RETRIES if options.on_timeout == "retry" else 1)


def _check(options: argparse.Namespace) -> None:
    """Raise WrongUse for options that do not fit."""
    if options.link == "mixed" and options.nodes < 2:
        raise WrongUse(f"--nodes {options.nodes}: --link mixed needs a node on either side: 2 or more")
    if not 1 <= options.nodes <= NODES_MAX:
        raise WrongUse(
            f"--nodes {options.nodes} is outside 1 ... {NODES_MAX}, what a computer can run in real time; "
            "`swarm sim` simulates larger swarms"
        )
    if options.quorum is not None and not 1 <= options.quorum <= options.nodes:
        raise WrongUse(
            f"--quorum {options.quorum} is outside 1 ... {options.nodes}: it counts nodes; "
            "raise --nodes or lower --quorum"
        )
    if not 0 <= options.loss <= 1:
        raise WrongUse(f"--loss {options.loss} is outside 0 ... 1: it is a share, 0.1 loses a tenth")
    low, high = DEADLINES_MS
    if not low <= options.deadline <= high:
        raise WrongUse(f"--deadline {options.deadline} is outside {low} ... {high}: it is in milliseconds")
    end_ms = _patience_ms(options)
    for name in ("kill", "reboot"):
        for node, ms in getattr(options, name):
            if not 1 <= node <= options.nodes:
                raise WrongUse(f"--{name} {node}@{ms}: there is no node {node}; the nodes are 1 ... {options.nodes}")
            if ms > end_ms:
                raise WrongUse(
                    f"--{name} {node}@{ms}: the demo is over at {end_ms} ms; name an earlier time, or raise "
                    f"--deadline {options.deadline}"
                )
    if both := {node for node, _ in options.kill} & {node for node, _ in options.reboot}:
        raise WrongUse(f"--kill and --reboot both name node {min(both)}: leave one of them away")
    if options.keep and kept.load() is not None:
        raise WrongUse("--keep: a demo is running already; stop it first with `swarm demo --stop`")


def _choose_runtime(options: argparse.Namespace) -> str:
    missing = unix_port_missing()
    if options.runtime == "unix" and missing:
        raise WrongUse(f"--runtime unix: {missing}; leave --runtime away, or run `make setup`")
    if options.runtime is None and missing:
        print(f"swarm demo: {missing}: the nodes run on CPython", file=sys.stderr)
        return "cpython"
    return options.runtime or "unix"


def links_of(link: str, node: int, nodes: int) -> list[str]:
    """The links of one of so many nodes in a demo with that --link."""
    if link != "mixed":
        return [link]
    joint = nodes // 2
    return ["espnow"] * (node <= joint) + ["uart"] * (node >= joint)


def config_of(options: argparse.Namespace, node: int) -> dict:
    """What a node's faction.json says in a demo with these options; the node's own defaults hold for the rest."""
    return {
        "swarm": "demo",
        "members": list(range(1, options.nodes + 1)),
        "node": node,
        "required": options.quorum or options.nodes,
        "deadline_ms": options.deadline,
        "on_timeout": options.on_timeout,
        "links": links_of(options.link, node, options.nodes),
    }


def plan(
    seed: int, nodes: int, kills: list[tuple[int, int]], reboots: list[tuple[int, int]]
) -> list[tuple[float, int, bool]]:
    """When each node's power goes on and off: (ms after the first power-on, node, on), in order."""
    chance = random.Random(f"boots/{seed}")
    boots = {node: chance.uniform(0, BOOT_SPREAD_MS) for node in range(1, nodes + 1)}
    for node, ms in kills + reboots:
        boots[node] = min(boots[node], ms / 2)  # a board that is to lose its power at that time has it before
    first = min(boots.values())
    switches = [(ms - first, node, True) for node, ms in boots.items()]
    switches += [(float(ms), node, False) for node, ms in kills + reboots]
    switches += [(float(ms + REBOOT_OFF_MS), node, True) for node, ms in reboots]
    return sorted(switches)


def _run(options: argparse.Namespace) -> int:
    if options.stop:
        return kept.stop_as_asked(options, "no demo is running")
    if options.nodes is None:
        options.nodes = NODES[options.link]
    try:
        _check(options)
        runtime = _choose_runtime(options)
    except WrongUse as error:
        return fail("demo", error, 2)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return _demo(options, runtime)
    except OSError as error:
        return fail("demo", error, 1)
    except KeyboardInterrupt:
        return fail("demo", "interrupted; every board is off", 130)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _demo(options: argparse.Namespace, runtime: str) -> int:
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    nodes = list(range(1, options.nodes + 1))
    directory = Path(tempfile.mkdtemp(prefix="swarm-demo-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        boards = {node: directory / f"node-{node}" for node in nodes}
        for node, home in boards.items():
            prepare(home, config_of(options, node))
        weather = {"loss": options.loss, "delay_ms": JITTER_MS}
        rig = Rig(boards, seed, runtime, weather, remove=directory, silent=options.keep)
        cleanup.callback(rig.close)
        run = Run(nodes)
        ended = _follow(options, rig, run, seed)
        statuses, runtimes = _ask(rig, run)
        result = _result(options, seed, rig, run, runtimes)
        problem = _problem(run, ended, options.quorum or options.nodes)
        if options.keep:
            rig.keep()
            kept.save(rig.pid, rig.medium_port, rig.ports)
            cleanup.pop_all()
        if options.json:
            print(json.dumps(result))
        else:
            print("\n".join(_closing_lines(run, statuses, result)))
            if options.keep:
                print("\n".join(_keep_lines(rig)))
        if problem:
            return fail("demo", f"{problem} (seed {seed})", 1)
        return 0


def _follow(options: argparse.Namespace, rig: Rig, run: Run, seed: int) -> bool:
    """Switch the boards on and watch until all is done; False when patience ended first."""
    switches = plan(seed, options.nodes, options.kill, options.reboot)
    for after_ms, node, on in switches:
        rig.power(node, on, after_ms)
    patience_s = (switches[-1][0] + _patience_ms(options) + GRACE_MS) / 1000
    title = f"{options.nodes} nodes, {options.link}, {options.loss:.0%} of messages lost, seed {seed}"
    show_table = not options.json and sys.stdout.isatty()
    told = 0
    with ExitStack() as stack:
        if show_table:
            from rich.live import Live

            live = stack.enter_context(Live(refresh_per_second=1 / _REFRESH_S, transient=False))
        elif not options.json:
            print(title)
        start = time.monotonic()
        switched_s = switches[-1][0] / 1000 + 0.05
        shown = 0.0
        while True:
            for event in rig.events(_REFRESH_S / 2):
                run.take(event)
            while run.sampled:
                sampler = run.sampled.pop()
                sampler.sample_us = sample_instant(rig, sampler.node, sampler.sample_us)
            now = time.monotonic() - start
            if show_table and now - shown >= _REFRESH_S:
                shown = now
                live.update(table(run, rig.medium.do("stats"), title))
            elif not options.json and not show_table and told < len(run.story):
                print("\n".join(run.story[told:]), flush=True)
                told = len(run.story)
            done = now > switched_s and run.finished(options.on_timeout == "retry")
            if done or now > patience_s:
                if show_table:
                    live.update(table(run, rig.medium.do("stats"), title))
                return done


def sample_instant(rig: Rig, node: int, line_us: int | None) -> int | None:
    """True time of a first sample: of the last conversion of the node's ADC before its sample line came out."""
    readings = [when_us for when_us, _ in rig.medium.do("readings", node=node)["readings"]]
    before = [when_us for when_us in readings if line_us is not None and when_us <= line_us]
    return max(before) if before else None


def _ask(rig: Rig, run: Run) -> tuple[dict[int, dict], dict[int, dict]]:
    """Each live node's status and runtime, read over its prompt."""
    statuses, runtimes = {}, {}
    for node in run.live():
        port = rig.ports[node.node]
        try:
            with raw_repl(port) as transport:
                runtimes[node.node] = read_runtime(transport, port)
                statuses[node.node] = read_status(transport, port)
        except BoardError as error:
            node.error = node.error or str(error)
    return statuses, runtimes


def _result(options: argparse.Namespace, seed: int, rig: Rig, run: Run, runtimes: dict[int, dict]) -> dict:
    live = run.live()
    result = {
        "nodes": options.nodes,
        "bootstrapped": sum(node.conclusion == "Bootstrapped" for node in live),
        "timed_out": sum(node.conclusion == "TimedOut" for node in live),
        "converged_ms": run.converged_ms(),
        "skew_us": run.skew_us(),
        "samples": [node.sample for node in live if node.sample is not None],
        "frames_sent": rig.medium.do("stats")["frames"],
        "runtime": {str(node): runtime for node, runtime in runtimes.items()},
        "pids": [*run.pids, rig.medium_pid, rig.pid],
        "seed": seed,
    }
    if options.keep:
        result["ports"] = {str(node): port for node, port in rig.ports.items()}
    return result


def _problem(run: Run, ended: bool, required: int) -> str | None:
    """Why this was no success, or None."""
    live = run.live()
    bad = [node for node in live if not node.succeeded()]
    if not live:
        return "no node has power at the end"
    if not bad:
        return None
    names = ", ".join(str(node.node) for node in bad)
    if len(live) < required:
        return f"{len(live)} nodes have power and {required} are required: node {names} cannot bootstrap"
    if not ended:
        return f"node {names} did not bootstrap and sample in time; last words: {_last_words(bad[0].output)}"
    return f"node {names} did not bootstrap and sample"


def _last_words(output: list[str]) -> str:
    return " | ".join(output[-4:]) or "none"


def _closing_lines(run: Run, statuses: dict[int, dict], result: dict) -> list[str]:
    lines = ["", *summary(run, statuses)]
    runtimes = {
        f"{runtime['implementation']} {'.'.join(str(part) for part in runtime['version'][:3])}"
        for runtime in result["runtime"].values()
    }
    if result["converged_ms"] is not None:
        lines.append(f"converged {result['converged_ms']} ms after the last node was ready")
    if result["skew_us"] is not None:
        lines.append(f"skew of the first samples {result['skew_us'] / 1000:.1f} ms in true time")
    lines.append(f"frames sent {result['frames_sent']}")
    lines.append(f"nodes ran on {', '.join(sorted(runtimes)) or 'nothing that answers'}")
    return lines


def _keep_lines(rig: Rig) -> list[str]:
    lines = ["", "the boards are left running:"]
    lines += [f"  node {node}  {port}" for node, port in rig.ports.items()]
    port = next(iter(rig.ports.values()))
    return [
        *lines,
        "read them:  swarm status",
        f'            mpremote connect {port} resume exec "import faction; faction.status()"',
        "stop them:  swarm demo --stop",
    ]

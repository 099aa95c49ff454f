"""Watch a swarm live: a row a node, whom it waits for, what happens, samples and their skew, the beats of a series.

A sample's lateness is the time since the agreed instant as its node has that, and tells nothing of two nodes. The skew
is the time between the earliest and the latest sample in time, by this computer's clock: bounds, from when each board
says that it sampled, with what a question takes on the way; in a series from the beats as each board has them now.

Boards are asked over their serial prompts about once a second, and left in peace while a first sample is due; their
ports are free in between. Without NODE, --all and --port: the boards of `swarm demo --keep` or of `swarm board
--background`, or the members of swarm.toml when none runs.

With --via one board is asked, and through it the others, some at a time: each row tells how long ago that was. Who is
lost or back the asked board tells at each look. The skew cannot be told so.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Group

from swarm.description.project import ProjectError
from swarm.output.progress import waiting
from swarm.output.streams import fail, show
from swarm.serial import targets, via
from swarm.serial.targets import Target
from swarm.verbs.options import add_targets, add_via, check_via
from swarm.watch import instants, keys, node_table
from swarm.watch.changes import Watch
from swarm.watch.live import Monitor, summary, title
from swarm.watch.turns import Turns, TurnsVia

_EVERY_S = 1.0
_EVERY_MIN_S = 0.2
_EXAMPLES = """examples:
  swarm demo --keep                     leave a demo's boards running; then
  swarm monitor                         watch them
  swarm monitor --all                   every member of swarm.toml
  swarm monitor --port /dev/ttyUSB0 --port /dev/ttyUSB1
  swarm monitor --every 5               ask a board every five seconds
  swarm monitor --all --once            one look, for scripts
  swarm monitor --via /dev/ttyUSB0      every member, over the air, through one board (see `gateway`)

keys:
  q quit, p pause, l log, j k scroll, ? help

exit status: 0 the user has quit, or with --once every node answered, 1 one did not, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `monitor` to the command line."""
    parser = subparsers.add_parser(
        "monitor",
        help="watch nodes live in the terminal",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets(parser)
    add_via(parser)
    parser.add_argument("--once", action="store_true", help="print one look and end")
    parser.add_argument(
        "--every", type=float, default=_EVERY_S, metavar="S", help="ask each board so often (default: %(default)s s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        if not options.every >= _EVERY_MIN_S:
            raise targets.WrongUse(f"--every {options.every} is below {_EVERY_MIN_S} s: boards have their own work")
        if not options.once and (keys.termios is None or not (sys.stdin.isatty() and sys.stdout.isatty())):
            raise targets.WrongUse("the live view needs a terminal; --once prints one look")
        check_via(options)
        chosen = [] if options.via else targets.choose(options.node, options.all, options.port, options.swarm)
    except (targets.WrongUse, ProjectError) as error:
        return fail("monitor", error, 2)
    if options.once:
        return _look_once(options.via, chosen)
    if options.via:
        Monitor(Watch([Target(options.via, options.via)]), TurnsVia(options.via, options.every)).run()
    else:
        Monitor(Watch(chosen), Turns(chosen, options.every)).run()
    return 0


def _look_once(port: str | None, chosen: list[Target]) -> int:
    if port:
        with waiting("asking") as told:
            asked = via.ask_all(port, instants.read, told=told)
    else:
        asked = targets.ask_all(chosen, instants.read, instants.read_by_line)
    watch = Watch([target for target, _ in asked])
    for target, answer in asked:
        watch.take(target, answer, 0)
    show(Group(title(watch), node_table.Nodes(watch.rows, waiting=True), *summary(watch)))
    return 1 if any("error" in answer for _, answer in asked) else 0

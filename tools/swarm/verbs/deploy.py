"""Put a swarm's current version onto its boards: library, firmware, board data, sensor.py, faction.json and key.

Only what differs is sent, into a place of its own beside the version that runs; then the board is restarted and has to
say that its node runs. A transfer that is cut at any point leaves the old version or the new one. The key travels over
the serial port only.

Of your own, beside swarm.toml: sensor.py takes the place of the default sensor, application.py is an application on
asyncio that the node runs in, and lib/ holds the drivers they import (.py files, packages, .mpy files). A driver that
`mpremote mip install` has put on a board stays there.

Your code is checked before a board is touched: its syntax, that it has warm_up() and sample(), and that all it imports
is sent or on the board. Then one board alone tries the version: its node has to become ready, or to warm up for 5 s
(--trial-s) without an error, before the others follow. A board on which the version does not start, or whose sensor
raises an error, runs the version before again. Hardware that does not answer (OSError) may be got over in that time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from swarm.deploy import own_code, payload, several
from swarm.deploy.own_code import PayloadError
from swarm.deploy.remote import DeployError
from swarm.deploy.several import Display
from swarm.deploy.trial import TRIAL_S
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.output.arguments import number
from swarm.output.streams import fail
from swarm.verbs.options import add_swarm
from swarm.watch.node_table import ids

_TRIAL_MAX_S = 3600
_EXAMPLES = """examples:
  swarm deploy --all                       every board of swarm.toml at once, each at the port listed there
  swarm deploy 3 4                         two of them
  swarm deploy 3 --port /dev/ttyUSB0       its board at another port, while none answers at the listed one
  swarm deploy --all --swarm roof/swarm.toml
  swarm deploy --all --trial-s 60          for a sensor that takes a minute to warm up, and may fail at its end
  swarm deploy --all --trial-s 0           all boards at once; each is still asked whether its node runs
  swarm deploy 3 --source                  for a board whose MicroPython does not load compiled files

exit status: 0 every board runs the current version, 1 a board does not and the reason is told, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `deploy` to the command line."""
    parser = subparsers.add_parser(
        "deploy",
        help="put the current version onto boards, and restart them",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("node", type=int, nargs="*", metavar="NODE", help="id of a member")
    parser.add_argument("--all", action="store_true", help="every member")
    parser.add_argument("--port", metavar="P", help="serial port of the board, for one NODE (default: the listed one)")
    parser.add_argument("--source", action="store_true", help="send .py files instead of compiled ones")
    parser.add_argument(
        "--trial-s",
        type=_seconds,
        default=TRIAL_S,
        metavar="S",
        help="watch a node that is not ready yet for S seconds, on one board before the others follow; 0: all boards "
        "at once (default: %(default)g)",
    )
    add_swarm(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if bool(options.node) == options.all:
        why = "NODE or --all, not both" if options.all else "name one or more members, or give --all"
        return fail("deploy", why, 2)
    if options.port and len(options.node) != 1:
        return fail("deploy", f"--port {options.port}: it is for one board: name one NODE with it", 2)
    try:
        described = project.load(options.swarm)
        members = described.members if options.all else [described.member(node) for node in dict.fromkeys(options.node)]
    except ProjectError as error:
        return fail("deploy", error, 2)
    try:
        if options.port:
            several.refuse_second(described, members[0], options.port)
        else:
            several.refuse_shared(described)
    except DeployError as error:
        return fail("deploy", f"{error}; no board was touched", 1)
    return deploy(described, members, options.port, options.source, options.trial_s)


def _seconds(text: str) -> float:
    seconds = number(text)
    if not 0 <= seconds <= _TRIAL_MAX_S:
        raise argparse.ArgumentTypeError(f"{text}: give 0 to {_TRIAL_MAX_S} seconds")
    return seconds


def deploy(
    described: Project,
    members: list[Member],
    port: str | None = None,
    from_source: bool = False,
    trial_s: float = TRIAL_S,
) -> int:
    """Deploy members' boards, one first and then the others, showing how far each is; the exit status."""
    try:
        own = payload.check_own(described)
    except PayloadError as error:
        return fail("deploy", f"{error}; no board was touched", 1)
    if own:
        print(f"with {own_code.describe(own)}", flush=True)
    with _display(members) as display:
        outcome = several.deploy(described, members, own, display, port, from_source, trial_s)
    if outcome.interrupted:
        return fail("deploy", "interrupted; each board runs its old version or the new one", 130)
    count = len(members) - len(outcome.nodes_failed) - len(outcome.untouched)
    files = "1 file" if outcome.uploaded == 1 else f"{outcome.uploaded} files"
    print(f"{count} of {len(members)} boards run the current version, {files} uploaded", flush=True)
    for reason, nodes in outcome.failed.items():
        fail("deploy", f"node {ids(sorted(nodes))}: {reason}", 1)
    if outcome.untouched:
        fail("deploy", f"stopped there: node {ids(sorted(outcome.untouched))}: not touched, and running as before", 1)
    return 1 if outcome.failed else 0


class _Lines:
    """Shows a line for each board when it is done."""

    def tell(self, member: Member, text: str, share: float | None) -> None:
        pass

    def done(self, member: Member, text: str, good: bool) -> None:
        print(f"node {member.id}: {text}", flush=True)


class _Bars:
    """Shows a line for each board all the time, with a bar for its upload."""

    def __init__(self, progress: Progress, members: list[Member]) -> None:
        self._progress = progress
        self._tasks = {
            member.id: progress.add_task(f"node {member.id}", total=1.0, said="waiting") for member in members
        }

    def tell(self, member: Member, text: str, share: float | None) -> None:
        self._progress.update(self._tasks[member.id], said=text, completed=share)

    def done(self, member: Member, text: str, good: bool) -> None:
        colour = "green" if good else "red"
        self._progress.update(self._tasks[member.id], said=f"[{colour}]{escape(text)}", completed=1.0 if good else None)


@contextmanager
def _display(members: list[Member]) -> Iterator[Display]:
    console = Console()
    if not console.is_terminal:
        yield _Lines()
        return
    name, said = Column(no_wrap=True, min_width=8), Column(overflow="fold")
    columns = (
        TextColumn("{task.description}", table_column=name),
        BarColumn(10),
        TextColumn("{task.fields[said]}", table_column=said),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, members)

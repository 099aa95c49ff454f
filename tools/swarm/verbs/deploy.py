"""Put a swarm's current version onto its boards: library, firmware, board data, sensor.py, faction.json and key.

Only what differs is sent, into a place of its own beside the version that runs; then the board is restarted and has to
say that its node runs. A transfer that is cut at any point leaves the old version or the new one. A sensor.py beside
swarm.toml goes to every board in place of the default sensor; drivers it needs are installed on the board by
`mpremote mip install`. The key travels over the serial port only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from swarm.deploy import several
from swarm.deploy.several import Display
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.output.streams import fail
from swarm.verbs.options import add_swarm

_EXAMPLES = """examples:
  swarm deploy --all                       every board of swarm.toml at once, each at the port listed there
  swarm deploy 3 4                         two of them
  swarm deploy 3 --port /dev/ttyUSB0       a board at another port
  swarm deploy --all --swarm roof/swarm.toml
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
    return deploy(described, members, options.port, options.source)


def deploy(described: Project, members: list[Member], port: str | None, from_source: bool) -> int:
    """Deploy members' boards at the same time, showing how far each is; the exit status."""
    with _display(members) as display:
        outcome = several.deploy(described, members, display, port, from_source)
    if outcome.interrupted:
        return fail("deploy", "interrupted; each board runs its old version or the new one", 130)
    count = len(members) - sum(len(nodes) for nodes in outcome.failed.values())
    files = "1 file" if outcome.uploaded == 1 else f"{outcome.uploaded} files"
    print(f"{count} of {len(members)} boards run the current version, {files} uploaded")
    for reason, nodes in outcome.failed.items():
        fail("deploy", f"node {', '.join(map(str, sorted(nodes)))}: {reason}", 1)
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

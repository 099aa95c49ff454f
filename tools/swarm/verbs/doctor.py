"""Find what is wrong with the boards of a swarm, and say what to type.

Every board of swarm.toml is looked at over its serial port while its node goes on: port, firmware, files, key,
configuration, session number, what it has heard of the others, and of a series its clock, its beats, and who starts
again and again. Nothing is changed.

With --via one board is looked at so, and the others by what their nodes tell over the air, which needs a `gateway` in
swarm.toml: not their files, key and MicroPython, as the last line but one says.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from swarm.description import project
from swarm.description.project import Project, ProjectError
from swarm.doctor import places
from swarm.doctor.examination import Board
from swarm.doctor.finding import ids
from swarm.doctor.findings import Finding, find
from swarm.output.progress import waiting
from swarm.output.streams import fail
from swarm.serial.targets import WrongUse
from swarm.verbs.options import add_swarm, add_via, check_via

_EXAMPLES = """examples:
  swarm doctor                                 every board of swarm.toml, each at the port listed there
  swarm doctor 3 4                             two of them
  swarm doctor --port /dev/ttyUSB0             what is plugged in there
  swarm doctor --port /dev/ttyUSB0 /dev/ttyUSB1 --swarm roof/swarm.toml
  swarm doctor --json
  swarm doctor --via /dev/ttyUSB0              every member, over the air, through one board (see `gateway`)

exit status: 0 nothing is wrong, 1 something is, and is told, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `doctor` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="find what is wrong with a swarm's boards, and say what to type",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("node", type=int, nargs="*", metavar="NODE", help="look at these members' boards")
    parser.add_argument(
        "--port", nargs="+", action="extend", metavar="P", help="look at these ports (default: those of swarm.toml)"
    )
    add_via(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one object: {looked_at, findings}, with --via over_the_air too: who was looked at only so",
    )
    add_swarm(parser)
    parser.set_defaults(run=_run, all=False)


def _run(options: argparse.Namespace) -> int:
    try:
        check_via(options)
        if options.node and options.port:
            raise ProjectError("give NODE or --port, not both")
        described = project.load(options.swarm)
        members = [described.member(node) for node in dict.fromkeys(options.node)]
    except (ProjectError, WrongUse) as error:
        return fail("doctor", error, 2)
    if options.via:
        with waiting("asking") as told:
            looked, unread = places.look_through(described, options.via, told)
    else:
        ports, unread = places.ports_of(described, options.port, members or None)
        looked = places.look_at(described, ports)
    findings = find(described, looked, unread, lambda boards: _listen(described, boards, options.via))
    far = [board.status["node"] for board in looked if board.via and board.status]
    if options.json:
        answer: dict[str, Any] = {
            "looked_at": [board.port for board in looked],
            "findings": [asdict(one) for one in findings],
        }
        print(json.dumps({**answer, "over_the_air": far} if options.via else answer))
    else:
        lines = [line for one in findings for line in _lines(one)]
        if far:
            lines.append(f"not looked at over the air: files, own code, key and MicroPython of node {ids(far)}")
        print("\n".join([*lines, _summary(looked, findings)]))
    return 1 if findings else 0


def _listen(described: Project, boards: list[Board], via: str | None) -> dict[str, dict[str, Any]]:
    print(f"listening for {places.LISTEN_S:g} s to what {len(boards)} of them still hear", file=sys.stderr)
    return places.listen_through(via, boards) if via else places.listen(described, boards)


def _lines(finding: Finding) -> list[str]:
    return [f"{finding.where}: {finding.what}", f"    why:  {finding.why}", f"    do:   {finding.remedy}"]


def _summary(looked: list[Board], findings: list[Finding]) -> str:
    answered = sum(board.trouble is None for board in looked)
    boards = "1 board" if len(looked) == 1 else f"{len(looked)} boards"
    if answered == len(looked):
        boards += " was looked at" if answered == 1 else " were looked at"
    else:
        boards = f"{answered} of {boards} could be looked at"
    wrong = {0: "nothing is wrong", 1: "1 thing is wrong"}.get(len(findings), f"{len(findings)} things are wrong")
    return f"{boards}, {wrong}"

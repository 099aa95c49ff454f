"""Find what is wrong with the boards of a swarm, and say what to type.

Every board of swarm.toml is looked at over its serial port while its node goes on: port, firmware, files, key,
configuration, session number, and what it has heard of the others. Nothing is changed.
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
from swarm.doctor.findings import Finding, find
from swarm.output.streams import fail
from swarm.verbs.options import add_swarm

_EXAMPLES = """examples:
  swarm doctor                                 every board of swarm.toml, each at the port listed there
  swarm doctor 3 4                             two of them
  swarm doctor --port /dev/ttyUSB0             what is plugged in there
  swarm doctor --port /dev/ttyUSB0 /dev/ttyUSB1 --swarm roof/swarm.toml
  swarm doctor --json

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
    parser.add_argument("--json", action="store_true", help="print one object: {looked_at, findings}")
    add_swarm(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        if options.node and options.port:
            raise ProjectError("give NODE or --port, not both")
        described = project.load(options.swarm)
        members = [described.member(node) for node in dict.fromkeys(options.node)]
    except ProjectError as error:
        return fail("doctor", error, 2)
    ports, unread = places.ports_of(described, options.port, members or None)
    looked = places.look_at(described, ports)
    findings = find(described, looked, unread, lambda boards: _listen(described, boards))
    if options.json:
        print(
            json.dumps({"looked_at": [board.port for board in looked], "findings": [asdict(one) for one in findings]})
        )
    else:
        print("\n".join([*(line for one in findings for line in _lines(one)), _summary(looked, findings)]))
    return 1 if findings else 0


def _listen(described: Project, boards: list[Board]) -> dict[str, dict[str, Any]]:
    print(f"listening for {places.LISTEN_S:g} s to what {len(boards)} of them still hear", file=sys.stderr)
    return places.listen(described, boards)


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

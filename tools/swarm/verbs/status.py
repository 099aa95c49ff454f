"""Read nodes' status over their serial prompts, while they go on.

One node alone shows its whole status screen, several a row each. Without NODE, --all and --port the boards of a demo
that was left running (swarm demo --keep) are read, or the members of swarm.toml when none is.
"""

from __future__ import annotations

import argparse
import json

from mpremote.transport_serial import SerialTransport

from swarm.description.project import ProjectError
from swarm.output.progress import waiting
from swarm.output.streams import fail, show
from swarm.serial import targets, via
from swarm.serial.status import read_screen
from swarm.verbs.options import add_targets, add_via, check_via
from swarm.watch import node_table

_EXAMPLES = """examples:
  swarm status                          the boards of `swarm demo --keep`
  swarm status --all                    every member of swarm.toml
  swarm status 3 4                      two of them
  swarm status --port /dev/ttyUSB0      a board at a serial port
  swarm status --port /dev/pts/4 --json
  swarm status --via /dev/ttyUSB0       every member, over the air, through one board (see `gateway`)

exit status: 0 every node answered, 1 one did not and its row says why, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `status` to the command line."""
    parser = subparsers.add_parser(
        "status",
        help="read nodes' status over their serial prompts",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_targets(parser)
    add_via(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one object: port -> status, or port -> {error}; with --via a list with an object a member",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        check_via(options)
        if options.via:
            return _run_via(options)
        chosen = targets.choose(options.node, options.all, options.port, options.swarm)
    except (targets.WrongUse, ProjectError) as error:
        return fail("status", error, 2)
    alone = len(chosen) == 1 and not options.json
    asked = targets.ask_all(chosen, _screen if alone else None)
    failed = [status["error"] for _, status in asked if "error" in status]
    if options.json or alone:
        for reason in failed:
            fail("status", reason, 1)
    if options.json:
        print(json.dumps({target.key: status for target, status in asked}))
    elif alone and "screen" in asked[0][1]:
        print(f"{chosen[0].port}\n{asked[0][1]['screen']}")
    elif not (alone and failed):
        show(node_table.Nodes(asked))
    return 1 if failed else 0


def _run_via(options: argparse.Namespace) -> int:
    with waiting("asking") as told:
        asked = via.ask_all(options.via, told=told)
    failed = [status["error"] for _, status in asked if "error" in status]
    if options.json:
        print(json.dumps([{"node": target.node, "via": options.via, **status} for target, status in asked]))
    else:
        show(node_table.Nodes(asked))
    if options.json or len(asked) == 1:
        for reason in failed:
            fail("status", reason, 1)
    return 1 if failed else 0


def _screen(transport: SerialTransport, port: str, _status: dict) -> dict:
    return {"screen": read_screen(transport, port)}

"""Read nodes' status over their serial prompts, while they go on.

One node alone shows its whole status screen, several a row each. Without NODE, --all and --port the boards of a demo
that was left running (swarm demo --keep) are read, or the members of swarm.toml when none is.
"""

from __future__ import annotations

import argparse
import json

from mpremote.transport_serial import SerialTransport

from swarm.description.project import ProjectError
from swarm.output.streams import fail, show
from swarm.serial import targets
from swarm.serial.status import read_screen
from swarm.verbs.options import add_targets
from swarm.watch import node_table

_EXAMPLES = """examples:
  swarm status                          the boards of `swarm demo --keep`
  swarm status --all                    every member of swarm.toml
  swarm status 3 4                      two of them
  swarm status --port /dev/ttyUSB0      a board at a serial port
  swarm status --port /dev/pts/4 --json

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
    parser.add_argument("--json", action="store_true", help="print one object: port -> status, or port -> {error}")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
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


def _screen(transport: SerialTransport, port: str, _status: dict) -> dict:
    return {"screen": read_screen(transport, port)}

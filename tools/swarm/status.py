"""Read the status of nodes over their serial prompts, while they go on.

Without --port, the boards of a demo that was left running (swarm demo --keep) are read.
"""

from __future__ import annotations

import argparse
import json
import sys

from swarm import kept
from swarm.serial_repl import BoardError, raw_repl, read_screen, read_status

_EXAMPLES = """examples:
  swarm status                          the boards of `swarm demo --keep`
  swarm status --port /dev/ttyUSB0      a board at a serial port
  swarm status --port /dev/pts/4 --json
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
    parser.add_argument("--port", action="append", default=[], help="a board's serial port; may be given several times")
    parser.add_argument("--json", action="store_true", help="print one object: port -> status, or port -> {error}")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    ports = options.port
    if not ports:
        demo = kept.load()
        if demo is None:
            print(
                "swarm status: no --port, and no demo is running; give --port /dev/..., or start `swarm demo --keep`",
                file=sys.stderr,
            )
            return 2
        ports = list(demo["ports"].values())
    failed = False
    results: dict[str, dict] = {}
    for index, port in enumerate(ports):
        try:
            with raw_repl(port) as transport:
                if options.json:
                    results[port] = read_status(transport, port)
                else:
                    screen = read_screen(transport, port)
                    print(("\n" if index else "") + f"{port}\n{screen}")
        except BoardError as error:
            failed = True
            results[port] = {"error": str(error)}
            print(f"swarm status: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps(results))
    return 1 if failed else 0

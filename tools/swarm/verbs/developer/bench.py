"""`swarm bench`: our protocol beside others in the same simulator, and the device code on its runtimes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from swarm.output import writable
from swarm.output.arguments import count
from swarm.output.streams import fail
from swarm.runtimes.measure import bench as device_code
from swarm.sim import benchmark
from swarm.sim.boards.profiles import MEASURED
from swarm.verbs.developer.sim import add_board

_EXAMPLES = """\
examples:
  swarm bench                              the table: ours beside the published protocol, that never silent, heartbeats
  swarm bench --sizes 20 --seeds 100       more runs of one size
  swarm bench --output bench.json          and the numbers as JSON
  swarm bench --device-code                time and memory of the device code on the unix and 32-bit runtimes

Protocols: faction is ours; published repeats PING, then READY, every 100 ms and is silent once it has concluded;
repeating is the same but never silent; heartbeat sends its whole sets every 100 ms, heartbeat50 every 50 ms. The others
have no first-sample agreement and sample when they conclude; they neither authenticate a frame nor notice an old one,
and their boards are taken to work an eighth of the time on it that ours do. tagged, on boards that are not ideal, is a
heartbeat with a tag, made and checked in the time that ours takes. All run on the boards of --board.

exit status: 0 measured, 1 it did not come to an end, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "bench",
        help="compare the protocol with others, and time the device code",
        description="Compare the protocol with others in the simulator, or time the device code with --device-code.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sizes", type=_numbers(int), default=benchmark.SIZES, metavar="N,...", help="default 5,20,50,200"
    )
    parser.add_argument(
        "--loss", type=_numbers(float), default=benchmark.LOSSES, metavar="P,...", help="default 0,0.1,0.3"
    )
    parser.add_argument("--seeds", type=count, metavar="N", help="runs of each case (default 40 to 2, by size)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the first seed (default 1)")
    parser.add_argument("--jobs", type=count, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--output", metavar="FILE.json", help="write the numbers there")
    add_board(parser)
    parser.add_argument("--device-code", action="store_true", help="time the device code instead")
    parser.add_argument("--runtimes", default="unix,wasm", metavar="NAME,...", help="for --device-code (unix,wasm)")
    parser.set_defaults(run=_main)


def _numbers(kind):
    def parse(text: str) -> tuple:
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: numbers with commas between") from None

    return parse


def _main(arguments: argparse.Namespace) -> int:
    try:
        if arguments.output:
            writable.check(arguments.output)
        if arguments.device_code:
            found: Any = device_code.measure([name for name in arguments.runtimes.split(",") if name])
            print(device_code.table(found, MEASURED))
        else:
            found = benchmark.compare(
                arguments.sizes, arguments.loss, arguments.seeds, arguments.seed, arguments.jobs, arguments.board
            )
            print(benchmark.table(found))
    except ValueError as error:
        return fail("bench", error, 2)
    if arguments.output:
        writable.write_atomically(Path(arguments.output), json.dumps(found, indent=1) + "\n")
    return 0

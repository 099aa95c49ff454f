"""Run a board's trace again on this machine, and report the first outcome that differs.

A trace is what `faction.trace()` prints at a board's prompt. The file may be all that came from the serial line: other
lines, prompts before a line and carriage returns are passed over, and each trace in it is replayed.
"""

from __future__ import annotations

import argparse
import sys

from swarm.device import replay
from swarm.output import readable

_EXAMPLES = """examples:
  mpremote connect /dev/ttyUSB0 resume exec "import faction; faction.trace()" > node3.trace
  swarm replay node3.trace
  swarm replay serial.log other.log
  swarm replay - < serial.log
exit status: 0 all as traced, 1 something came out otherwise, 2 no trace, or one with lines missing
"""


def register(subparsers) -> None:
    """Add `replay` to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="run a board's trace again and compare every outcome",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="a capture of the serial line; - is standard input")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    status = 0
    for name in options.files:
        try:
            status = max(status, _replay_file(name))
        except (replay.TraceError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            print(f"swarm replay: {name}: {why}", file=sys.stderr)
            status = 2
    return status


def _replay_file(name: str) -> int:
    data = sys.stdin.buffer.read() if name == "-" else readable.read(name, plain=False)
    traces = list(replay.read(data.decode("utf-8", "replace").splitlines()))
    if not traces:
        raise replay.TraceError(
            "holds no trace: capture what `import faction; faction.trace()` prints at the board's prompt"
        )
    status = 0
    for trace in traces:
        difference = replay.replay(trace)
        status |= difference is not None
        what = difference or f"{len(trace.steps)} transitions, every outcome as traced"
        print(f"{name}:{trace.line}: node {trace.config['peer_id']}: {what}")
    return status

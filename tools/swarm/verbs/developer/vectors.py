"""Replay vector files on a runtime, and compare every step with what the file expects."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from swarm import runtimes
from swarm.output.streams import fail
from swarm.runtimes.vectors import plugged, qemu, replay

IN_PIECES = ("qemu", "board")  # runtimes too small to be given a whole file
_SHOWN = 5  # mismatches shown in full, and vectors named that were left out
_EXAMPLES = """\
examples:
  swarm vectors host_tests/vectors/*.jsonl --runtime unix
  swarm vectors recorded.jsonl.gz more.jsonl --runtime wasm
  swarm vectors host_tests/vectors/matrix.jsonl --runtime qemu
  swarm vectors host_tests/vectors/quorum.jsonl --runtime board --port /dev/ttyUSB0

A file holds one vector a line (JSON Lines), gzip-compressed when its name ends with .gz. Four kinds of vector:
  machine  {"name", "config": {"peer_id", "peers", "required_count"}, "steps": [{"command", "peer_id", "result",
           "outcomes", "view", "admissible"}, ...]}; peer_id with the two Observed commands, outcomes when Accepted
  frame    {"name", "swarm": {"name", "members", "required_count"}, "key", "frame", "verdict", "fields"};
           bytes in hex, fields null unless the verdict is Accepted
  CMAC     {"name", "key", "message", "tag"}, bytes in hex
  exchange {"name", "swarm", "key", "node": {"peer_id", "session", "gathers"}, "exchange": [step, ...]} of reports; a
           step, before which "after_ms" may pass, is one of {"hear": frame, "counted": [counter, ...], "text": what a
           report says, else null}, {"complete": true}, {"put": [beat, session, late_us, value], "refused"},
           {"says": report or null, "sequence", "within_ms"}, {"take": [member, series, beat, session, late_us, value]
           or null}, {"ask": [member, kind, place]}, {"answer": [number, number, value], "asked": [kind, place]}
The runtimes qemu (a Cortex-M0, emulated) and board replay vectors of the machine, and name those that they leave out.

exit status: 0 every step matched, 1 some did not, 2 a file is missing or malformed, or holds nothing to compare
"""


def register(subparsers) -> None:
    """Add `vectors` to the command line."""
    parser = subparsers.add_parser(
        "vectors",
        help="replay vector files on a runtime and compare every step",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .jsonl or .jsonl.gz file")
    choices = (*runtimes.NAMES, *IN_PIECES)
    parser.add_argument("--runtime", choices=choices, default="cpython", help="where (default: %(default)s)")
    parser.add_argument("--port", metavar="P", help="serial port of the board, for --runtime board")
    parser.set_defaults(run=_run)


def _run(options) -> int:
    if (options.port is None) == (options.runtime == "board"):
        return fail("vectors", "--runtime board and --port go together", 2)
    try:
        if options.runtime == "qemu":
            report = replay.replay_in_pieces(options.files, qemu.microbit())
        elif options.runtime == "board":
            report = replay.replay_in_pieces(options.files, plugged.board(options.port))
        else:
            report = replay.replay(options.files, options.runtime)
    except (replay.VectorError, runtimes.RuntimeMissing) as error:
        return fail("vectors", error, 2)
    except runtimes.ScriptFailed as error:
        return fail("vectors", error, 1)
    for where, got in report.shown[:_SHOWN]:
        print(where.place)
        for part, value in got.items():
            print(f"  {part}")
            if part in where.expected:
                print(f"    expected {json.dumps(where.expected[part])}")
            print(f"    got      {json.dumps(value)}")
    if report.mismatches > _SHOWN:
        print(f"... and {report.mismatches - _SHOWN} more mismatches")
    for reason, names in report.left_out.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        print(f"left out, {reason}: {len(names)} vectors, {', '.join(names[:_SHOWN])}{more}")
    print(report.summary())
    return 1 if report.mismatches else 0

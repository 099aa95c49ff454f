"""`swarm size`: what the device code takes, in bytes and time, beside the project's budgets."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from swarm import runtimes
from swarm.output.streams import fail
from swarm.runtimes.measure import size

_DESCRIPTION = """\
Measure the device code, and print each figure beside its limit.

Memory is that of the 32-bit MicroPython (webassembly port), where an object takes what it takes on a board. Files are
compiled as a deploy does it. A board in all is the whole firmware, started as at a boot and run to its first sample,
with library, sensor, the link's buffers and the trace: deployed as .mpy files, or frozen, where code stays in flash.
"""
_EPILOG = "exit status: 0 all within their limits, 1 something above, 2 a runtime or mpy-cross is missing"


def register(subparsers) -> None:
    """Add `size` to the command line."""
    parser = subparsers.add_parser(
        "size",
        help="measure the device code's size and memory against their limits",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print a list of {name, value, limit, unit, why}")
    parser.set_defaults(run=_run)


def _run(options) -> int:
    figures = []
    try:
        for figure in size.measure():
            figures.append(figure)
            if not options.json:  # each as it comes: all of them take half a minute
                mark = f"   {figure.value - figure.limit:g} above the limit" if figure.above else ""
                print(f"{figure.name:60} {figure.value:9g} of {figure.limit:7g} {figure.unit}{mark}", flush=True)
    except (runtimes.RuntimeMissing, runtimes.ScriptFailed) as error:
        return fail("size", error, 2 if isinstance(error, runtimes.RuntimeMissing) else 1)
    above = [figure for figure in figures if figure.above]
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    elif above:
        print(f"{len(above)} of {len(figures)} figures are above their limits:")
        print("\n".join(f"  {figure.name}: {figure.why}" for figure in above))
    return 1 if above else 0

"""`swarm diagram`: the readiness machine from the table that it executes, as Mermaid text for lib/README.md."""

from __future__ import annotations

import argparse

from swarm.documents import diagram


def register(subparsers) -> None:
    """Add `diagram` to the command line."""
    parser = subparsers.add_parser(
        "diagram",
        help="draw the readiness machine, from its table, as Mermaid",
        description="Draw the readiness machine, from the table that it executes, as Mermaid text.",
        epilog="example: swarm diagram > machine.mmd\n\nexit status: 0 drawn",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(options) -> int:
    print(diagram.draw(*diagram.machine()))
    return 0

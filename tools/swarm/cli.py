"""The `swarm` command: one subcommand a module."""

import argparse
import io
import sys

import swarm
from swarm import (
    benchmark,
    board_verb,
    check,
    collect,
    demo,
    deploy,
    diagram,
    doctor,
    flash,
    init,
    monitor,
    replace,
    replay,
    size,
    status,
    vectors,
    walkthrough,
)
from swarm.sim import cli as sim

_MODULES = (
    demo,
    board_verb,
    init,
    check,
    flash,
    deploy,
    status,
    doctor,
    monitor,
    collect,
    replace,
    replay,
    sim,
    benchmark,
    vectors,
    diagram,
    size,
    walkthrough,
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="swarm", description="Start-up coordination for swarms of MicroPython nodes: tools on the host."
    )
    parser.add_argument("--version", action="version", version=f"swarm {swarm.__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _MODULES:
        module.register(subparsers)
    options = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a board or a file says may hold characters that this terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    return options.run(options)

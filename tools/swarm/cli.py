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
    streams,
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
    """Run the command line and return the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted.

    argv: None for that of this process, whose output is then told to bear a reader that leaves early.
    """
    if argv is None:
        streams.outlive_readers()
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
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("swarm: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of a file or a program that the verb itself did not expect to fail
        print(f"swarm: {error}", file=sys.stderr)
        return 1

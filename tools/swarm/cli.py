"""The `swarm` command: one subcommand a module, which is imported when it is asked for."""

import argparse
import importlib
import io
import sys

import swarm
from swarm.output import streams

# Verbs in the order of the help, and the module that has each.
VERBS = {
    "demo": "swarm.verbs.demo",
    "board": "swarm.verbs.board",
    "init": "swarm.verbs.init",
    "check": "swarm.verbs.check",
    "flash": "swarm.verbs.flash",
    "deploy": "swarm.verbs.deploy",
    "status": "swarm.verbs.status",
    "doctor": "swarm.verbs.doctor",
    "monitor": "swarm.verbs.monitor",
    "collect": "swarm.verbs.collect",
    "replace": "swarm.verbs.replace",
    "replay": "swarm.device.replay",
    "sim": "swarm.verbs.developer.sim",
    "bench": "swarm.sim.benchmark",
    "vectors": "swarm.runtimes.vectors.replay",
    "diagram": "swarm.documents.diagram",
    "size": "swarm.runtimes.measure.size",
    "walkthrough": "swarm.documents.walkthrough",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted.

    argv: None for that of this process, whose output is then told to bear a reader that leaves early.
    """
    if argv is None:
        streams.outlive_readers()
        argv = sys.argv[1:]
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("swarm: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # of a file or a program that the verb itself did not expect to fail
        print(f"swarm: {error}", file=sys.stderr)
        return 1


def _run(argv: list[str]) -> int:
    options = parser(argv).parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a board or a file says may hold characters that this terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    return options.run(options)


def parser(argv: list[str]) -> argparse.ArgumentParser:
    """The parser for a command line: of the verb that it begins with, or else of all of them."""
    made = argparse.ArgumentParser(
        prog="swarm", description="Start-up coordination for swarms of MicroPython nodes: tools on the host."
    )
    made.add_argument("--version", action="version", version=f"swarm {swarm.__version__}")
    subparsers = made.add_subparsers(metavar="COMMAND", required=True)
    # All of them take half a second to import.
    for verb in argv[:1] if argv and argv[0] in VERBS else VERBS:
        importlib.import_module(VERBS[verb]).register(subparsers)
    return made

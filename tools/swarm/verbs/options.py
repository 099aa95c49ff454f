"""Options that several verbs have: of a described swarm, of nodes that run, and --stop."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from swarm.description import project
from swarm.serial import kept
from swarm.serial.targets import WrongUse


def add_swarm(parser: argparse.ArgumentParser) -> None:
    """Add --swarm FILE, which every verb about a described swarm has."""
    parser.add_argument("--swarm", type=Path, default=Path(project.FILE), metavar="FILE", help="default: %(default)s")


def add_targets(parser: argparse.ArgumentParser) -> None:
    """Add NODE, --all, --port and --swarm, by which targets.choose() finds the boards that are meant."""
    parser.add_argument("node", type=int, nargs="*", metavar="NODE", help="id of a member of swarm.toml")
    parser.add_argument("--all", action="store_true", help="every member of swarm.toml")
    parser.add_argument(
        "--port", action="append", default=[], metavar="P", help="a board's serial port; may be given several times"
    )
    add_swarm(parser)


def add_via(parser: argparse.ArgumentParser) -> None:
    """Add --via PORT, which reads all members of a swarm through one board, beside what add_targets() adds."""
    parser.add_argument(
        "--via",
        metavar="P",
        help="every member, over the air, through the board at this port; an application there goes on",
    )


def check_via(options: argparse.Namespace) -> None:
    """Raises WrongUse where --via stands beside another way to say which boards are meant."""
    if options.via and (options.node or options.all or options.port):
        raise WrongUse("give --via alone: it reads every member of the swarm")


def stop(options: argparse.Namespace, nothing: str) -> int:
    """Do what --stop asks for, and say it; the exit status. nothing: what to say when nothing runs.

    options.parser: the verb's parser, which ends the command as wrong use when other options stand beside --stop.
    """
    given = [name for name, value in vars(options).items() if value != options.parser.get_default(name)]
    given.remove("stop")
    if given:
        options.parser.error(f"--stop stops what runs and does nothing else: leave --{given[0].replace('_', '-')} away")
    stopped = kept.stop()
    print("stopped" if stopped else nothing, file=sys.stderr)
    return 0 if stopped else 1

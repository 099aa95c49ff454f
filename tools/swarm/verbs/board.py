"""Virtual boards: MicroPython behind a serial port, with an empty flash, for trying everything before hardware arrives.

Each is a process of MicroPython's unix port on a PTY that mpremote and every `swarm` command take for a board: soft
reset, interrupts, file system, timers, and a radio that reaches the others. They run until Ctrl-C, or in the background
until --stop. With --dir their flash outlives them, and their ports have names to write into swarm.toml.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from pathlib import Path

from swarm.description import project
from swarm.description.project import ProjectError
from swarm.output.streams import fail
from swarm.rig.standalone import Standalone, names_in
from swarm.rig.virtual_board import unix_port_missing
from swarm.serial import kept
from swarm.verbs.options import stop

COUNT_MAX = 100
_EXAMPLES = """examples:
  swarm board --virtual                              one board, fresh from the factory
  swarm board --virtual --count 8 --dir boards       eight; then, in another terminal:
      swarm init --board VIRTUAL --ports boards/ports/*
      swarm deploy --all
      mpremote connect boards/ports/1 resume ls
  swarm board --virtual --swarm swarm.toml --dir boards      one for each member
  swarm board --virtual --swarm swarm.toml --node 3 --dir boards
  swarm board --virtual --count 3 --background       let them run on; then swarm status, and
  swarm board --stop

exit status: 0 the boards ran until they were stopped, or run on, 1 they do not run, 2 used wrongly
"""


class _WrongUse(Exception):
    """An option does not fit; the message names its value and the remedy."""


def register(subparsers) -> None:
    """Add `board` to the command line."""
    parser = subparsers.add_parser(
        "board",
        help="start virtual boards",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--virtual", action="store_true", help="start virtual boards")
    parser.add_argument("--count", type=int, metavar="N", help="how many, numbered from 1 (default: 1)")
    parser.add_argument("--node", type=int, action="append", metavar="N", help="a board's number; may be repeated")
    parser.add_argument("--swarm", type=Path, metavar="FILE", help="a board for each member of this swarm.toml")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where flash and port names are (default: nowhere)")
    parser.add_argument("--seed", type=int, metavar="N", help="decides clocks and warm-up (default: a new one)")
    parser.add_argument("--background", action="store_true", help="print the ports and let the boards run on")
    parser.add_argument("--stop", action="store_true", help="stop the boards that run in the background")
    parser.set_defaults(run=_run, parser=parser)


def _run(options: argparse.Namespace) -> int:
    if options.stop:
        return stop(options, "no boards run in the background")
    try:
        nodes = _nodes(options)
        _check(options)
    except (_WrongUse, ProjectError) as error:
        return fail("board", error, 2)
    if missing := unix_port_missing():
        return fail("board", f"{missing}: `make setup` installs it where there is one", 1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _serve(options, nodes)
    except KeyboardInterrupt:
        print("\nevery board is off", file=sys.stderr)
        return 0
    except (OSError, EOFError) as error:
        return fail("board", error, 1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _nodes(options: argparse.Namespace) -> list[int]:
    """Numbers of the boards to start; a board's radio address and clock come from its number."""
    if options.count is not None and (options.node or options.swarm):
        raise _WrongUse(f"--count {options.count}: --node and --swarm say already which boards: leave it away")
    if options.count is not None and not 1 <= options.count <= COUNT_MAX:
        raise _WrongUse(f"--count {options.count} is outside 1 ... {COUNT_MAX}")
    if options.swarm is None:
        for node in options.node or ():
            if not 0 <= node <= 65535:
                raise _WrongUse(f"--node {node} is outside 0 ... 65535")
        return sorted(set(options.node or range(1, (options.count or 1) + 1)))
    described = project.load(options.swarm)
    return sorted(described.member(node).id for node in set(options.node or described.ids))


def _check(options: argparse.Namespace) -> None:
    """Raise _WrongUse for options that do not fit."""
    if not options.virtual:
        raise _WrongUse("give --virtual: other boards come in a box")
    if options.background and kept.load() is not None:
        raise _WrongUse("--background: boards run there already: stop them with `swarm board --stop`")
    if options.dir is not None and names_in(options.dir).exists():
        raise _WrongUse(
            f"--dir {options.dir}: {names_in(options.dir)} is there, so its boards run already: stop them, "
            "or remove it when they do not"
        )


def _serve(options: argparse.Namespace, nodes: list[int]) -> int:
    """Run the boards until an interrupt, or let go of them."""
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    os.umask(0o077)  # a board's flash holds its key
    with Standalone(nodes, seed, options.dir, stays=options.background) as boards:
        print("\n".join(_lines(options, nodes, boards.names, seed)), flush=True)
        if options.background:
            boards.let_go()
        else:
            boards.run()
    return 0


def _lines(options: argparse.Namespace, nodes: list[int], names: dict[int, Path], seed: int) -> list[str]:
    """What runs, and what to type."""
    first, port = nodes[0], names[nodes[0]]
    count = "1 virtual board" if len(nodes) == 1 else f"{len(nodes)} virtual boards, which hear each other"
    lines = [f"{count} (seed {seed}):", *(f"  {node}  {names[node]} -> {names[node].readlink()}" for node in nodes)]
    lines += ["try them:", f"  mpremote connect {port} resume"]
    if options.swarm is None:
        # Beyond nine, a pattern's order would not be that of the numbers.
        ports = [f"{port.parent}/*"] if len(nodes) < 10 else [str(names[node]) for node in nodes]
        lines.append(f"  swarm init --board VIRTUAL --ports {' '.join(ports)}")
        lines.append("  swarm deploy --all")
    else:
        lines.append(f"  swarm deploy {first} --swarm {options.swarm} --port {port}")
    lines.append(f"  swarm status --port {port}")
    lines.append("  swarm board --stop" if options.background else "Ctrl-C switches them off")
    return lines

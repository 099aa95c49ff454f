"""`make soak`: a swarm of virtual boards lives through random reboots, power cuts and bad air; nothing may be lost.

    python -m swarm.proof.soak [--nodes 16] [--minutes 60] [--seed N]

The boards are real MicroPython nodes on one rig. Their samples are fetched by `swarm collect` again and again, as a
user does, and at the end every sample that a node has printed or owed must be in that file, no session may have come
twice, every node must be Bootstrapped, and memory must be what it was. Every random choice comes from the seed; when
which board then does what is up to the computer.

A few boards never lose their power but in an outage of all, of which there are some in the first half: so the second
half has boots that live long. A board that is being read does not lose its power just then: a program that goes on
asking for a prompt would interrupt the board's next start.

Exit status: 0 nothing was lost, 1 something was and is named, 2 used wrongly.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from swarm.proof.soak.soak import Soak
from swarm.rig.virtual_board import unix_port_missing

NODES = (2, 32)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Run a soak and print its figures; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=16, metavar="N", help="boards (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="how long (default: %(default)g)")
    parser.add_argument("--seed", type=int, metavar="N", help="decides every random choice (default: a new one)")
    options = parser.parse_args(arguments)
    if not NODES[0] <= options.nodes <= NODES[1]:
        print(f"make soak: NODES={options.nodes} is outside {NODES[0]} ... {NODES[1]}", file=sys.stderr)
        return 2
    if not 0 < options.minutes <= 10_000:
        print(f"make soak: MINUTES={options.minutes:g} is outside 0 ... 10000", file=sys.stderr)
        return 2
    if missing := unix_port_missing():
        print(f"make soak: {missing}: `make setup` installs it where there is one", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    print(f"soak: {options.nodes} boards, {options.minutes:g} minutes, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="swarm-soak-") as folder:
        soak = Soak(Path(folder), options.nodes, options.minutes * 60, seed, lambda line: print(line, flush=True))
        try:
            soak.run()
        except KeyboardInterrupt:
            print("make soak: interrupted; every board is off", file=sys.stderr)
            return 130
        except (OSError, EOFError) as error:
            print(f"make soak: {error}", file=sys.stderr)
            return 1
    print(soak.figures.block())
    problems = soak.problems()
    for problem in problems:
        print(f"make soak: {problem} (seed {seed})", file=sys.stderr)
    print(f"{len(problems)} problems, named above" if problems else "nothing was lost, nobody is stuck", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

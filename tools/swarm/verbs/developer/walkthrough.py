"""Run the README's walk-through, from a box of boards to an own application, on virtual boards; compare it with it.

Every command of the text is run as a user would type it, in a folder of its own, and what it prints is what the README
must show. What differs from run to run (ports, session numbers, samples, dates) is left out of the comparison.
"""

from __future__ import annotations

import argparse

from swarm.documents import walkthrough
from swarm.output import writable
from swarm.output.streams import fail
from swarm.paths import CHECKOUT
from swarm.rig.virtual_board import unix_port_missing

_EXAMPLES = """examples:
  swarm walkthrough                run it, and compare it with README.md
  swarm walkthrough --write        run it, and write it into README.md
  swarm walkthrough --boards 8     run it with more boards, and print it

exit status: 0 it runs, and README.md shows it, 1 it does not, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `walkthrough` to the command line."""
    parser = subparsers.add_parser(
        "walkthrough",
        help="run the README's walk-through, and compare it",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="write it into README.md")
    what.add_argument("--boards", type=int, metavar="N", help="run it with N boards, and print it")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Up to nine, since a pattern of ports would sort more of them otherwise than by number.
    if options.boards is not None and not 1 <= options.boards <= 9:
        return fail("walkthrough", f"--boards {options.boards} is outside 1 ... 9", 2)
    if CHECKOUT is None:
        return fail("walkthrough", "it is run from a checkout of the project, whose README it compares", 1)
    if missing := unix_port_missing():
        return fail("walkthrough", f"{missing}: `make setup` installs it where there is one", 1)
    try:
        with walkthrough.place() as (folder, environment):
            text = walkthrough.walk(walkthrough.steps(options.boards or walkthrough.BOARDS), folder, environment)
        if options.boards:
            print(text, end="")
            return 0
        before, shown, after = walkthrough.split(walkthrough.README.read_text(encoding="utf-8"))
    except (walkthrough.WalkthroughError, OSError) as error:
        return fail("walkthrough", error, 1)
    if options.write:
        writable.write_atomically(walkthrough.README, before + text + after)
        print(f"{walkthrough.README.name}: walk-through written")
        return 0
    differences = walkthrough.compare(shown, text)
    if differences:
        print("\n".join(differences))
        return fail("walkthrough", f"{walkthrough.README.name} shows something else: `make walkthrough WRITE=1`", 1)
    print(f"{walkthrough.README.name} shows what the {len(walkthrough.steps(walkthrough.BOARDS))} steps print")
    return 0

"""Have a new board take a dead one's place: MicroPython, the node, its id, and what swarm.toml says of it.

The new board gets the member's id and a session number above every one that the dead board can have used. Its port, or
USB serial number, and its hardware id take the dead board's place in swarm.toml, comments kept. Where hardware ids are
listed they are in every board's faction.json: the others work on with the old one, and which to deploy is told.
A board that still answers is not replaced.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from swarm import boards
from swarm.deploy import imports, payload
from swarm.deploy.deployment import Deployment
from swarm.deploy.own_code import PayloadError
from swarm.deploy.remote import DeployError
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.doctor import replacement
from swarm.doctor.replacement import Refused
from swarm.flash.board import Settings
from swarm.flash.error import FlashError
from swarm.output.streams import fail
from swarm.serial.port import BoardError
from swarm.verbs import deploy, flash
from swarm.verbs.options import add_swarm

_EXAMPLES = """examples:
  swarm replace 3 --port /dev/ttyUSB0                     flash, deploy, and note the new board
  swarm replace 3 --port /dev/ttyUSB0 --no-flash          MicroPython is on it already
  swarm replace 3 --port /dev/ttyUSB0 --firmware ESP32_GENERIC-v1.28.0.bin
  swarm replace 3 --port /dev/ttyUSB0 --update-others     and deploy the boards that list its hardware id

exit status: 0 the new board runs as the member, 1 it does not and the reason is told, 2 used wrongly
"""


def register(subparsers) -> None:
    """Add `replace` to the command line."""
    parser = subparsers.add_parser(
        "replace",
        help="have a new board take a dead one's place",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("node", type=int, metavar="NODE", help="the dead board's member")
    parser.add_argument("--port", required=True, metavar="P", help="serial port of the new board")
    parser.add_argument("--no-flash", action="store_true", help="leave MicroPython on it as it is")
    parser.add_argument(
        "--firmware", type=Path, metavar="FILE", help="a .bin or .uf2 file (default: official firmware)"
    )
    parser.add_argument("--volume", type=Path, metavar="DIR", help="Pico: where the loader's drive is or will be")
    parser.add_argument("--update-others", action="store_true", help="deploy the others where they are to be updated")
    add_swarm(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        described = project.load(options.swarm)
        member = described.member(options.node)
        described.check_secrets()
        unsent = imports.unsent(payload.check_own(described), payload.ours())
    except ProjectError as error:
        return fail("replace", error, 2)
    except PayloadError as error:
        return fail("replace", f"{error}; no board was touched", 1)
    tool = boards.facts(member.board)["flash"]["tool"]
    for name in ("firmware", "volume"):
        if getattr(options, name) and (options.no_flash or tool == "none"):
            return fail("replace", f"--{name} {getattr(options, name)}: nothing is flashed: leave it out", 2)
    will_flash = tool != "none" and not options.no_flash
    then = ""
    try:
        above = replacement.check(described, member, options.port, will_flash)
        if will_flash:
            _flash(member, options)
            then = "; MicroPython is on it: go on with the same command and --no-flash"
        old = member.hardware
        changes = replacement.note(described, member, options.port)
        print(f"{described.path}: member {member.id}: {changes}")
        result = Deployment(described, member, options.port, above=above, unsent=unsent).run()
    except (Refused, FlashError, DeployError, BoardError, PayloadError, ProjectError, OSError) as error:
        told = str(error).removeprefix(f"{options.port}: ")
        return fail("replace", f"node {member.id} at {options.port}: {told}{then}", 1)
    except KeyboardInterrupt:
        return fail("replace", f"node {member.id}: interrupted: give the same command again{then}", 130)
    print(f"node {member.id}: {result}")
    return _tell_others(described, member, old, options.update_others)


def _flash(member: Member, options: argparse.Namespace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    settings = Settings(firmware=options.firmware, volume=options.volume)
    said, _ = flash.flash(replacement.successor(member, options.port), settings, console)
    console.print(said, markup=False)


def _tell_others(described: Project, member: Member, old: str | None, update: bool) -> int:
    """Say which boards list the old hardware id, or deploy them; the exit status."""
    others = [one for one in described.members if one is not member]
    if old is None or not others:
        print("the other nodes need nothing: they know this one by its id")
        return 0
    if update:
        return deploy.deploy(described, others)
    print(
        f"the other nodes work as they are, and list the old hardware id {old}; a deploy restarts them: "
        f"{replacement.deploy_command(described, others)}"
    )
    return 0

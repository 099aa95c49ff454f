"""Have a new board take a dead one's place: MicroPython, the node, its id, and what swarm.toml says of it.

The new board gets the member's id and a session number above every one that the dead board can have used. Its port, or
USB serial number, and its hardware id take the dead board's place in swarm.toml, comments kept. Where hardware ids are
listed they are in every board's faction.json: the others work on with the old one, and which to deploy is told.
A board that still answers is not replaced.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from rich.console import Console
from serial.tools import list_ports

from swarm import boards
from swarm.deploy import deployment
from swarm.deploy.deployment import DeployError, Deployment
from swarm.deploy.payload import PayloadError
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.doctor.examination import Board, examine
from swarm.flash import esp
from swarm.flash.board import Settings, Target
from swarm.flash.error import FlashError
from swarm.output.streams import fail
from swarm.serial.repl import BoardError
from swarm.verbs import deploy, doctor, flash

_START_S = 15.0  # time for a board that has just been flashed to show its prompt
_AGAIN_S = 0.5
_EXAMPLES = """examples:
  swarm replace 3 --port /dev/ttyUSB0                     flash, deploy, and note the new board
  swarm replace 3 --port /dev/ttyUSB0 --no-flash          MicroPython is on it already
  swarm replace 3 --port /dev/ttyUSB0 --firmware ESP32_GENERIC-v1.28.0.bin
  swarm replace 3 --port /dev/ttyUSB0 --update-others     and deploy the boards that list its hardware id

exit status: 0 the new board runs as the member, 1 it does not and the reason is told, 2 used wrongly
"""


class _Refused(Exception):
    """The board is not replaced; the message says why and what to do."""


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
    parser.add_argument("--volume", type=Path, metavar="DIR", help="RP2040: where the loader's drive is or will be")
    parser.add_argument("--update-others", action="store_true", help="deploy the others where they are to be updated")
    project.add_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        described = project.load(options.swarm)
        member = described.member(options.node)
        described.key()
    except ProjectError as error:
        return fail("replace", error, 2)
    tool = boards.facts(member.board)["flash"]["tool"]
    for name in ("firmware", "volume"):
        if getattr(options, name) and (options.no_flash or tool == "none"):
            return fail("replace", f"--{name} {getattr(options, name)}: nothing is flashed: leave it out", 2)
    will_flash = tool != "none" and not options.no_flash
    then = ""
    try:
        # Above what the others know, and above what the old board can have counted up to since its deploy.
        above = max(deployment.seconds_since_2020(), _check(described, member, options.port, will_flash))
        if will_flash:
            _flash(member, options)
            then = "; MicroPython is on it: go on with the same command and --no-flash"
        before = member.hardware, member.port, member.serial
        _note(described, member, options.port)
        print(f"{described.path}: member {member.id}: {_changes(before, member)}")
        result = Deployment(described, member, options.port, above=above).run()
    except (_Refused, FlashError, DeployError, BoardError, PayloadError, ProjectError, OSError) as error:
        told = str(error).removeprefix(f"{options.port}: ")
        return fail("replace", f"node {member.id} at {options.port}: {told}{then}", 1)
    except KeyboardInterrupt:
        return fail("replace", f"node {member.id}: interrupted: give the same command again{then}", 130)
    print(f"node {member.id}: {result}")
    return _tell_others(described, member, before[0], options.update_others)


def _again(described: Project, member: Member) -> str:
    at = "" if described.path == Path(project.FILE) else f" --swarm {described.path}"
    return f"swarm deploy {member.id}{at}"


def _check(described: Project, member: Member, port: str, will_flash: bool) -> int:
    """Make sure that the old board is silent and the new one is nobody's; returns the highest session known of it.

    All members' boards that are plugged in are asked: whichever answers as this member is the old board.
    """
    places, _ = doctor.places(described)
    taken = next((one for place, one in places.items() if one is not member and _same(place, port)), None)
    if taken is not None:
        raise _Refused(f"{described.path} lists this port for member {taken.id}: correct it there, or give another")
    others = {place: one for place, one in places.items() if not _same(place, port)}
    looked = doctor.look_at(described, others, compare=False)
    for board in looked:
        if board.listed is member and board.trouble and board.trouble.kind in ("busy", "forbidden"):
            raise _Refused(f"whether the old board still answers cannot be told: {board.trouble}")
        if _is_old(described, member, board):
            raise _Refused(
                f"the old board still answers at {board.port}: switch it off and unplug it first; "
                f"if it is to stay: {_again(described, member)}"
            )
    new = examine(described, None, port, compare=False)
    _refuse_known(described, member, new)
    if (
        new.trouble is not None and new.trouble.kind == "silent" and not will_flash
    ):  # perhaps a program that runs, which is given up
        new = examine(described, None, port, compare=False, stop_application=True)
        _refuse_known(described, member, new)
    if new.trouble is not None and not (will_flash and new.trouble.kind in ("silent", "absent")):
        raise new.trouble
    return max([0, *(board.session_of(member.id) for board in looked if board.runs_in(described) is not None)])


def _is_old(described: Project, member: Member, board: Board) -> bool:
    """Whether a board is this member's: it runs as that, or is the listed one, or is where that is listed."""
    if board.trouble is not None:
        return False
    here = board.member is member and member.hardware in (None, board.hardware)
    return here or board.runs_in(described) == member.id


def _refuse_known(described: Project, member: Member, new: Board) -> None:
    """Refuse a board that is a member's already. Its own old board may come back only where no other took its place."""
    if new.member is None:
        return
    if new.member is not member:
        raise _Refused(f"this board is node {new.member.id} of this swarm: plug the new one in")
    if new.runs_in(described) != member.id:
        return  # the listed board, which a replacement that was cut has left without the node
    if member.hardware is not None and new.hardware == member.hardware:
        raise _Refused(f"this is the board that is listed: `{_again(described, member)} --port {new.port}` mends it")
    if _listed_at(member, new.port):
        raise _Refused(
            f"this board runs as node {member.id} already: `{_again(described, member)}` mends it; "
            f"if it is another one: mpremote connect {new.port} rm :main.py, then reset it, and repeat"
        )


def _listed_at(member: Member, port: str) -> bool:
    try:
        return _same(project.port_of(member), port)
    except ProjectError:
        return False


def _same(port: str, other: str) -> bool:
    return os.path.realpath(port) == os.path.realpath(other)


def _flash(member: Member, options: argparse.Namespace) -> None:
    """Put MicroPython onto the new board, whatever hardware id the old one had."""
    console = Console(highlight=False, soft_wrap=True)
    successor = Member(member.id, member.board)
    target = Target(member.board, options.port, None, successor)
    settings = Settings(firmware=options.firmware, volume=options.volume, baud=esp.BAUD)
    said, _ = flash.flash(target, settings, console)
    console.print(said, markup=False)


def _note(described: Project, member: Member, port: str) -> None:
    """Write the new board into swarm.toml in the old one's place, wherever that was listed."""
    hardware = _read_hardware(described, port)
    if member.serial is not None:
        # Only a board with a number of its own can be found by it.
        member.serial = next((one.serial_number for one in list_ports.comports() if _same(one.device, port)), None)
        if member.serial is None:
            member.port = port
    if member.port is not None and not _same(member.port, port):
        member.port = port
    if member.hardware is not None:
        member.hardware = hardware
    described.save()


def _read_hardware(described: Project, port: str) -> str:
    """The new board's hardware id, once its MicroPython has started."""
    deadline = time.monotonic() + _START_S
    while True:
        board = examine(described, None, port, compare=False, stop_application=True)
        if board.hardware is not None:
            return board.hardware
        if board.trouble is None or time.monotonic() > deadline:
            raise board.trouble or DeployError(board.refused)
        time.sleep(_AGAIN_S)


def _changes(before: tuple[str | None, ...], member: Member) -> str:
    """What is listed now that was not."""
    after = (member.hardware, member.port, member.serial)
    changes = [
        f"{name} {old} is now {new}"
        for name, old, new in zip(("hardware", "port", "serial"), before, after, strict=True)
        if old != new
    ]
    return ", ".join(changes) or "nothing to change"


def _tell_others(described: Project, member: Member, old: str | None, update: bool) -> int:
    """Say which boards list the old hardware id, or deploy them; the exit status."""
    others = [one for one in described.members if one is not member]
    if old is None or not others:
        print("the other nodes need nothing: they know this one by its id")
        return 0
    if update:
        return deploy.deploy(described, others, None, False)
    nodes = " ".join(str(one.id) for one in others)
    files = "" if described.path == Path(project.FILE) else f" --swarm {described.path}"
    print(
        f"the other nodes work as they are, and list the old hardware id {old}; a deploy restarts them: "
        f"swarm deploy {nodes}{files}"
    )
    return 0

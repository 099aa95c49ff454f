"""Has a new board take a dead one's place: whether it may, and what swarm.toml then says of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from serial.tools import list_ports

from swarm.deploy.deployment import seconds_since_2020
from swarm.deploy.remote import DeployError
from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.doctor import places
from swarm.doctor.examination import Board, examine
from swarm.flash.board import Target

_START_S = 15.0  # time for a board that has just been flashed to show its prompt
_AGAIN_S = 0.5


class Refused(Exception):
    """The board is not replaced; the message says why and what to do."""


def check(described: Project, member: Member, port: str, will_flash: bool) -> int:
    """Make sure that the old board is silent and the new one is nobody's; the session that the new one is to be above.

    All members' boards that are plugged in are asked: whichever answers as this member is the old board. Refused when
    it is not to be replaced, BoardError when the new board cannot be talked to, DeployError when this computer's clock
    is wrong.
    """
    counted = seconds_since_2020()  # what the old board can have counted up to since its deploy
    ports, _ = places.ports_of(described)
    taken = next((one for place, one in ports.items() if one is not member and _same(place, port)), None)
    if taken is not None:
        raise Refused(f"{described.path} lists this port for member {taken.id}: correct it there, or give another")
    others = {place: one for place, one in ports.items() if not _same(place, port)}
    looked = places.look_at(described, others, compare=False)
    for board in looked:
        if board.listed is member and board.trouble and board.trouble.kind in ("busy", "forbidden"):
            raise Refused(f"whether the old board still answers cannot be told: {board.trouble}")
        if _is_old(described, member, board):
            raise Refused(
                f"the old board still answers at {board.port}: switch it off and unplug it first; "
                f"if it is to stay: {deploy_command(described, [member])}"
            )
    new = examine(described, None, port, compare=False)
    _refuse_known(described, member, new)
    # Perhaps a program that runs, which is given up.
    if new.trouble is not None and new.trouble.kind == "silent" and not will_flash:
        new = examine(described, None, port, compare=False, stop_application=True)
        _refuse_known(described, member, new)
    if new.trouble is not None and not (will_flash and new.trouble.kind in ("silent", "absent", "foreign")):
        raise new.trouble
    return max([counted, *(board.session_of(member.id) for board in looked if board.runs_in(described) is not None)])


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
        raise Refused(f"this board is node {new.member.id} of this swarm: plug the new one in")
    if new.runs_in(described) != member.id:
        return  # the listed board, which a replacement that was cut has left without the node
    if member.hardware is not None and new.hardware == member.hardware:
        raise Refused(
            f"this is the board that is listed: `{deploy_command(described, [member])} --port {new.port}` mends it"
        )
    if _listed_at(member, new.port):
        raise Refused(
            f"this board runs as node {member.id} already: `{deploy_command(described, [member])}` mends it; "
            f"if it is another one: mpremote connect {new.port} rm :main.py, then reset it, and repeat"
        )


def _listed_at(member: Member, port: str) -> bool:
    try:
        return _same(project.port_of(member), port)
    except ProjectError:
        return False


def _same(port: str, other: str) -> bool:
    return os.path.realpath(port) == os.path.realpath(other)


def deploy_command(described: Project, members: list[Member]) -> str:
    """What to type to deploy these members' boards."""
    nodes = " ".join(str(one.id) for one in members)
    files = "" if described.path == Path(project.FILE) else f" --swarm {described.path}"
    return f"swarm deploy {nodes}{files}"


def successor(member: Member, port: str) -> Target:
    """The new board, to be flashed whatever hardware id the old one had."""
    return Target(member.board, port, None, Member(member.id, member.board))


def note(described: Project, member: Member, port: str) -> str:
    """Write the new board into swarm.toml in the old one's place, wherever that was listed; what changes.

    BoardError or DeployError when it cannot be asked for its hardware id.
    """
    before = _listing(member)
    hardware = _read_hardware(described, port)
    if member.serial is not None:
        # Only a board with a number of its own can be found by it.
        member.serial = _serial_at(port)
        if member.serial is None:
            member.port = port
    if member.port is not None and not _same(member.port, port):
        member.port = port
    if member.hardware is not None:
        member.hardware = hardware
    described.save()
    changes = [
        f"{name} {old} is now {new}"
        for name, old, new in zip(("hardware", "port", "serial"), before, _listing(member), strict=True)
        if old != new
    ]
    return ", ".join(changes) or "nothing to change"


def _serial_at(port: str) -> str | None:
    """The USB serial number of the board at a port; None where it has none, or not for itself alone."""
    number = next((one.serial_number for one in list_ports.comports() if _same(one.device, port)), None)
    try:
        return number if number and project.port_of_serial(number) else None
    except ProjectError:
        return None


def _listing(member: Member) -> tuple[str | None, ...]:
    return member.hardware, member.port, member.serial


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

"""Looks at one board for `swarm doctor` and `swarm replace`: its port, its MicroPython, its files, its node.

Nothing on the board is changed, and its node goes on meanwhile.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpremote.transport_serial import SerialTransport

from swarm.deploy import payload
from swarm.deploy.own_code import PayloadError
from swarm.deploy.remote import DeployError, Garbled, Remote, Silent
from swarm.deploy.trial import SLOTS
from swarm.description.project import Member, Project, ProjectError
from swarm.serial.application import of_application
from swarm.serial.port import GONE, BoardError, open_port
from swarm.serial.prompt import prompt
from swarm.serial.status import read_runtime

_LIBRARY = "faction/__init__"
_USED = ("digest", "open", "links")  # of a status, besides what serial/status.py wants of each


@dataclass
class Board:
    """What was found at a port; what could not be found out stays None.

    member: whose board it is, by what it says, or else by where it is plugged in; listed: for whose board the port is
    listed. application: whether its node runs in an application on asyncio, which a prompt would stop: then look has
    only the status that this answers with. trouble: why the port could not be read; runtime: of
    serial_repl.read_runtime; refused: why this MicroPython is none that the tools can work with; facts: of
    onboard_survey.survey; look: of onboard_look.look; key_fits: whether it uses the swarm's key; differs: files of its
    version that are not as a deploy would make them; unmade: why those cannot be made for its MicroPython; unfit: what
    of the user's code keeps them from being made. via: the port of the board through which its node was asked over the
    air: then port is only a name, and look has only the status. seen: when the status came, by this computer's clock.
    """

    port: str
    member: Member | None
    listed: Member | None
    application: bool = False
    trouble: BoardError | None = None
    runtime: dict[str, Any] | None = None
    refused: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    look: dict[str, Any] = field(default_factory=dict)
    key_fits: bool | None = None
    differs: list[str] | None = None
    unmade: str | None = None
    unfit: str | None = None
    via: str | None = None
    seen: float | None = None

    @property
    def status(self) -> dict[str, Any] | None:
        """The running node's status_dict."""
        return self.look.get("status")

    @property
    def hardware(self) -> str | None:
        """The board's hardware id."""
        return self.facts.get("hardware")

    def runs_in(self, project: Project) -> int | None:
        """The id of the node of this swarm that runs here."""
        if self.status is None:
            return None
        return self.status["node"] if self.look["digest"] == project.digest() else None

    @property
    def release(self) -> tuple[int, ...]:
        """Version of its MicroPython, to be compared."""
        return tuple(self.facts.get("version", ()))

    def session_of(self, node: int) -> int:
        """The highest session of another node that this one knows to be live; 0 for none."""
        return dict(self.look.get("sessions", ())).get(node, 0)


def examine(
    project: Project, listed: Member | None, port: str, compare: bool = True, stop_application: bool = False
) -> Board:
    """Look at the board at a port.

    listed: the member whose board should be there; compare: look at its files too; stop_application: have the prompt
    even of an application on asyncio.
    """
    board = Board(port, listed, listed)
    try:
        with open_port(port) as transport:
            status = None if stop_application else of_application(transport, port)
            if status is not None:
                board.application = True
                _take(project, board, status)
                return board
            with prompt(transport, port):
                _examine(project, board, transport, compare)
    except BoardError as error:
        board.trouble = error
    except GONE as error:
        board.trouble = BoardError(f"{port}: the port went away ({error}); unplug the board and plug it in again")
    return board


def of_member(project: Project, node: int, answer: dict[str, Any], via: str) -> Board:
    """What a member has answered over the air, as via.ask() has it, through the board at that port."""
    member = next((member for member in project.members if member.id == node), None)
    board = Board(f"node {node}", member, member, via=via)
    if "error" in answer:
        board.trouble = BoardError(answer["error"], answer["kind"])
    else:
        _take(project, board, answer)
    return board


def _take(project: Project, board: Board, status: dict[str, Any]) -> None:
    """Take the status of a board of which there is nothing else."""
    if lacks := [name for name in _USED if name not in status]:
        board.trouble = BoardError(f"its status has no {', '.join(lacks)}", "other version")
        return
    board.look = {"status": status, "digest": status["digest"]}
    board.seen = status.get("seen", time.time())
    if not board.via:
        _identify(project, board)


def _examine(project: Project, board: Board, transport: SerialTransport, compare: bool) -> None:
    """Look at a board at its prompt."""
    salt = secrets.token_bytes(16)
    board.runtime = read_runtime(transport, board.port)
    try:
        remote = Remote(transport)
        remote.load(Path(__file__).with_name("onboard_look.py"))
        board.facts = remote.survey()
        board.look = _look(remote, salt)
        board.seen = time.time()
        _identify(project, board)
        _compare_key(project, board, salt)
        if compare and board.member:
            _compare_files(project, board, board.member, remote)
        remote.forget()
    except Silent as error:
        board.trouble = BoardError(f"{board.port}: {error}")
    except DeployError as error:
        board.refused = str(error)


def _look(remote: Remote, salt: bytes) -> dict[str, Any]:
    """What onboard_look.look answers; {"unknown": why} where the node has not what that reads."""
    try:
        return remote.ask_again("look", salt)
    except (Garbled, Silent):
        raise
    except DeployError as error:
        return {"unknown": str(error)}


def _identify(project: Project, board: Board) -> None:
    """Find out whose board it is: by its hardware id, by the node that runs on it, else by where it is plugged in."""
    runs = board.runs_in(project)
    for member in project.members:
        if member.hardware is not None and member.hardware == board.hardware:
            board.member = member
            return
    for member in project.members:
        if member.id == runs:
            board.member = member


def _compare_key(project: Project, board: Board, salt: bytes) -> None:
    if board.status is None:
        return
    try:
        wanted = None if project.open else hashlib.sha256(salt + project.key()).hexdigest()
    except ProjectError:
        return  # the doctor says of the project itself what is wrong with its key
    board.key_fits = board.look["key"] == wanted


def _compare_files(project: Project, board: Board, member: Member, remote: Remote) -> None:
    """Find the files of the board's version that differ from this checkout's and swarm.toml's."""
    slot = board.facts["pointed"]
    if slot not in SLOTS:
        return
    release = ".".join(map(str, board.release))
    target = payload.Target(board.facts["mpy"], release)
    try:
        target.check()
    except PayloadError as error:
        board.unmade = str(error)
        return
    try:
        board.differs = _differing(remote, slot, payload.build(project, member, target))
        if f"{_LIBRARY}.py" in board.differs:  # it was deployed with --source
            board.differs = _differing(remote, slot, payload.build(project, member, target, from_source=True))
    except PayloadError as error:
        board.unfit = str(error)
    except ProjectError:
        return  # the doctor says of the project itself what is wrong with its key


def _differing(remote: Remote, slot: str, files: dict[str, bytes]) -> list[str]:
    remote.call("expect", {path: payload.hash_of(data) for path, data in files.items()})
    return sorted(set(remote.ask_again("compare", slot)))

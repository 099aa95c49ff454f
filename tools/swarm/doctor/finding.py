"""A finding of the doctor's, and the words that all findings are made with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from swarm import boards
from swarm.description import project
from swarm.description.project import Project, ProjectError
from swarm.doctor.examination import Board

_SHOWN = 3  # files or nodes in a message


@dataclass(frozen=True)
class Finding:
    """Something that is wrong. fault: its name for programs; node and port: where, None when it is of no one board."""

    fault: str
    node: int | None
    port: str | None
    what: str
    why: str  # it matters
    remedy: str

    @property
    def where(self) -> str:
        """Node and port in words."""
        node = "" if self.node is None else f"node {self.node}"
        return " at ".join(part for part in (node, self.port) if part) or "the swarm"


class Words:
    """What findings about a described swarm say again and again: whose board it is, and what to type."""

    def __init__(self, described: Project, looked: list[Board], own_error: str | None) -> None:
        self.swarm = described
        self.looked = looked
        self.own_error = own_error  # what is wrong with the user's code
        self.files = "" if described.path == Path(project.FILE) else f" --swarm {described.path}"

    def at(self, board: Board, fault: str, what: str, why: str, remedy: str) -> Finding:
        """A finding about a board."""
        return Finding(fault, node_of(board), None if board.via else board.port, what, why, remedy)

    def deploy(self, who: object) -> str:
        """The command that deploys a member."""
        return f"swarm deploy {who}{self.files}"

    def deploy_board(self, board: Board) -> str:
        """The command that deploys the board at this port."""
        if board.member is None:
            at = "" if board.via else f" --port {board.port}"
            return f"list it in {self.swarm.path}, then {self.deploy('NODE')}{at}"
        if board.via:
            return self.deploy(board.member.id)
        at = "" if board.listed is board.member and self.port_is_listed(board) else f" --port {board.port}"
        return self.deploy(board.member.id) + at

    def port_is_listed(self, board: Board) -> bool:
        """Whether the port is the one listed for the board's member."""
        try:
            return board.member is not None and same(project.port_of(board.member), board.port)
        except ProjectError:
            return False

    def flash(self, board: Board) -> str:
        """The commands that put MicroPython and the node onto a board."""
        if board.member is None:
            return f"swarm flash --board BOARD --port {board.port}"
        if boards.facts(board.member.board)["flash"]["tool"] == "none":
            return "switch the virtual board off and on again"
        at = "" if self.port_is_listed(board) else f" --port {board.port}"
        return f"swarm flash {board.member.id}{self.files}{at}, then {self.deploy_board(board)}"

    def reset(self, board: Board) -> str:
        """The command that starts a board again."""
        return "switch it off and on" if board.via else f"mpremote connect {board.port} reset"


def node_of(board: Board) -> int | None:
    """The id that a board carries, or should."""
    if board.status is not None:
        return board.status["node"]
    return board.member.id if board.member else None


def ids(nodes: list[int]) -> str:
    """Ids in a row."""
    return ", ".join(map(str, nodes))


def listed(nodes: list[int]) -> str:
    """Nodes in words."""
    return f"node {ids(nodes)}"


def same(port: str, other: str) -> bool:
    """Whether two names are one port's."""
    return os.path.realpath(port) == os.path.realpath(other)


def some(words: list[str]) -> str:
    """The first of several words."""
    return ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")

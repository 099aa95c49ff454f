"""Which boards are meant when running nodes are looked at, and how several are read at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from swarm.description import project
from swarm.description.project import ProjectError
from swarm.serial import kept
from swarm.serial.application import of_application
from swarm.serial.port import GONE, BoardError, open_port
from swarm.serial.prompt import prompt
from swarm.serial.status import check_version, read_status

AT_ONCE = 32  # boards that are talked to at the same time


class WrongUse(Exception):
    """The options do not say which boards are meant; the message says what to type."""


@dataclass(frozen=True)
class Target:
    """A board to read. label: what stands for it until it tells its id; node: the member that is expected there, None
    for any; problem: why its port is not known, when that is None.
    """

    label: str
    port: str | None
    node: int | None = None
    problem: str | None = None

    @property
    def key(self) -> str:
        """Its port, or its member's name while that has none."""
        return self.port or f"node {self.label}"


def choose(nodes: list[int], every: bool, ports: list[str], file: Path) -> list[Target]:
    """The boards that are meant: of ports, of members, or else those that run in the background, or else all members.

    every: all members of the swarm that file describes. Raises WrongUse when none is named, or in more than one way,
    and ProjectError for a swarm.toml that is not valid.
    """
    if bool(nodes) + every + bool(ports) > 1:
        raise WrongUse("give one of NODE, --all and --port")
    if ports:
        return [Target(port, port) for port in dict.fromkeys(ports)]
    described = file.exists()
    running = kept.load() if not every and (not nodes or not described) else None
    if running is not None:
        port_of = {int(node): port for node, port in running["ports"].items()}
        for node in nodes:
            if node not in port_of:
                raise WrongUse(f"no board {node} runs in the background: choose one of {', '.join(map(str, port_of))}")
        return [Target(str(node), port_of[node]) for node in dict.fromkeys(nodes or port_of)]
    if not described and not nodes and not every:
        raise WrongUse(
            f"no --port, no {file} here, and no demo is running; give --port /dev/..., or start `swarm demo --keep`"
        )
    swarm = project.load(file)
    members = [swarm.member(node) for node in dict.fromkeys(nodes)] or swarm.members
    return [_of_member(member) for member in members]


def _of_member(member: project.Member) -> Target:
    try:
        return Target(str(member.id), project.port_of(member), member.id)
    except ProjectError as error:
        return Target(str(member.id), None, member.id, str(error))


More = Callable[[SerialTransport, str, dict], dict]  # reads more of a node than its status, which it is given


def ask(target: Target, more: More | None = None, by_line: More | None = None) -> dict:
    """The status_dict of a board's node, with what `more` reads at the board's prompt.

    {"error": why, "kind": kind} when it has none: a BoardError's, or "unlisted".
    by_line: called in place of more for an application on asyncio, which the prompt would stop.
    """
    if target.port is None:
        return {"error": target.problem, "kind": "unlisted"}
    try:
        with open_port(target.port) as transport:
            status = of_application(transport, target.port)
            if status is not None:
                _check(target, status)
                return status | (by_line(transport, target.port, status) if by_line else {})
            with prompt(transport, target.port):
                status = read_status(transport, target.port)
                _check(target, status)
                return status | (more(transport, target.port, status) if more else {})
    except BoardError as error:
        return {"error": str(error), "kind": error.kind}
    except GONE as error:
        return {"error": f"{target.port}: the port went away ({error})", "kind": "absent"}


def _check(target: Target, status: dict) -> None:
    """BoardError for a status of another version, or of another node than the one that is expected there."""
    check_version(target.key, status)
    if target.node not in (None, status["node"]):
        raise BoardError(
            f"{target.port}: its board says that it is node {status['node']}, and node {target.node} is "
            "listed there: correct the port or serial in swarm.toml, or deploy to it",
            "other node",
        )


def ask_all(targets: list[Target], more: More | None = None, by_line: More | None = None) -> list[tuple[Target, dict]]:
    """ask() of all of them at the same time; in their order."""
    with ThreadPoolExecutor(min(len(targets), AT_ONCE)) as pool:
        return list(zip(targets, pool.map(lambda target: ask(target, more, by_line), targets), strict=True))

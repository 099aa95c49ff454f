"""Where the boards of a swarm are, and looks at several of them at the same time, or over the air through one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.doctor.examination import Board, examine, of_member
from swarm.doctor.finding import Finding
from swarm.doctor.findings import without_port
from swarm.serial import via
from swarm.serial.targets import AT_ONCE

LISTEN_S = 4.5  # a node that nobody agrees with speaks twice in that, at Trickle's slow rate


def ports_of(
    described: Project, ports: list[str] | None = None, members: list[Member] | None = None
) -> tuple[dict[str, Member | None], list[Finding]]:
    """The ports to look at, each with the member it is listed for, and what is wrong with members that have none.

    ports: only these, whoever's they are; members: only theirs; neither: those of all members.
    """
    listed: dict[str, Member] = {}
    unread = []
    for member in members or described.members:
        try:
            listed[project.port_of(member)] = member
        except ProjectError as error:
            unread.append(without_port(member.id, error))
    if ports is None:
        return {**listed}, unread
    owners = {os.path.realpath(port): member for port, member in listed.items()}
    wanted = {os.path.realpath(port): port for port in reversed(ports)}  # a port that has two names is looked at once
    return {port: owners.get(real) for real, port in reversed(wanted.items())}, []


def look_at(described: Project, ports: dict[str, Member | None], compare: bool = True) -> list[Board]:
    """Look at the boards at these ports, all at the same time; compare: at their files too."""
    with ThreadPoolExecutor(max(1, min(len(ports), AT_ONCE))) as pool:
        jobs = [pool.submit(examine, described, member, port, compare) for port, member in ports.items()]
        return [job.result() for job in jobs]


def listen(described: Project, boards: list[Board]) -> dict[str, dict[str, Any]]:
    """Wait as long as a node is silent at most, then read the status of these boards' nodes again, by port."""
    time.sleep(LISTEN_S)
    again = look_at(described, {board.port: board.listed for board in boards}, compare=False)
    return {board.port: board.status for board in again if board.status}


def look_through(
    described: Project, port: str, told: Callable[[int], None] | None = None
) -> tuple[list[Board], list[Finding]]:
    """Look at the board at a port, and over the air at the other members of its swarm; and who does not answer.

    told: called with each member that is asked.
    """
    looked = look_at(described, ports_of(described, [port])[0])
    if looked[0].status is None:
        return looked, []  # what is wrong with it is the reason
    unread = []
    (_, own), *others = via.ask_all(port, told=told)
    if "error" in own:
        what, _, remedy = own["error"].removeprefix(f"{port}: ").rpartition(": ")
        why = "the other members were not looked at"
        unread.append(Finding("over the air", looked[0].status["node"], port, what or own["error"], why, remedy))
    for target, answer in others:
        assert target.node is not None
        if "error" in answer and answer["kind"] != "other version":
            unread.append(_unheard(target.node, answer))
        else:
            looked.append(of_member(described, target.node, answer, port))
    return looked, unread


def listen_through(port: str, boards: list[Board]) -> dict[str, dict[str, Any]]:
    """As listen(), of boards that were looked at through the one at that port."""
    time.sleep(LISTEN_S)
    asked = {board.port for board in boards}
    return {target.key: status for target, status in via.ask_all(port) if target.key in asked and "error" not in status}


def _unheard(node: int, answer: dict[str, Any]) -> Finding:
    """A member that does not answer over the air, or has no status that can be used."""
    told = answer["error"].removeprefix(f"node {node}: ")
    return Finding(
        answer["kind"],
        node,
        None,
        told.replace(f"node {node} ", "it ", 1) if told.startswith(f"node {node} ") else told,
        "what it measures is missed, and this board was not looked at",
        f"look at it: power, distance, wires; plugged in, `swarm doctor {node}` tells more",
    )

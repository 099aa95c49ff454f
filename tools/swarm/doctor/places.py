"""Where the boards of a swarm are, and looks at several of them at the same time."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from swarm.description import project
from swarm.description.project import Member, Project, ProjectError
from swarm.doctor.examination import Board, examine
from swarm.doctor.finding import Finding
from swarm.doctor.findings import without_port
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

"""Deploys several boards at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Protocol

from swarm import boards
from swarm.deploy.deployment import Deployment
from swarm.deploy.payload import PayloadError
from swarm.deploy.remote import DeployError
from swarm.description.project import Member, Project, ProjectError, port_of
from swarm.serial.port import BoardError
from swarm.serial.targets import AT_ONCE


class _Interrupted(Exception):
    """The user ended the deploy; each board runs what it ran."""


class Display(Protocol):
    """Shows how far boards are."""

    def tell(self, member: Member, text: str, share: float | None) -> None:
        """Show what is being done to a board, and the share of its upload that is done; called from its own thread."""

    def done(self, member: Member, text: str, good: bool) -> None:
        """Show how a board's deploy has ended."""


@dataclass
class Outcome:
    """How the boards' deploys have ended. An interrupted one left each board its old version, or the new one."""

    uploaded: int = 0  # files, to all of them
    failed: dict[str, list[int]] = field(default_factory=dict)  # reason -> nodes
    interrupted: bool = False


def deploy(
    described: Project, members: list[Member], display: Display, port: str | None = None, from_source: bool = False
) -> Outcome:
    """Deploy members' boards, each at its port; at an interrupt by the user all are left.

    port: instead of the listed one; from_source: as Deployment has it.
    """
    stop = threading.Event()
    outcome = Outcome()

    def run(member: Member):
        def tell(text: str, share: float | None) -> None:
            if stop.is_set():
                raise _Interrupted
            display.tell(member, text, share)

        return Deployment(described, member, port or port_of(member), tell, from_source).run()

    with ThreadPoolExecutor(min(len(members), AT_ONCE)) as pool:
        jobs = {pool.submit(run, member): member for member in members}
        try:
            for job in as_completed(jobs):
                member = jobs[job]
                try:
                    result = job.result()
                except (DeployError, BoardError, PayloadError, ProjectError, boards.BoardError) as error:
                    outcome.failed.setdefault(str(error), []).append(member.id)
                    display.done(member, "failed", False)
                else:
                    outcome.uploaded += len(result.uploaded)
                    display.done(member, str(result), True)
        except KeyboardInterrupt:
            stop.set()
            outcome.interrupted = True
    return outcome

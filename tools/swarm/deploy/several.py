"""Deploys several boards: one alone that tries the version, then the others at the same time."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Protocol

from swarm import boards
from swarm.deploy import imports, payload
from swarm.deploy.deployment import Deployment, Result
from swarm.deploy.own_code import OwnFile, PayloadError
from swarm.deploy.remote import BadVersion, DeployError
from swarm.deploy.trial import TRIAL_S
from swarm.description.project import Member, Project, ProjectError, port_of
from swarm.serial.port import BoardError
from swarm.serial.targets import AT_ONCE, Target, ask


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
    untouched: list[int] = field(default_factory=list)  # nodes whose turn did not come, since the version failed before

    @property
    def nodes_failed(self) -> set[int]:
        """All nodes that were not brought to the version."""
        return {node for nodes in self.failed.values() for node in nodes}

    def add(self, member: Member, job: Future[Result], display: Display) -> bool:
        """Take how a board's deploy has ended; False when the version itself is at fault."""
        try:
            result = job.result()
        except (DeployError, BoardError, PayloadError, ProjectError, boards.BoardError) as error:
            self.failed.setdefault(str(error), []).append(member.id)
            display.done(member, "failed", False)
            return not isinstance(error, BadVersion)
        self.uploaded += len(result.uploaded)
        display.done(member, str(result), True)
        return True


def refuse_second(described: Project, member: Member, port: str) -> None:
    """Raise DeployError when the board at a port would become a member's second one, since the listed one answers."""
    try:
        listed = port_of(member)
    except ProjectError:
        return
    if os.path.realpath(listed) == os.path.realpath(port) or not os.path.exists(port):
        return
    answer = ask(Target(str(member.id), listed))
    if answer.get("swarm") == described.name and answer.get("node") == member.id:
        raise DeployError(
            f"node {member.id} answers at {listed}, where it is listed, and the board at {port} would be a second one "
            f"of that id: for the listed one leave --port away; to have this one take its place, switch the listed one "
            f"off, then `swarm replace {member.id} --port {port}`"
        )


def refuse_shared(described: Project) -> None:
    """Raise DeployError when two members are listed at one device, one by its serial number: that board would become
    one member and then the other."""
    owners: dict[str, Member] = {}
    for member in described.members:
        with contextlib.suppress(ProjectError):
            device = os.path.realpath(port_of(member))
            owner = owners.setdefault(device, member)
            if owner is not member:
                at = f"serial {member.serial!r}" if member.serial else f"port {member.port!r}"
                raise DeployError(
                    f"member {member.id}: {at}: member {owner.id} is at {device} too: each board is one member, so "
                    "correct or remove one"
                )


def deploy(
    described: Project,
    members: list[Member],
    own: list[OwnFile],
    display: Display,
    port: str | None = None,
    from_source: bool = False,
    trial_s: float = TRIAL_S,
) -> Outcome:
    """Deploy members' boards, each at its port; at an interrupt by the user all are left.

    own: the user's files, of payload.check_own; port: instead of the listed one; from_source: as Deployment has it;
    trial_s: how long a node that is not ready yet is watched. One board alone tries the version first, unless that is
    0; when it fails there the others are left as they are.
    """
    unsent = imports.unsent(own, payload.ours())
    stop = threading.Event()
    outcome = Outcome()

    def run(member: Member) -> Result:
        def tell(text: str, share: float | None) -> None:
            if stop.is_set():
                raise _Interrupted
            display.tell(member, text, share)

        at = port or port_of(member)
        return Deployment(described, member, at, tell, from_source, unsent=unsent, trial_s=trial_s).run()

    waiting = list(members)
    with ThreadPoolExecutor(min(len(members), AT_ONCE)) as pool:
        try:
            good = tried = trial_s <= 0
            while waiting and not tried:
                # A board that could not be talked to, or that is the wrong one, has tried nothing.
                member = waiting.pop(0)
                good = outcome.add(member, pool.submit(run, member), display)
                tried = not good or member.id not in outcome.nodes_failed
            jobs = {pool.submit(run, member): member for member in waiting} if good else {}
            if not good:
                outcome.untouched = [member.id for member in waiting]
            for job in as_completed(jobs):
                if job.cancelled():
                    outcome.untouched.append(jobs[job].id)
                elif not outcome.add(jobs[job], job, display):
                    for other in jobs:
                        other.cancel()  # those whose turn has not come
        except KeyboardInterrupt:
            stop.set()
            outcome.interrupted = True
    return outcome

"""What is wrong with the boards of a swarm: from what examination.py saw to findings, each with its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from swarm.deploy import payload
from swarm.deploy.deployment import EARLIEST_SESSION
from swarm.deploy.own_code import PayloadError
from swarm.deploy.trial import SLOTS
from swarm.description.project import Project, ProjectError
from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, listed
from swarm.doctor.findings_board import OfBoard
from swarm.doctor.findings_course import OfCourse
from swarm.doctor.findings_rubbish import OfRubbish
from swarm.watch import node_table

# Counters of frames that were not taken, and the faults of a board here that are a reason for them.
_REASONS = {
    "forged": {"key", "open", "locked"},
    "foreign": {"digest"},
    "stale": {"storage", "twice"},
    "outdated": {"digest"},
}


def find(
    described: Project,
    looked: list[Board],
    unread: list[Finding],
    listen: Callable[[list[Board]], dict[str, dict[str, Any]]],
) -> list[Finding]:
    """All that is wrong.

    looked: the boards that were looked at; unread: what is wrong with members that were not; listen: called with
    boards that have heard what none of these explains, it waits a while and returns their nodes' status, by port.
    """
    wrong = _own_error(described)
    between, board_by_board = _OfSwarm(described, looked, wrong), OfBoard(described, looked, wrong)
    found = [*between.of_project(), *unread]
    for board in looked:
        found += board_by_board.of(board)
    found = between.of_digests(found) + list(between.of_pairs())
    heard = between.unexplained({finding.fault for finding in found})
    rubbish = between.with_rubbish()
    if heard or rubbish:
        asked = [board for board, _ in heard]
        later = listen(asked + [board for board in rubbish if board not in asked])
        found += between.of_strangers(heard, later)
        found += between.of_rubbish(rubbish, later)
    return sorted(found, key=lambda one: (one.node is not None, one.node or 0, one.port or ""))


def without_port(node: int, error: ProjectError) -> Finding:
    """A member whose board is at no port."""
    what, _, remedy = str(error).removeprefix(f"member {node}: ").rpartition(": ")
    return Finding("absent", node, None, what, "this board was not looked at", remedy)


def _own_error(described: Project) -> str | None:
    """What is wrong with the user's code, as a deploy would tell it."""
    try:
        payload.check_own(described)
    except PayloadError as error:
        return str(error)
    return None


class _OfSwarm(OfRubbish, OfCourse):
    """Findings about the swarm's own files, and about what shows only between boards."""

    def of_project(self) -> Iterator[Finding]:
        """What is wrong with the swarm's own files."""
        if self.own_error:
            what, _, remedy = self.own_error.rpartition(": ")
            yield Finding("own code", None, None, what, "boards cannot be compared with it or deployed", remedy)
        try:
            self.swarm.check_secrets()
        except ProjectError as error:
            what, _, remedy = str(error).rpartition(": ")
            yield Finding(
                "key file" if str(self.swarm.key_path) in what else "password file",
                None,
                None,
                what,
                "boards cannot be compared with it or deployed",
                remedy,
            )

    def of_digests(self, found: list[Finding]) -> list[Finding]:
        """The findings with one in place of a board each, where no board has the swarm's digest."""
        told = [one for one in found if one.fault == "digest"]
        others: dict[str, list[int]] = {}
        for board in self.looked:
            if board.status is not None:
                others.setdefault(board.look["digest"], []).append(board.status["node"])
        if len(told) < 2 or self.swarm.digest() in others:
            return found
        theirs = "; ".join(f"{digest} of node {node_table.ids(sorted(nodes))}" for digest, nodes in others.items())
        differs = next(
            (f" ({detail})" for one in told if (detail := one.what.partition(": ")[2])), ""
        )  # looked at in full
        one = Finding(
            "digest",
            None,
            None,
            f"no board that was looked at has the swarm's digest, {self.swarm.digest()}: {theirs}{differs}",
            told[0].why,
            f"{self.deploy('--all')}, or put {self.swarm.path} right: it describes another swarm than the boards'",
        )
        return [one, *(one for one in found if one.fault != "digest")]

    def of_pairs(self) -> Iterator[Finding]:
        """What is wrong between boards: one id twice, a session number below the one that others know."""
        for node in self.swarm.ids:
            carriers = {_likeness(board): board for board in self.looked if board.runs_in(self.swarm) == node}
            if len(carriers) > 1:
                yield from self._twice(node, list(carriers.values()))
                continue
            for board in carriers.values():
                yield from self._session(board, node)
        yield from self.of_clocks()
        yield from self.of_restarts()

    def unexplained(self, explained: set[str]) -> list[tuple[Board, list[str]]]:
        """Boards that miss members and have counted frames for which no board that was looked at is the reason."""
        heard = []
        for board in self.looked:
            if board.status is not None and board.status["missing"] and board.runs_in(self.swarm) is not None:
                counts = board.status["counters"]
                names = [name for name, faults in _REASONS.items() if counts.get(name) and not explained & faults]
                if names:
                    heard.append((board, names))
        return heard

    def of_strangers(
        self, heard: list[tuple[Board, list[str]]], status: dict[str, dict[str, Any]]
    ) -> Iterator[Finding]:
        """What is still heard of boards that were not looked at; what is no more was put right since."""
        for board, names in heard:
            assert board.status is not None
            later = status.get(board.port, {}).get("counters", {})
            missing = listed(board.status["missing"])
            for name in names:
                more = later.get(name, 0) - board.status["counters"].get(name, 0)
                if more <= 0:
                    continue
                fault, what, why, who = {
                    "forged": (
                        "key",
                        f"{more} frames of another key were heard just now, and {missing} is not ready",
                        "nodes with different keys ignore each other; or a stranger sends",
                        "the one with the other key",
                    ),
                    "foreign": (
                        "digest",
                        f"{_foreign(board)} is heard, and {missing} is not ready",
                        f"the swarm's is {self.swarm.digest()}: name, members, quorum, period and rounds differ",
                        "the one with that digest",
                    ),
                    "outdated": (
                        "older firmware",
                        f"{more} frames of an older version were heard just now, and {missing} is not ready",
                        "nodes of another protocol version do not take part: a new version is for all boards at once",
                        "the one with the older firmware",
                    ),
                    "stale": (
                        "storage",
                        f"{more} frames of earlier sessions were heard just now, and {missing} is not ready",
                        "a board that has lost its session number is taken for a recording",
                        "the one that lost it",
                    ),
                }[name]
                remedy = f"plug {missing} in and repeat this; then {self.deploy('NODE')} with {who}"
                yield self.at(board, fault, what, why, remedy)

    def _twice(self, node: int, carriers: list[Board]) -> Iterator[Finding]:
        for board in carriers:
            others = [other for other in carriers if other is not board]
            known = board.hardware is not None and board.member and board.member.hardware == board.hardware
            rightful = known or (board.listed is not None and all(other.listed is None for other in others))
            yield Finding(
                "twice",
                node,
                board.port,
                f"id {node} is carried by {_listed_ports(others)} too",
                "the swarm takes two boards for one, and one of them stops",
                f"keep this one, which is listed; when the other is off: {self.reset(board)}"
                if rightful
                else f"give this one another id, or switch it off: {self.deploy('OTHER')} --port {board.port}",
            )

    def _session(self, board: Board, node: int) -> Iterator[Finding]:
        session = board.look["status"]["session"]
        known = {
            other.runs_in(self.swarm): other.session_of(node)
            for other in self.looked
            if other is not board and other.runs_in(self.swarm) is not None
        }
        later = {other: number for other, number in known.items() if number > session}
        never = board.facts.get("pointed") in SLOTS and session < EARLIEST_SESSION
        if later or never:
            what = f"its session is {session}, "
            if later:
                other, number = next(iter(later.items()))
                what += f"and node {other} has heard its session {number}"
            else:
                what += f"and a deploy leaves at least {EARLIEST_SESSION}"
            yield self.at(
                board,
                "storage",
                f"{what}: its stored number was lost",
                "the others take its frames for a recording and ignore them",
                self.deploy_board(board),
            )


def _likeness(board: Board) -> object:
    """The same for one board at two ports; two boards may have one hardware id, as those of some makers do."""
    assert board.status is not None
    return (board.hardware, board.status["session"]) if board.hardware else os.path.realpath(board.port)


def _foreign(board: Board) -> str:
    digest = board.look.get("foreign_digest")
    return f"digest {digest}" if digest else "another digest"


def _listed_ports(looked: list[Board]) -> str:
    return " and ".join(f"the board at {board.port}" for board in looked)

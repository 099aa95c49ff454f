"""What can be wrong with the boards of a swarm: from what examination.py saw to findings, each with its remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import swarm
from swarm import boards, firmware_cache, payload, project
from swarm.deployment import EARLIEST_SESSION, PLATFORMS
from swarm.examination import SLOTS, Board
from swarm.project import Project, ProjectError
from swarm.serial_repl import BoardError

_SHOWN = 3  # names of files in a message
_BOARD_FILES = ("faction.json", "faction.key", "sensor.mpy", "sensor.py")  # not of this checkout


# Counters of frames that were not taken, and the faults of a board here that are a reason for them.
_REASONS = {"forged": {"key", "open", "locked"}, "foreign": {"digest"}, "stale": {"storage", "twice"}}


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


def find(
    described: Project,
    looked: list[Board],
    unread: list[Finding],
    listen: Callable[[list[Board]], dict[str, dict[str, int]]],
) -> list[Finding]:
    """All that is wrong.

    looked: the boards that were looked at; unread: what is wrong with members that were not; listen: called with
    boards that have heard what none of these explains, it waits a while and returns their nodes' counters, by port.
    """
    doctor = _Doctor(described, looked)
    found = [*doctor.of_project(), *unread]
    for board in looked:
        found += doctor.of_board(board)
    found += doctor.of_pairs()
    heard = doctor.unexplained({finding.fault for finding in found})
    if heard:
        found += doctor.of_strangers(heard, listen([board for board, _ in heard]))
    return sorted(found, key=lambda one: (one.node is not None, one.node or 0, one.port or ""))


def without_port(described: Project, node: int, error: ProjectError) -> Finding:
    """A member whose board is at no port."""
    what, _, remedy = str(error).removeprefix(f"member {node}: ").rpartition(": ")
    return Finding("absent", node, None, what, "this board was not looked at", remedy)


class _Doctor:
    def __init__(self, described: Project, looked: list[Board]) -> None:
        self._swarm = described
        self._looked = looked
        self._files = "" if described.path == Path(project.FILE) else f" --swarm {described.path}"

    def of_project(self) -> Iterator[Finding]:
        """What is wrong with the swarm's own files."""
        try:
            self._swarm.key()
        except ProjectError as error:
            what, _, remedy = str(error).rpartition(": ")
            yield Finding("key file", None, None, what, "boards cannot be compared with it or deployed", remedy)

    def of_board(self, board: Board) -> Iterator[Finding]:
        """What is wrong with one board, whatever the others say."""
        if board.trouble is not None:
            yield self._of_port(board, board.trouble)
            return
        if board.application and board.status:
            yield from self._of_application(board, board.status)
            yield from self._of_state(board, board.status)
            return
        runtime = board.runtime or {}
        release = ".".join(str(part) for part in runtime["version"][:3])
        if runtime["implementation"] != "micropython" or board.refused:
            what = board.refused or f"it runs {runtime['implementation']} {release}"
            yield self._at(board, "firmware", what, "the node needs MicroPython's modules", self._flash(board))
            return
        yield from self._of_firmware(board, release)
        yield from self._of_identity(board)
        if board.status is None:
            yield self._not_started(board)
        else:
            yield from self._of_node(board, board.status)
        yield from self._of_files(board)

    def of_pairs(self) -> Iterator[Finding]:
        """What is wrong between boards: one id twice, a session number below the one that others know."""
        for node in self._swarm.ids:
            carriers = {
                board.hardware or os.path.realpath(board.port): board
                for board in self._looked
                if board.runs_in(self._swarm) == node
            }
            if len(carriers) > 1:
                yield from self._twice(node, list(carriers.values()))
                continue
            for board in carriers.values():
                yield from self._session(board, node)

    def unexplained(self, explained: set[str]) -> list[tuple[Board, list[str]]]:
        """Boards that miss members and have counted frames for which no board that was looked at is the reason."""
        heard = []
        for board in self._looked:
            if board.status is not None and board.status["missing"] and board.runs_in(self._swarm) is not None:
                counts = board.status["counters"]
                names = [name for name, faults in _REASONS.items() if counts[name] and not explained & faults]
                if names:
                    heard.append((board, names))
        return heard

    def of_strangers(
        self, heard: list[tuple[Board, list[str]]], counters: dict[str, dict[str, int]]
    ) -> Iterator[Finding]:
        """What is still heard of boards that were not looked at; what is no more was put right since."""
        for board, names in heard:
            assert board.status is not None
            later = counters.get(board.port, {})
            missing = _listed(board.status["missing"])
            for name in names:
                more = later.get(name, 0) - board.status["counters"][name]
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
                        f"the swarm's is {self._swarm.digest()}: other names, members or quorums do not mix",
                        "the one with that digest",
                    ),
                    "stale": (
                        "storage",
                        f"{more} frames of earlier sessions were heard just now, and {missing} is not ready",
                        "a board that has lost its session number is taken for a recording",
                        "the one that lost it",
                    ),
                }[name]
                remedy = f"plug {missing} in and repeat this; then {self._deploy('NODE')} with {who}"
                yield self._at(board, fault, what, why, remedy)

    # Words

    def _at(self, board: Board, fault: str, what: str, why: str, remedy: str) -> Finding:
        return Finding(fault, _node_of(board), board.port, what, why, remedy)

    def _deploy(self, who: object) -> str:
        return f"swarm deploy {who}{self._files}"

    def _deploy_board(self, board: Board) -> str:
        if board.member is None:
            return f"list it in {self._swarm.path}, then {self._deploy('NODE')} --port {board.port}"
        at = "" if board.listed is board.member and self._port_is_listed(board) else f" --port {board.port}"
        return self._deploy(board.member.id) + at

    def _port_is_listed(self, board: Board) -> bool:
        try:
            return board.member is not None and _same(project.port_of(board.member), board.port)
        except ProjectError:
            return False

    def _flash(self, board: Board) -> str:
        if board.member is None:
            return f"swarm flash --board BOARD --port {board.port}"
        if boards.facts(board.member.board)["flash"]["tool"] == "none":
            return "switch the virtual board off and on again"
        at = "" if self._port_is_listed(board) else f" --port {board.port}"
        return f"swarm flash {board.member.id}{self._files}{at}, then {self._deploy_board(board)}"

    def _reset(self, board: Board) -> str:
        return f"mpremote connect {board.port} reset"

    # One board

    def _of_port(self, board: Board, error: BoardError) -> Finding:
        told = str(error).removeprefix(f"{board.port}: ")
        what, _, remedy = told.partition("; ")
        why = "this board was not looked at"
        if error.kind == "busy" and (holder := find_holder(board.port)):
            what, remedy = f"busy: {holder} has it open", f"close {holder}"
            why = "one program at a time can talk to a board"
        elif error.kind == "forbidden":
            remedy = f"{remedy.removeprefix('type ').replace('`', '')}; until then: sudo chmod a+rw {board.port}"
            why = "every command that talks to this board fails"
        elif error.kind == "silent":
            what = "no MicroPython answers"
            why = "there is none on the board, or a program keeps it busy"
            remedy = f"{self._reset(board)}; if that does not help: {self._flash(board)}"
        return self._at(board, error.kind, what, why, remedy or "plug the board out and in again")

    def _of_firmware(self, board: Board, release: str) -> Iterator[Finding]:
        tried = firmware_cache.VERSION
        old = board.release < tuple(int(part) for part in tried.split("."))
        if old or board.unmade:
            what = f"its MicroPython is {release}" if old else board.unmade or ""
            why = f"the node is tried with {tried} and newer" if old else "its files cannot be compared or deployed"
            yield self._at(board, "firmware", what, why, self._flash(board))
        if board.member is None:
            return
        port = boards.facts(board.member.board)["port"]
        if board.facts["platform"] not in PLATFORMS.get(port, (port,)):
            yield self._at(
                board,
                "board",
                f"it runs MicroPython for {board.facts['platform']}, and is listed as {board.member.board}",
                "it would get the pins and the compiled files of another board",
                f"correct `board` of member {board.member.id} in {self._swarm.path}, or plug the right one in",
            )

    def _of_identity(self, board: Board) -> Iterator[Finding]:
        """Whose board it is, and whose it should be."""
        listed, member, path = board.listed, board.member, self._swarm.path
        if listed is not None and member is not listed and member is not None:
            yield self._at(
                board,
                "swapped",
                f"this port is listed for node {listed.id}, and the board is node {member.id}'s",
                "a deploy would be refused, or make a second board of one id",
                f"correct `port` of members {listed.id} and {member.id} in {path}, or swap the cables",
            )
        elif member is not None and member.hardware not in (None, board.hardware):
            yield self._at(
                board,
                "hardware",
                f"its hardware id is {board.hardware}, which is not listed; member {member.id} has {member.hardware}",
                "it is another board than the one that was written down, and a deploy refuses it",
                f"swarm replace {member.id} --port {board.port} --no-flash{self._files}, or plug the right board in",
            )
        elif member is None:
            yield self._at(
                board,
                "hardware",
                f"its hardware id is {board.hardware}, which is not listed, and no node of this swarm runs on it",
                "nobody will deploy it with the others",
                f'add a [[member]] with hardware = "{board.hardware}" to {path}, then {self._deploy_board(board)}',
            )

    def _not_started(self, board: Board) -> Finding:
        """Why no node runs."""
        what = f"its node is not started: {board.look.get('failure', 'main.py has not run')}"
        why = "this node takes no part"
        remedy = f"{self._reset(board)}; if that does not help: {self._deploy_board(board)}"
        if not board.look["loaded"] and not board.look.get("main"):
            what, remedy = "there is no node on it", self._deploy_board(board)
        elif "faction.skip" in what:
            remedy = f"mpremote connect {board.port} rm :faction.skip, then {self._reset(board)}"
        elif "button is held" in what:
            remedy = f"release it, then {self._reset(board)}"
        elif "sensor.py" in what:
            remedy = f"mend {self._swarm.path.parent / payload.SENSOR}, then {self._deploy_board(board)}"
        elif re.search(r"faction\.(json|key)|session", what):
            remedy = self._deploy_board(board)
        return self._at(board, "not started", what, why, remedy)

    def _of_node(self, board: Board, status: dict) -> Iterator[Finding]:
        """What the running node says of itself."""
        look, described = board.look, self._swarm
        if look["digest"] != described.digest():
            differs = [
                f"{what} {theirs}, not {ours}"
                for what, theirs, ours in (
                    ("name", status["swarm"], described.name),
                    ("members", _ids(look["ids"]), _ids(described.ids)),
                    ("quorum", look["required"], described.required),
                )
                if theirs != ours
            ]
            yield self._at(
                board,
                "digest",
                f"its digest is {look['digest']}, the swarm's is {described.digest()}: {'; '.join(differs)}",
                "nodes with different names, members or quorums ignore each other",
                self._deploy_board(board),
            )
        if look["channel"] != described.channel:
            yield self._at(
                board,
                "channel",
                f"its channel is {look['channel']}, the swarm's is {described.channel}",
                "radios on different channels do not hear each other",
                self._deploy_board(board),
            )
        if look["radio"] not in (None, look["channel"]):
            yield self._at(
                board,
                "radio",
                f"its radio is on channel {look['radio']}, though its node asked for {look['channel']}",
                "something has moved it since, such as a connection to an access point, and the node is deaf there",
                f"{self._reset(board)}; keep sensor.py and boot.py from connecting WiFi",
            )
        yield from self._of_key(board, status)
        yield from self._of_state(board, status)

    def _of_application(self, board: Board, status: dict) -> Iterator[Finding]:
        """What an application on asyncio tells of how it was provisioned; its prompt would tell more, and stop it."""
        if board.listed is not None and board.member is not board.listed:
            yield from self._of_identity(board)
        theirs, ours = (status["swarm"], status["required"]), (self._swarm.name, self._swarm.required)
        if theirs != ours:
            yield self._at(
                board,
                "digest",
                f"its swarm is {theirs[0]} with a quorum of {theirs[1]}, not {ours[0]} with {ours[1]}",
                "nodes with different names, members or quorums ignore each other",
                self._deploy_board(board),
            )
        if status["open"] != self._swarm.open:
            what = "it has no key, and the swarm is locked" if status["open"] else "it has a key, and the swarm is open"
            yield self._at(
                board,
                "open" if status["open"] else "locked",
                what,
                "nodes with different keys ignore each other",
                self._deploy_board(board),
            )

    def _of_state(self, board: Board, status: dict) -> Iterator[Finding]:
        """What a running node says of its course."""
        if status["conflict"]:
            yield self._at(
                board,
                "conflict",
                f"it has stopped: it heard another board that carries id {status['node']}",
                "it takes no further part until it is restarted",
                f"switch the other board off or give it another id, then {self._reset(board)}",
            )
        if status["timeouts"] and status["state"] != "Bootstrapped" and not status["conflict"]:
            yield self._at(
                board,
                "timed out",
                f"{status['timeouts']} deadlines have passed, and {_listed(status['missing'])} is not ready",
                f"{status['required']} must be ready before it samples",
                f"look at {_listed(status['missing'])}: power, sensor, distance, wires",
            )
        if status["errors"]:
            yield self._at(
                board,
                "errors",
                f"its node reports {status['errors'][-1]}",
                "samples or frames may be lost",
                f"put that right, then {self._reset(board)}",
            )

    def _of_key(self, board: Board, status: dict) -> Iterator[Finding]:
        if board.key_fits is not False:
            return
        if self._swarm.open:
            fault, what = "locked", "it has a key, and the swarm is described as open"
        elif status["open"]:
            fault, what = "open", f"it has no key, and the swarm is locked with {self._swarm.key_path}"
        else:
            fault, what = "key", f"it has another key than {self._swarm.key_path}"
        forged = {
            other.status["node"]: other.status["counters"]["forged"]
            for other in self._looked
            if other.status and other.status["counters"]["forged"]
        }
        heard = ", ".join(f"node {node} counts {count} forged frames" for node, count in forged.items())
        why = "nodes with different keys ignore each other" + (f": {heard}" if heard else "")
        yield self._at(board, fault, what, why, self._deploy_board(board))

    def _of_files(self, board: Board) -> Iterator[Finding]:
        """Whether its files are what a deploy would make them."""
        look, pointed = board.look, board.facts["pointed"]
        runs_from = (board.facts["runs_from"] or "").partition("/")[0]
        if runs_from in SLOTS and pointed != runs_from:
            yield self._at(
                board,
                "restart due",
                "a deploy was cut before its restart, so the version before runs",
                "at its next restart it changes its version",
                self._deploy_board(board),
            )
            return
        wrong = board.differs or []
        code = [path for path in wrong if path not in _BOARD_FILES]
        if pointed in SLOTS and board.facts["main"] != payload.hash_of(payload.MAIN.read_bytes()):
            code.append("main.py")
        if code or look.get("version", swarm.__version__) != swarm.__version__:
            release = f"its faction is {look['version']}, " if "version" in look else ""
            files = f": {_some(code)}" if code else ""
            yield self._at(
                board,
                "version",
                f"{release}here is {swarm.__version__}, and {len(code)} files differ{files}",
                "it runs other code than this checkout's",
                self._deploy_board(board),
            )
        if {"sensor.mpy", "sensor.py"} & set(wrong):
            yield self._at(
                board,
                "sensor",
                "its sensor.py is another than here",
                "it measures something else, or otherwise",
                self._deploy_board(board),
            )
        same = board.status and (look["digest"], look["channel"]) == (self._swarm.digest(), self._swarm.channel)
        if "faction.json" in wrong and same:
            yield self._at(
                board,
                "configuration",
                f"its faction.json is not what {self._swarm.path} says now",
                "times, links or hardware ids differ",
                self._deploy_board(board),
            )

    # Several boards

    def _twice(self, node: int, carriers: list[Board]) -> Iterator[Finding]:
        for board in carriers:
            others = [other for other in carriers if other is not board]
            rightful = board.hardware is not None and board.member and board.member.hardware == board.hardware
            yield Finding(
                "twice",
                node,
                board.port,
                f"id {node} is carried by {_listed_ports(others)} too",
                "the swarm takes two boards for one, and one of them stops",
                f"keep this one: it is the listed one; then {self._reset(board)}"
                if rightful
                else f"give this one another id, or switch it off: {self._deploy('OTHER')} --port {board.port}",
            )

    def _session(self, board: Board, node: int) -> Iterator[Finding]:
        session = board.look["status"]["session"]
        known = {
            other.runs_in(self._swarm): other.session_of(node)
            for other in self._looked
            if other is not board and other.runs_in(self._swarm) is not None
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
            yield self._at(
                board,
                "storage",
                f"{what}: its stored number was lost",
                "the others take its frames for a recording and ignore them",
                self._deploy_board(board),
            )


def _node_of(board: Board) -> int | None:
    if board.status is not None:
        return board.status["node"]
    return board.member.id if board.member else None


def _foreign(board: Board) -> str:
    digest = board.look.get("foreign_digest")
    return f"digest {digest}" if digest else "another digest"


def _ids(ids: list[int]) -> str:
    return ", ".join(map(str, ids))


def _listed(nodes: list[int]) -> str:
    return f"node {_ids(nodes)}"


def _listed_ports(looked: list[Board]) -> str:
    return " and ".join(f"the board at {board.port}" for board in looked)


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")


def _same(port: str, other: str) -> bool:
    return os.path.realpath(port) == os.path.realpath(other)


def find_holder(port: str) -> str | None:
    """The program that has a port open, where the system tells: its name and its process's number."""
    device = os.path.realpath(port)
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == device for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return None

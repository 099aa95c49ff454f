"""What can be wrong with one board: with its port, its MicroPython, its files, its node."""

from __future__ import annotations

import re
from collections.abc import Iterator

import swarm
from swarm import boards
from swarm.deploy import payload
from swarm.deploy.trial import SLOTS, failure
from swarm.doctor.examination import Board
from swarm.doctor.finding import Finding, ids, listed, some
from swarm.doctor.findings_application import APPLICATION_ERROR, NOT_STARTED
from swarm.doctor.findings_course import OfCourse
from swarm.doctor.findings_own import OfOwnCode
from swarm.doctor.findings_precedence import OfPrecedence
from swarm.doctor.findings_radio import OfRadio
from swarm.doctor.findings_wifi import WIFI_ERROR, OfWifi
from swarm.flash import cache
from swarm.serial.port import BoardError


class OfBoard(OfOwnCode, OfPrecedence, OfRadio, OfWifi, OfCourse):
    """Findings about one board at a time, whatever the others say."""

    def of(self, board: Board) -> Iterator[Finding]:
        """What is wrong with a board."""
        if board.trouble is not None:
            yield self._of_port(board, board.trouble)
            return
        if (board.application or board.via) and board.status:
            if board.listed is not None and board.member is not board.listed:
                yield from self._of_identity(board)
            yield from self.of_answer(board, board.status)
            yield from self._of_state(board, board.status)
            return
        runtime = board.runtime or {}
        release = ".".join(str(part) for part in runtime["version"][:3])
        if board.refused:
            yield self.at(board, "firmware", board.refused, "the node needs MicroPython's modules", self.flash(board))
            return
        yield from self._of_firmware(board, release)
        yield from self._of_identity(board)
        if "unknown" in board.look:
            what = f"its faction is of another version than here: {board.look['unknown']}"
            yield self.at(board, "version", what, "it cannot be examined", self.deploy_board(board))
            return
        if board.status is None:
            yield self._not_started(board)
        else:
            yield from self._of_node(board, board.status)
        yield from self._of_files(board)
        yield from self.of_precedence(board)

    def _of_port(self, board: Board, error: BoardError) -> Finding:
        told = str(error).removeprefix(f"{board.port}: ")
        what, _, remedy = told.partition("; ")
        why = "this board was not looked at"
        if error.kind == "busy":
            why = "one program at a time can talk to a board"
        elif error.kind == "forbidden":
            remedy = f"{remedy}; until then: sudo chmod a+rw {board.port}"
            why = "every command that talks to this board fails"
        elif error.kind == "other version":
            why = told if told.startswith("its status") else "it cannot be examined"
            return self.at(board, "version", "it runs another version of faction", why, self.deploy_board(board))
        elif error.kind == "foreign":
            return self.at(board, "firmware", what, "it runs no node", self.flash(board))
        elif error.kind == "silent":
            what = "no MicroPython answers"
            why = "there is none on the board, or a program keeps it busy"
            remedy = f"{self.reset(board)}; if that does not help: {self.flash(board)}"
        return self.at(board, error.kind, what, why, remedy or "unplug the board and plug it in again")

    def _of_firmware(self, board: Board, release: str) -> Iterator[Finding]:
        tried = cache.VERSION
        old = board.release < tuple(int(part) for part in tried.split("."))
        if old or board.unmade:
            what = f"its MicroPython is {release}" if old else board.unmade or ""
            why = f"the node is tried with {tried} and newer" if old else "its files cannot be compared or deployed"
            yield self.at(board, "firmware", what, why, self.flash(board))
        if board.member is None:
            return
        if unlike := boards.unlike(board.member.board, board.facts["platform"], board.facts["machine"]):
            yield self.at(
                board,
                "board",
                f"it runs MicroPython for {unlike}, and is listed as {board.member.board}",
                "it would get the pins and the compiled files of another board",
                f"correct `board` of member {board.member.id} in {self.swarm.path}, or plug the right one in",
            )

    def _of_identity(self, board: Board) -> Iterator[Finding]:
        """Whose board it is, and whose it should be."""
        listed, member, path = board.listed, board.member, self.swarm.path
        if listed is not None and member is not listed and member is not None:
            yield self.at(
                board,
                "swapped",
                f"this port is listed for node {listed.id}, and the board is node {member.id}'s",
                "a deploy would be refused, or make a second board of one id",
                f"correct `port` of members {listed.id} and {member.id} in {path}, or swap the cables",
            )
        elif member is not None and member.hardware not in (None, board.hardware):
            yield self.at(
                board,
                "hardware",
                f"its hardware id is {board.hardware}, which is not listed; member {member.id} has {member.hardware}",
                "it is another board than the one that was written down, and a deploy refuses it",
                f"swarm replace {member.id} --port {board.port} --no-flash{self.files}, or plug the right board in",
            )
        elif member is None:
            yield self.at(
                board,
                "hardware",
                f"its hardware id is {board.hardware}, which is not listed, and no node of this swarm runs on it",
                "nobody will deploy it with the others",
                f'add a [[member]] with hardware = "{board.hardware}" to {path}, then {self.deploy_board(board)}',
            )

    def _not_started(self, board: Board) -> Finding:
        """Why no node runs."""
        failure = board.look.get("failure", "main.py has not run").removeprefix("not started: ")
        what = f"its node is not started: {failure}"
        why = "this node takes no part"
        remedy = f"{self.reset(board)}; if that does not help: {self.deploy_board(board)}"
        if not board.look["loaded"] and not board.look.get("main"):
            what, remedy = "there is no node on it", self.deploy_board(board)
        elif "faction.skip" in what:
            remedy = f"mpremote connect {board.port} rm :faction.skip, then {self.reset(board)}"
        elif "button is held" in what:
            remedy = f"release it, then {self.reset(board)}"
        elif "your code hangs" in what:
            remedy = self.mend_sensor(board, what)
        elif "sensor.py" in what:
            what = what.removesuffix(": mend it, then deploy again")
            remedy = self.mend_sensor(board, what)
        elif re.search(r"faction\.(json|key|wifi)|session", what):
            remedy = self.deploy_board(board)
        return self.at(board, "not started", what, why, remedy)

    def _of_node(self, board: Board, status: dict) -> Iterator[Finding]:
        """What the running node says of itself."""
        look, described = board.look, self.swarm
        if look["digest"] != described.digest():
            differs = [
                f"{what} {theirs}, not {ours}"
                for what, theirs, ours in (
                    ("name", status["swarm"], described.name),
                    ("members", ids(look["ids"]), ids(described.ids)),
                    ("quorum", look["required"], described.required),
                    ("period_ms", (status.get("series") or {"period_ms": 0})["period_ms"], described.period_ms),
                    ("round_ms", look["round_ms"], described.agreed_round_ms),
                )
                if theirs != ours
            ]
            yield self.at(
                board,
                "digest",
                f"its digest is {look['digest']}, the swarm's is {described.digest()}: "
                + ("; ".join(differs) or "older firmware"),
                "nodes with different names, members, quorums, periods or rounds ignore each other",
                self.deploy_board(board),
            )
        if look["channel"] != described.channel:
            yield self.at(
                board,
                "channel",
                f"its channel is {look['channel']}, the swarm's is {described.channel}",
                "radios on different channels do not hear each other",
                self.deploy_board(board),
            )
        if look["radio"] not in (None, look["channel"]):
            yield self.at(
                board,
                "radio",
                f"its radio is on channel {look['radio']}, though its node asked for {look['channel']}",
                "something has moved it since, such as a connection to an access point, and the node is deaf there",
                f"{self.reset(board)}; keep sensor.py and boot.py from connecting WiFi",
            )
        yield from self._of_key(board, status)
        yield from self._of_state(board, status)

    def _of_state(self, board: Board, status: dict) -> Iterator[Finding]:
        """What a running node says of its course."""
        if status["conflict"]:
            yield self.at(
                board,
                "conflict",
                f"it has stopped: it heard another board that carries id {status['node']}",
                "it takes no further part until it is restarted",
                f"switch the other board off or give it another id, then {self.reset(board)}",
            )
        if status["timeouts"] and status["state"] != "Bootstrapped" and not status["conflict"]:
            yield self.at(
                board,
                "timed out",
                f"{status['timeouts']} deadlines have passed, and {listed(status['missing'])} is not ready",
                f"{status['required']} must be ready before it samples",
                f"look at {listed(status['missing'])}: power, sensor, distance, wires",
            )
        yield from self.of_series(board, status)
        yield from self.of_wifi(board, status)
        yield from self.of_radio(board, status["links"].get("espnow", {}))
        yield from self._of_errors(board, status)

    def _of_errors(self, board: Board, status: dict) -> Iterator[Finding]:
        yield from self.of_sensor(board, status)
        errors = status["errors"]
        own = [text for text in errors if text.startswith(APPLICATION_ERROR)]
        if own or status.get("application") == NOT_STARTED:
            yield self.of_own_error(board, own[-1] if own else f"an application.py that {NOT_STARTED}")
        told = [*own, *(text for text in errors if text.startswith(WIFI_ERROR))]
        errors = [text for text in errors if text not in told and failure([text]) is None]
        if errors:
            yield self.at(
                board,
                "errors",
                f"its node reports {errors[-1]}",
                "samples or frames may be lost",
                f"put that right, then {self.reset(board)}",
            )

    def _of_key(self, board: Board, status: dict) -> Iterator[Finding]:
        if board.key_fits is not False:
            return
        if self.swarm.open:
            fault, what = "locked", "it has a key, and the swarm is described as open"
        elif status["open"]:
            fault, what = "open", f"it has no key, and the swarm is locked with {self.swarm.key_path}"
        else:
            fault, what = "key", f"it has another key than {self.swarm.key_path}"
        forged = {
            other.status["node"]: other.status["counters"]["forged"]
            for other in self.looked
            if other is not board and other.status and other.status["counters"]["forged"]
        }
        heard = some([f"node {node} counts {count} forged frames" for node, count in forged.items()])
        why = "nodes with different keys ignore each other" + (f": {heard}" if heard else "")
        yield self.at(board, fault, what, why, self.deploy_board(board))

    def _of_files(self, board: Board) -> Iterator[Finding]:
        """Whether its files are what a deploy would make them."""
        look, pointed = board.look, board.facts["pointed"]
        runs_from = (board.facts["runs_from"] or "").partition("/")[0]
        if runs_from in SLOTS and pointed != runs_from:
            yield self.at(
                board,
                "restart due",
                "a deploy was cut before its restart, so the version before runs",
                "at its next restart it changes its version",
                self.deploy_board(board),
            )
            return
        if board.facts["before"] in SLOTS:
            yield self.at(
                board,
                "on trial",
                "a deploy was cut before its version's trial ended",
                "at its next restart the version before runs again, unless its node is ready until then",
                self.deploy_board(board),
            )
        wrong = board.differs or []
        code = [path for path in wrong if payload.is_ours(path)]
        if pointed in SLOTS and board.facts["main"] != payload.hash_of(payload.MAIN.read_bytes()):
            code.append("main.py")
        theirs, ours = look.get("version", swarm.__version__), swarm.__version__
        if code or theirs != ours:
            differ = [f"its faction is {theirs}, here is {ours}"] if theirs != ours else []
            differ += [f"{len(code)} of its files differ from those here: {some(code)}"] if code else []
            yield self.at(
                board,
                "version",
                "; ".join(differ),
                "it runs other code than this checkout's",
                self.deploy_board(board),
            )
        yield from self.of_own_files(board, wrong)
        same = board.status and (look["digest"], look["channel"]) == (self.swarm.digest(), self.swarm.channel)
        if board.key_fits is False:
            return  # of the key it is told already
        if "faction.wifi" in wrong:
            yield self.at(
                board,
                "password",
                f"its WiFi password is another than in {self.swarm.wifi_path}",
                "it joins no network with a wrong one",
                self.deploy_board(board),
            )
        if "faction.json" in wrong and same:
            yield self.at(
                board,
                "configuration",
                f"its faction.json is not what {self.swarm.path} says now",
                "times, links, WiFi or hardware ids differ",
                self.deploy_board(board),
            )

"""Brings one board to the version that swarm.toml describes: the host's half of a deploy; onboard.py is the board's.

The version goes into the slot that the board does not run, is verified there by its hashes, and takes over by the
rename of the pointer; the board runs its old version until it is then restarted. So a deploy may be cut at any point:
the board runs the old version or the new one, and the next deploy clears up what was left.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import serial
from mpremote.transport_serial import SerialTransport

from swarm import boards
from swarm.deploy import payload
from swarm.deploy.remote import MAKE_ROOM, DeployError, NoRoom, Remote, Silent
from swarm.deploy.start import listen
from swarm.description.project import Member, Project
from swarm.serial import application
from swarm.serial.port import BoardError, open_port
from swarm.serial.prompt import prompt

WORD_S = 30.0  # time for a restarted board to say that its node runs
_REOPEN_S = 0.1  # between attempts to open a port that went away with its board's restart
_EPOCH_S = 1_577_836_800  # 2020-01-01 UTC
# No deploy was before this, 2026-01-01 UTC: a lower number was never deployed, or lost with the board's storage.
EARLIEST_SESSION = 189_302_400
PLATFORMS = {"unix": ("linux", "darwin")}  # sys.platform of a port, where it is not the port's own name
SLOTS = ("faction.a", "faction.b")


@dataclass(frozen=True)
class Result:
    """What a deploy did. session: of the node that runs now."""

    uploaded: tuple[str, ...]  # paths
    uploaded_bytes: int
    kept: int  # files that were on the board already
    restarted: bool
    session: int
    old_main: str | None  # where the main.py is now that was on the board and is not the node's; None: there was none

    def __str__(self) -> str:
        """What was done, in a line."""
        if not self.uploaded:
            if self.restarted:
                return f"nothing uploaded, restarted, runs session {self.session}"
            return f"up to date, nothing uploaded, not restarted; session {self.session}"
        shown = ", ".join(self.uploaded) if len(self.uploaded) <= 2 else f"{len(self.uploaded)} files"
        size = f"{self.uploaded_bytes / 1000:.1f} KB"
        old = f"; the main.py that was on it is {self.old_main} now" if self.old_main else ""
        return f"{shown} uploaded ({size}), {self.kept} kept, runs session {self.session}{old}"


def seconds_since_2020() -> int:
    """The least session number that a deploy leaves. DeployError when this computer's clock is wrong."""
    now = int(time.time()) - _EPOCH_S
    if now < EARLIEST_SESSION:
        said = time.strftime("%Y-%m-%d", time.gmtime(now + _EPOCH_S))
        raise DeployError(f"this computer's clock says {said}, and session numbers come from it: set it first")
    return now


class Deployment:
    """One board's deploy.

    tell(text, share): what is being done, and the share of the upload that is done, or None; it may raise to end the
    deploy. from_source: send the sources, for a board that does not load compiled files. above: the node is to start in
    a session above this one.
    """

    def __init__(
        self,
        project: Project,
        member: Member,
        port: str,
        tell: Callable[[str, float | None], None] = lambda *_: None,
        from_source: bool = False,
        above: int = 0,
    ) -> None:
        self._project, self._member, self._port = project, member, port
        self._tell = tell
        self._from_source = from_source
        self._above = above
        self._uploaded: list[str] = []
        self._bytes = self._kept = 0
        self._old_main: str | None = None

    def run(self) -> Result:
        """Deploy. Raises DeployError, and BoardError, PayloadError or ProjectError, with what to do."""
        least = max(seconds_since_2020(), self._above)
        self._tell("connecting", None)
        with ExitStack() as ports:
            transport = ports.enter_context(open_port(self._port))
            stopped = application.stop(transport, self._port)
            with prompt(transport, self._port):
                remote = Remote(transport)
                slot, stored, restart = self._install(remote, least)
                if restart:
                    remote.reset()
                else:
                    remote.forget()
            if restart:
                stored = self._await_word(ports, transport, slot, stored)
            elif stopped:
                application.run(transport)
        return Result(tuple(self._uploaded), self._bytes, self._kept, restart, stored, self._old_main)

    def _install(self, remote: Remote, least: int) -> tuple[str, int, bool]:
        """Have the board hold the new version and point to it.

        Returns its slot, the stored session number, and whether the board is to be restarted.
        """
        facts = remote.ask("survey")
        files = self._build(facts)
        remote.call("expect", {path: payload.hash_of(data) for path, data in files.items()})
        active = facts["pointed"] if facts["pointed"] in SLOTS else None
        running = _slot_of(facts["runs_from"])
        if running and running != active:
            # A deploy was cut between its rename and the restart. What runs may load more files of its slot, so that
            # slot cannot be the one to fill.
            remote.call("switch", running)
            active = running
        main = facts["main"] != payload.hash_of(payload.MAIN.read_bytes())
        slot = active
        if active is None or remote.ask("compare", active):
            slot = next(slot for slot in SLOTS if slot != active)
            try:
                self._fill(remote, slot, active, files)
            except NoRoom:
                remote.call("clear", slot)
                raise
        stored = remote.ask("session", slot)
        restart = running is None or slot != active or main or stored < EARLIEST_SESSION or stored <= self._above
        if restart:
            # Before anything runs the new version: should the power go then, it starts in a session that counts.
            remote.call("raise_session", slot, least)
            stored = max(stored, least)
        if slot != active:
            remote.call("switch", slot)
        if main:
            self._replace_main(remote)
        return slot, stored, restart

    def _build(self, facts: dict) -> dict[str, bytes]:
        """The files for the board that these facts are about; refuses a board that is not the member's."""
        member = self._member
        board = boards.facts(member.board)
        release = ".".join(str(part) for part in facts["version"])
        if facts["name"] != "micropython":
            raise DeployError(f"it runs {facts['name']} {release}, and the node needs MicroPython: flash it")
        if facts["platform"] not in PLATFORMS.get(board["port"], (board["port"],)):
            raise DeployError(
                f"it runs MicroPython for {facts['platform']}, and member {member.id} is listed as {member.board}: "
                "correct `board` in the swarm's file, or the port"
            )
        if member.hardware not in (None, facts["hardware"]):
            raise DeployError(
                f"its hardware id is {facts['hardware']}, and member {member.id} is listed with {member.hardware}: "
                "correct `hardware` in the swarm's file, or the port"
            )
        target = None
        if not self._from_source:
            target = payload.Target(facts["mpy"], release)
            target.check()
        return payload.build(self._project, member, target)

    def _fill(self, remote: Remote, slot: str, active: str | None, files: dict[str, bytes]) -> None:
        """Bring a slot to the new version, and verify it: copies on the board first, then uploads."""
        self._tell("comparing", None)
        arranged = remote.ask("arrange", slot, active or slot)
        missing, free, block = arranged["missing"], arranged["free"], arranged["block"]
        self._kept = len(files) - len(missing)
        total = sum(len(files[path]) for path in missing)
        needed = sum(-(-len(files[path]) // block) * block for path in missing)
        if needed > free:
            raise NoRoom(f"{needed // 1024} KB of flash are needed and {free // 1024} KB are free: {MAKE_ROOM}")
        for path in missing:
            sent = self._bytes
            self._tell(f"sending {path}", sent / total)
            remote.write(f"{slot}/{path}", files[path], lambda count, sent=sent: self._sent(sent + count, total))
            self._uploaded.append(path)
        self._tell("verifying", None)
        if wrong := remote.ask("compare", slot):
            raise DeployError(
                f"{', '.join(wrong)} differ there from what was sent: deploy again; its flash may be worn"
            )

    def _sent(self, count: int, total: int) -> None:
        self._bytes = count
        self._tell("sending", count / total)

    def _replace_main(self, remote: Remote) -> None:
        data = payload.MAIN.read_bytes()
        self._tell("sending main.py", None)
        remote.write("main.py.new", data, lambda _: None)
        answer = remote.ask("replace_main", payload.hash_of(data))
        if answer["hash"] != payload.hash_of(data):
            raise DeployError("its main.py differs from what was sent: deploy again, its flash may be worn")
        self._old_main = answer["kept"]
        self._uploaded.append("main.py")
        self._bytes += len(data)

    def _await_word(self, ports: ExitStack, transport: SerialTransport, slot: str, stored: int) -> int:
        """Wait until the restarted board's node says that it runs, as the new version; returns its session number."""
        deadline = time.monotonic() + WORD_S
        said = ""
        while True:
            try:
                self._tell("waiting for its word", None)
                said = listen(transport, deadline)
                word = self._word(transport)
                return self._judge(word, slot, stored, said)
            except (BoardError, Silent, OSError, serial.SerialException) as error:
                # A board with USB of its own takes the port away at its restart.
                if time.monotonic() > deadline:
                    raise DeployError(f"the new version is on it, and no node has said that it runs: {error}") from None
                ports.close()
                time.sleep(_REOPEN_S)
                transport = self._reopen(ports, deadline)

    def _word(self, transport: SerialTransport) -> dict:
        """What runs on the board; an application on asyncio is asked without stopping it."""
        status = application.of_application(transport, self._port)
        if status is not None:
            return {"status": status, "digest": status["digest"], "runs_from": status["runs_from"]}
        with prompt(transport, self._port):
            return Remote(transport).ask("word")

    def _reopen(self, ports: ExitStack, deadline: float) -> SerialTransport:
        while True:
            try:
                return ports.enter_context(open_port(self._port))
            except BoardError as error:
                if time.monotonic() > deadline:
                    raise DeployError(f"the new version is on it, and its port did not come back: {error}") from None
                time.sleep(_REOPEN_S)

    def _judge(self, word: dict, slot: str, stored: int, said: str) -> int:
        """The session number of a node that is the one it should be; DeployError when it is not."""
        if "error" in word:
            why = f"{word['error']}: {said}" if said else word["error"]
            raise DeployError(f"the new version is on it, and its node does not run: {why}")
        status = word["status"]
        differs = ""
        if _slot_of(word["runs_from"]) != slot:
            differs = f"its main.py loads {word['runs_from']}: is another main.py frozen into its firmware?"
        elif status["node"] != self._member.id or word["digest"] != self._project.digest():
            differs = f"it is node {status['node']} of a swarm with digest {word['digest']}"
        elif status["session"] <= stored:
            differs = f"its session is {status['session']}, and {stored} was stored: its storage does not keep it"
        if differs:
            raise DeployError(f"the new version is on it, and something else runs: {differs}")
        return status["session"]


def _slot_of(file: str | None) -> str | None:
    """The slot that a file of the library is in; None for one outside, and for a board where no node runs."""
    slot = (file or "").partition("/")[0]
    return slot if slot in SLOTS else None

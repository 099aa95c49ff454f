"""Brings one board to the version that swarm.toml describes: the host's half of a deploy; onboard.py is the board's.

The version goes into the slot that the board does not run, is verified there by its hashes, and takes over by the
rename of the pointer; the board runs its old version until it is then restarted for the new one's trial. So a deploy
may be cut at any point: the board runs the old version or the new one, and the next deploy clears up what was left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from swarm import boards
from swarm.deploy import payload, precedence
from swarm.deploy.own_code import LIBRARY
from swarm.deploy.remote import MAKE_ROOM, BadVersion, DeployError, Disturbed, NoRoom, Remote
from swarm.deploy.trial import NOT_NOW, SLOTS, TRIAL_S, Trial, failing, failure, slot_of
from swarm.description.project import Member, Project
from swarm.serial import application
from swarm.serial.port import GONE, BoardError, open_port
from swarm.serial.prompt import HANG_S, enter, prompt

_BACK_S = 3.0  # for a port to come back after its board's restart
_EPOCH_S = 1_577_836_800  # 2020-01-01 UTC
# No deploy was before this, 2026-01-01 UTC: a lower number was never deployed, or lost with the board's storage.
EARLIEST_SESSION = 189_302_400
_OLDEST = (1, 24)  # MicroPython that counts its ticks right after 2^30 ms of uptime; hindrance.py asks as well


@dataclass(frozen=True)
class Result:
    """What a deploy did. session: of the node that runs now."""

    uploaded: tuple[str, ...]  # paths
    uploaded_bytes: int
    kept: int  # files that were on the board already
    restarted: bool
    session: int
    old_main: str | None  # where the main.py is now that was on the board and is not the node's; None: there was none
    notes: tuple[str, ...] = ()  # what else has changed on the board

    def __str__(self) -> str:
        """What was done, in a line."""
        if not self.uploaded:
            if self.restarted:
                return f"nothing uploaded, restarted, runs session {self.session}{self._noted}"
            return f"up to date, nothing uploaded, not restarted; session {self.session}{self._noted}"
        shown = ", ".join(self.uploaded) if len(self.uploaded) <= 2 else f"{len(self.uploaded)} files"
        size = f"{self.uploaded_bytes / 1000:.1f} KB"
        old = f"; the main.py that was on it is {self.old_main} now" if self.old_main else ""
        return f"{shown} uploaded ({size}), {self.kept} kept, runs session {self.session}{old}{self._noted}"

    @property
    def _noted(self) -> str:
        return "".join(f"; {note}" for note in self.notes)


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
    a session above this one. unsent: modules that the user's code imports and that are not sent, with who imports them.
    trial_s: how long a node that is not ready yet is watched.
    """

    def __init__(
        self,
        project: Project,
        member: Member,
        port: str,
        tell: Callable[[str, float | None], None] = lambda *_: None,
        from_source: bool = False,
        above: int = 0,
        unsent: Mapping[str, str] | None = None,
        trial_s: float = TRIAL_S,
    ) -> None:
        self._project, self._member, self._port = project, member, port
        self._tell = tell
        self._from_source = from_source
        self._above = above
        self._unsent = unsent or {}
        self._trial_s = trial_s
        self._uploaded: list[str] = []
        self._bytes = self._kept = 0
        self._old_main: str | None = None
        self._notes: list[str] = []

    def run(self) -> Result:
        """Deploy. Raises DeployError, and BoardError, PayloadError or ProjectError, with what to do."""
        try:
            return self._run()
        except BoardError as error:
            if error.kind != "silent" or not isinstance(error.__cause__, GONE):
                raise
        # A board with USB of its own takes the port away while its watchdog ends what hangs there.
        time.sleep(_BACK_S)
        return self._run()

    def _run(self) -> Result:
        least = max(seconds_since_2020(), self._above)
        self._tell("connecting", None)
        with ExitStack() as ports:
            transport = ports.enter_context(open_port(self._port))
            stopped = application.stop(transport, self._port)
            restart = False
            try:
                with prompt(transport, self._port, HANG_S):
                    remote, (slot, back, stored, restart) = self._bring(transport, least)
                    if restart:
                        remote.reset()
                    else:
                        remote.forget()
            finally:
                if stopped and not restart:
                    with suppress(OSError, serial.SerialException):
                        application.run(transport)
            if restart:
                stored = self._try(ports, transport, slot, back, stored)
        return Result(
            tuple(self._uploaded), self._bytes, self._kept, restart, stored, self._old_main, tuple(self._notes)
        )

    def _try(self, ports: ExitStack, transport: SerialTransport, slot: str, back: str | None, stored: int) -> int:
        """See the new version run; its session."""
        trial = Trial(self._project, self._member, self._port, ports, transport, self._tell)
        return trial.run(slot, back, stored, self._trial_s)

    def _bring(self, transport: SerialTransport, least: int) -> tuple[Remote, tuple[str, str | None, int, bool]]:
        """Install on a board whose node runs on meanwhile, or on a quiet one when what runs there does not allow that:
        it may take all memory, or print what spoils the answers. Returns what was spoken with, and _install's answer.
        """
        try:
            remote = Remote(transport)
            return remote, self._install(remote, least)
        except Disturbed as error:
            self._tell("stopping what disturbs", None)
            try:
                enter(transport, HANG_S)
                transport.soft_reset()
            except (TransportError, OSError, serial.SerialException):
                raise error from None
        self._uploaded.clear()
        self._notes.clear()
        self._bytes = 0
        remote = Remote(transport)
        try:
            return remote, self._install(remote, least)
        except BaseException:
            with suppress(DeployError):
                remote.reset()  # it runs as before
            raise

    def _install(self, remote: Remote, least: int) -> tuple[str, str | None, int, bool]:
        """Have the board hold the new version and point to it.

        Returns its slot, the slot to go back to, the stored session number, and whether the board is to be restarted.
        """
        facts = remote.survey()
        files = self._build(facts)
        remote.call("expect", {path: payload.hash_of(data) for path, data in files.items()})
        active = facts["pointed"] if facts["pointed"] in SLOTS else None
        running = slot_of(facts["runs_from"])
        if running and running != active:
            # A deploy was cut between its rename and the restart. What runs may load more files of its slot, so that
            # slot cannot be the one to fill.
            remote.call("switch", running)
            active = running
        elif running is None and facts["before"] in SLOTS:
            # So was one whose version does not start: the one before is worth more.
            remote.call("switch", facts["before"])
            active = facts["before"]
        main = facts["main"] != payload.hash_of(payload.MAIN.read_bytes())
        slot = active
        if active is None or remote.ask("compare", active):
            slot = next(slot for slot in SLOTS if slot != active)
            self._refuse_lacking(remote)
            remote.call("keep")
            remote.call("still", False)
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
        elif failed := failure(facts["errors"], NOT_NOW):
            raise BadVersion(f"it is up to date, and {failing(failed)}: mend it, then deploy again")
        back = None
        if slot != active:
            back = running if not failure(facts["errors"]) else None
            remote.call("switch", slot, back)
        elif facts["before"]:
            remote.call("keep")
        if main:
            self._replace_main(remote)
        self._tell_precedence(remote, facts, active is None, precedence.KEY in files)
        return slot, back, stored, restart

    def _tell_precedence(self, remote: Remote, facts: dict, first: bool, locked: bool) -> None:
        """Note what the version takes the place of; a locked one never leaves what would start open in its place."""
        if first:
            self._notes += precedence.notes(facts, self._project.path.parent)
        if locked and precedence.would_open(facts):
            aside = remote.ask("put_aside", precedence.CONFIGURATION)
            self._notes.append(f"the faction.json without a key that was in its root is {aside} now")

    def _refuse_lacking(self, remote: Remote) -> None:
        """Raise BadVersion when the board has not what the user's code imports."""
        if not self._unsent:
            return
        remote.load(Path(__file__).with_name("onboard_modules.py"))
        lacking = remote.ask_again("lacking", list(self._unsent), SLOTS)
        if lacking:
            said = "; ".join(f"{self._unsent[name]} imports {name}" for name in lacking)
            raise BadVersion(
                f"{said}: neither sent nor on the board: put it into {self._project.path.parent / LIBRARY}, or give "
                f"it to each board: mpremote connect {self._port} resume mip install {lacking[0]}"
            )

    def _build(self, facts: dict) -> dict[str, bytes]:
        """The files for the board that these facts are about; refuses a board that is not the member's."""
        member = self._member
        release = ".".join(str(part) for part in facts["version"])
        if unlike := boards.unlike(member.board, facts["platform"], facts["machine"]):
            raise DeployError(
                f"it runs MicroPython for {unlike}, and member {member.id} is listed as {member.board}: "
                "correct `board` in the swarm's file, or the port"
            )
        if member.hardware not in (None, facts["hardware"]):
            raise DeployError(
                f"its hardware id is {facts['hardware']}, and member {member.id} is listed with {member.hardware}: "
                "correct `hardware` in the swarm's file, or the port"
            )
        if tuple(facts["version"][:2]) < _OLDEST:
            raise DeployError(
                f"its MicroPython {release} tells the time wrongly from the 13th day on: `swarm flash` it with 1.24 "
                "or newer"
            )
        target = payload.Target(facts["mpy"], release)
        if not self._from_source:
            target.check()
        return payload.build(self._project, member, target, self._from_source)

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

"""A restarted board's trial: its node has to say that it runs as the new version, and its sensor to warm up without an
error. A board on which it does not goes back to the version before, where there is one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar

import serial
from mpremote.transport_serial import SerialTransport

from swarm.deploy.questions import AtPrompt, ByLines, Questions
from swarm.deploy.remote import BadVersion, DeployError, Remote, Silent
from swarm.deploy.start import listen
from swarm.description.project import Member, Project
from swarm.serial import application
from swarm.serial.port import BoardError, open_port
from swarm.serial.prompt import prompt

WORD_S = 30.0  # time for a restarted board to say that its node runs
TRIAL_S = 5.0  # for which a node that is not ready yet is watched, unless the user says otherwise
SLOTS = ("faction.a", "faction.b")
_SETTLE_S = 1.0  # for which a node that is ready is watched: among others that are it samples in that time
_LOOK_S = 0.3  # between looks at a node on trial
_REOPEN_S = 0.1  # between attempts to open a port that went away with its board's restart
_AWAY = (BoardError, Silent, OSError, serial.SerialException)
# What a node says of the user's code; not that a tool has stopped its application.
_OF_OWN = re.compile(r"(warm_up\(\)|sample\(\)|sensor|application): (?!KeyboardInterrupt|RuntimeError: did not stop)")
_NOT_YET = re.compile(r"warm_up\(\): OSError")  # hardware that does not answer yet
NOT_NOW = re.compile(r"(warm_up|sample)\(\): OSError")  # or did not that time

_WITHOUT = "no version that runs well was on it before"

_T = TypeVar("_T")


class Trial:
    """Follows one board from its restart until it can be left alone.

    tell(text, share): what is being done; it may raise to end the trial.
    """

    def __init__(
        self,
        project: Project,
        member: Member,
        port: str,
        ports: ExitStack,
        transport: SerialTransport,
        tell: Callable[[str, float | None], None],
    ) -> None:
        self._project, self._member, self._port = project, member, port
        self._ports, self._transport = ports, transport
        self._tell = tell

    def run(self, slot: str, back: str | None, stored: int, trial_s: float) -> int:
        """See the version in that slot run, in a session above the stored one; returns its session.

        back: the slot to go back to, None for none; trial_s: how long a node that warms up is watched. Raises
        BadVersion when the version does not start or its sensor fails, and DeployError for what else is wrong.
        """
        try:
            return self._follow(lambda node: self._try(node, slot, back, stored, trial_s), WORD_S + trial_s)
        except BadVersion as error:
            raise BadVersion(f"{error}; {self._go_back(back)}") from None
        except DeployError as error:
            with suppress(DeployError, *_AWAY), self._asking() as node:
                node.keep()  # what is wrong is not of the version's making
            raise DeployError(f"the new version is on it, and {error}") from None

    def _follow(self, look: Callable[[Questions], _T], patience_s: float) -> _T:
        """What look(node) returns for a board that has just been restarted, once its node can be asked."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self._tell("waiting for its word", None)
                listen(self._transport, deadline)
                with self._asking() as node:
                    seen = look(node)
                    node.keep()
                    return seen
            except _AWAY as error:
                # A board with USB of its own takes the port away at its restart.
                if time.monotonic() > deadline:
                    why = "nothing answers" if getattr(error, "kind", "") == "silent" else error
                    raise BadVersion(f"no node has said that it runs: {why}") from None
                self._ports.close()
                time.sleep(_REOPEN_S)
                self._reopen(deadline)

    def _reopen(self, deadline: float) -> None:
        while True:
            try:
                self._transport = self._ports.enter_context(open_port(self._port))
                return
            except BoardError as error:
                if time.monotonic() > deadline:
                    raise DeployError(f"its port did not come back: {error}") from None
                time.sleep(_REOPEN_S)

    @contextmanager
    def _asking(self) -> Iterator[Questions]:
        """How to ask a board's node again and again."""
        if application.of_application(self._transport, self._port) is not None:
            yield ByLines(self._transport, self._port)
            return
        with prompt(self._transport, self._port):
            yield AtPrompt(self._transport)

    def _try(self, node: Questions, slot: str, back: str | None, stored: int, trial_s: float) -> int:
        """Judge a node, and watch it until it is ready and has taken a sample, or the time is over; its session."""
        end = time.monotonic() + trial_s
        settled = time.monotonic() + _SETTLE_S
        rehearsed = False
        while True:
            status = self._judge(node.status(), slot, back, stored)
            ready = self._member.id in status["ready"]
            settled = time.monotonic() + _SETTLE_S if not ready else settled
            if failed := failure(status["errors"], _NOT_YET if ready or time.monotonic() < end else None):
                raise BadVersion(f"{failing(failed)}: mend it, then deploy again")
            now = time.monotonic()
            if now >= end and not ready or trial_s == 0:
                return status["session"]
            if now >= settled and not _sample_is_due(status):
                if rehearsed or status["sample"]:
                    return status["session"]
                node.rehearse()
                rehearsed = True
                settled = time.monotonic() + (_SETTLE_S if status["application"] else 0)
            self._tell("ready" if ready else "warming up", None)
            time.sleep(_LOOK_S)

    def _judge(self, status: dict, slot: str, back: str | None, stored: int) -> dict:
        """The status of a node that is the one it should be; DeployError when it is not."""
        if "failure" in status:
            raise BadVersion(f"its node does not run: {status['failure']}")
        differs = ""
        runs = slot_of(status["runs_from"])
        if runs != slot:
            if back is not None and runs == back:
                raise BadVersion("the new version made it restart, as code that hangs does: mend it, then deploy again")
            differs = f"its main.py loads {status['runs_from']}: is another main.py frozen into its firmware?"
        elif status["node"] != self._member.id or status["digest"] != self._project.digest():
            differs = f"it is node {status['node']} of a swarm with digest {status['digest']}"
        elif status["session"] <= stored:
            differs = f"its session is {status['session']}, and {stored} was stored: its storage does not keep it"
        if differs:
            raise DeployError(f"something else runs: {differs}")
        return status

    def _go_back(self, slot: str | None) -> str:
        """Have the board run the version before again, in that slot; says how that went."""
        self._tell("going back to the version before", None)
        try:
            application.stop(self._transport, self._port)
            with prompt(self._transport, self._port):
                remote = Remote(self._transport)
                if slot is None:
                    remote.call("keep")
                    return f"{_WITHOUT}: the board stays reachable, without a node that works, until the next deploy"
                remote.call("switch", slot)
                remote.reset()
        except (DeployError, *_AWAY):
            if slot is None:
                return f"{_WITHOUT}, and it does not answer"
            return "it does not answer: reset it, and the version before runs again"
        try:
            self._follow(lambda node: _check_slot(node.status(), slot), WORD_S)
            return "the version before runs again"
        except (DeployError, *_AWAY) as error:
            return f"the version before is to run again, and {error}"


def _check_slot(status: dict, slot: str) -> None:
    """Raise DeployError when no node runs from that slot."""
    if "failure" in status or slot_of(status["runs_from"]) != slot:
        raise DeployError(f"it does not: {status.get('failure') or status['runs_from']}")


def failure(errors: list[str], passing: re.Pattern | None = None) -> str | None:
    """What has gone wrong in the user's code, of the errors that a node tells, but for passing ones; None: nothing."""
    for text in errors:
        if _OF_OWN.match(text) and not (passing and passing.match(text)):
            return text
    return None


def failing(text: str) -> str:
    """A failure in words."""
    return f"its {'application' if text.startswith('application') else 'sensor'} fails: {text}"


def _sample_is_due(status: dict) -> bool:
    """Whether the first sample is still to come, at an instant that is agreed: then what it raises is told, too."""
    return status["sample"] is None and (status["instant_in_us"] or 0) > 0


def slot_of(file: str | None) -> str | None:
    """The slot that a file of the library is in; None for one outside, and for a board where no node runs."""
    slot = (file or "").partition("/")[0]
    return slot if slot in SLOTS else None

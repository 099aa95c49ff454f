"""What a node on trial is asked, at its board's prompt or, where an application has the prompt's place, by lines."""

from __future__ import annotations

from mpremote.transport_serial import SerialTransport

from swarm.deploy.remote import Remote, Silent
from swarm.serial import application


class AtPrompt:
    """Asks at a board's raw REPL."""

    def __init__(self, transport: SerialTransport) -> None:
        self._remote = Remote(transport)

    def status(self) -> dict:
        """What the node tells of itself; {"failure": why} when none runs."""
        return self._remote.ask_again("word")

    def rehearse(self) -> None:
        """Have the sensor take a sample that counts for nothing; what goes wrong is among the status's errors."""
        self._remote.call("rehearse")

    def keep(self) -> None:
        """Have the version stay that runs: its trial is over."""
        self._remote.call("keep")
        self._remote.forget()


class ByLines:
    """Asks the node beside an application by lines; the prompt would stop that. Silent when it has ended meanwhile."""

    def __init__(self, transport: SerialTransport, port: str) -> None:
        self._transport, self._port = transport, port

    def status(self) -> dict:
        """As AtPrompt has it."""
        return self._ask("status")

    def rehearse(self) -> None:
        """As AtPrompt has it; a coroutine has only begun by then."""
        self._ask("rehearse")

    def keep(self) -> None:
        """As AtPrompt has it."""
        self._ask("keep")

    def _ask(self, request: str) -> dict:
        status = application.of_application(self._transport, self._port, request)
        if status is None:
            raise Silent("its application has ended")
        return status


Questions = AtPrompt | ByLines

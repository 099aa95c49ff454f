"""A board at a serial port, as a device that replays vectors: nothing is written to it, and its node goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from swarm import runtimes
from swarm.serial.port import BoardError
from swarm.serial.prompt import raw_repl


@contextmanager
def board(port: str) -> Iterator["Plugged"]:
    """The board at a port, its prompt in use until the block ends. runtimes.RuntimeMissing when it cannot be had."""
    try:
        with raw_repl(port) as transport:
            yield Plugged(transport, port)
    except BoardError as error:
        raise runtimes.RuntimeMissing(str(error)) from error


class Plugged:
    """The raw REPL of a board, through mpremote's transport; a pieces.Device."""

    max_members = None

    def __init__(self, transport: SerialTransport, port: str) -> None:
        self._transport = transport
        self._port = port

    def load(self, source: str) -> None:
        """Define what source defines, in the prompt's own names."""
        self.execute(source)

    def execute(self, code: str) -> str:
        """Run code and return what it printed. runtimes.ScriptFailed when it raises or the board falls silent."""
        try:
            return self._transport.exec(code).decode("utf-8", "replace")
        except TransportExecError as error:
            raise runtimes.ScriptFailed(f"{self._port}: {error.error_output}") from None
        except (TransportError, OSError) as error:
            raise runtimes.ScriptFailed(f"{self._port}: the board stopped answering: {error}") from None

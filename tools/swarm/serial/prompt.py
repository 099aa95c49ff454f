"""A board's prompt, for code to run there: the raw REPL, entered without a soft reset.

So a node that runs from a timer goes on meanwhile, and may print a line at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from swarm.serial import who
from swarm.serial.answer import SHOWN
from swarm.serial.port import ANSWER_S, BoardError, open_port

_ATTEMPTS = 3  # at having the prompt answer, in ANSWER_S


@contextmanager
def raw_repl(port: str) -> Iterator[SerialTransport]:
    """The board's raw REPL at a port, for transport.exec() and eval(); BoardError when it cannot be had."""
    with open_port(port) as transport, prompt(transport, port):
        yield transport


@contextmanager
def prompt(transport: SerialTransport, port: str) -> Iterator[None]:
    """The raw REPL at an open port, left again at the end; BoardError when no MicroPython of today answers."""
    try:
        try:
            _enter(transport)
        except (TransportError, OSError, serial.SerialException) as error:
            raise BoardError(
                f"{port}: no MicroPython prompt answers; is it a board with MicroPython, and does no program keep it "
                f"busy? `mpremote connect {port} reset` starts it again",
                "silent",
            ) from error
        who.check(transport, port)
        yield
    finally:
        with contextlib.suppress(Exception):
            transport.exit_raw_repl()
            transport.serial.flush()


def _enter(transport: SerialTransport) -> None:
    """Enter the raw REPL; asked again after a while, since a board that just starts may have thrown the first away."""
    transport.serial.timeout = ANSWER_S / _ATTEMPTS
    for attempt in range(_ATTEMPTS):
        try:
            transport.enter_raw_repl(soft_reset=False, timeout_overall=ANSWER_S / _ATTEMPTS)
            break
        except TransportError:
            if attempt == _ATTEMPTS - 1:
                raise
    transport.serial.timeout = ANSWER_S


def run(transport: SerialTransport, port: str, code: str) -> str:
    """What code prints at the board's raw REPL, and the node meanwhile; BoardError when that fails."""
    try:
        return transport.exec(code).decode("utf-8", "replace")
    except TransportExecError as error:
        said = error.error_output.strip().splitlines() or ["an error without words"]
        raise BoardError(f"{port}: the board reports: {said[-1][:SHOWN]}") from error
    except (TransportError, OSError, serial.SerialException) as error:
        raise BoardError(f"{port}: the board stopped answering ({error})") from error

"""A board's prompt, for code to run there: the raw REPL, entered without a soft reset.

So a node that runs from a timer goes on meanwhile, and may print a line at any time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from swarm.serial import who
from swarm.serial.answer import SHOWN
from swarm.serial.port import ANSWER_S, BoardError, open_port

_ATTEMPT_S = ANSWER_S / 3  # for one attempt at having the prompt answer
_SHOT_S = 0.2  # and for each of many
HANG_S = 15.0  # for the watchdog to restart a board that hangs, which takes 8 s, and for the start


@contextmanager
def raw_repl(port: str) -> Iterator[SerialTransport]:
    """The board's raw REPL at a port, for transport.exec() and eval(); BoardError when it cannot be had."""
    with open_port(port) as transport, prompt(transport, port):
        yield transport


@contextmanager
def prompt(transport: SerialTransport, port: str, patience_s: float = ANSWER_S) -> Iterator[None]:
    """The raw REPL at an open port, left again at the end; BoardError when no MicroPython of today answers by then."""
    try:
        try:
            enter(transport, patience_s)
            if not who.check(transport, port):
                enter(transport, patience_s)  # it restarts, or takes the prompt away otherwise
        except (TransportError, OSError, serial.SerialException) as error:
            raise BoardError(
                f"{port}: no MicroPython prompt answers; is it a board with MicroPython? A program that takes no "
                "interrupt is ended by the board's reset button, or its power",
                "silent",
            ) from error
        yield
    finally:
        with contextlib.suppress(Exception):
            transport.exit_raw_repl()
            transport.serial.flush()


def enter(transport: SerialTransport, patience_s: float = ANSWER_S) -> None:
    """Enter the raw REPL; TransportError when that does not happen in that time.

    Asked again and again: a board that just starts may have thrown the first away, and one that starts over and over
    shows its prompt only when an interrupt meets its start.
    """
    now = begun = time.monotonic()
    again = False
    while True:
        attempt_s = _ATTEMPT_S if now < begun + ANSWER_S else _SHOT_S
        transport.serial.timeout = attempt_s
        try:
            transport.enter_raw_repl(soft_reset=False, timeout_overall=attempt_s)
            if again:  # the answers to the attempts before may be still to come
                end = time.monotonic() + attempt_s
                transport.serial.timeout = _SHOT_S
                while transport.serial.read(1) and time.monotonic() < end:
                    pass
                transport.enter_raw_repl(soft_reset=False, timeout_overall=attempt_s)
            break
        except TransportError:
            again = True
            now = time.monotonic()
            if now >= begun + patience_s:
                raise
    transport.serial.timeout = ANSWER_S


def run(transport: SerialTransport, port: str, code: str, told: Callable[[bytes], None] | None = None) -> str:
    """What code prints at the board's raw REPL, and the node meanwhile; BoardError when that fails.

    told: called with what comes, as it comes.
    """
    said = bytearray()  # to add to bytes would copy all that has come with each

    def take(data: bytes) -> None:
        said.extend(data)
        if told is not None:
            told(data)

    try:
        transport.exec(code, take)
        return said.removesuffix(b"\x04").decode("utf-8", "replace")
    except TransportExecError as error:
        said = error.error_output.strip().splitlines() or ["an error without words"]
        raise BoardError(f"{port}: the board reports: {said[-1][:SHOWN]}") from error
    except (TransportError, OSError, serial.SerialException) as error:
        raise BoardError(f"{port}: the board stopped answering ({error})") from error

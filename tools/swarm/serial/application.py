"""An application on asyncio that has the place of a board's prompt: asked by lines, since a Ctrl-C would stop it.

lib/faction/answers.py is the board's half.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from mpremote.transport_serial import SerialTransport

from swarm.serial.answer import SHOWN, parse, plain
from swarm.serial.port import BoardError
from swarm.serial.status import check_status

_PROMPT = b">>> "
_PASTE = b"\n=== "  # the prompt's paste mode, which takes what is sent there until it is interrupted
_ALWAYS = {"swarm", "node", "session", "state", "counters"}  # in a status; an application may print JSON of its own
_PROMPT_S = 0.3  # time for a free prompt to show itself
_ANSWER_S = 1.5  # time for an application's node to answer, or for a busy board's prompt
_LONGER_S = 3.0  # after which whoever still speaks is not listened to any more
_SAMPLES_S = 120.0  # for all samples that a node keeps, of a series at a slow line
_PIECE_S = 10.0  # for a piece of what a member has; the node gives a silent one up after 5 s
# What a fetch is answered with; the application's own words may be before it in its line.
_TOLD = re.compile(rb'(\["(?:piece|end|silent)", [^\r\n]*|\{"failure": [^\r\n]*)\r?\n')
_END_S = 2.0  # for an application to end when it is asked to, and then when it is interrupted
_RESTART_S = 12.0  # for a node to give the application up and to restart the board without it


def of_application(transport: SerialTransport, port: str, request: str = "status") -> dict | None:
    """The status that the node of an application on asyncio answers a request with; None where a prompt is free.

    request: "status", or what is to be done before: "rehearse" or "keep", as firmware/report.py has them.

    A prompt is entered by a Ctrl-C. That would stop such an application, or a board's start half-way, so what shows no
    prompt gets none: BoardError.
    """
    serial = transport.serial
    serial.write(b"\r")
    shown = _read(transport, _PROMPT_S, lambda data: _PROMPT in data)
    if shown.endswith(_PASTE):  # a tool was at the board when that restarted
        serial.write(b"\x03")
        shown = _read(transport, _PROMPT_S, lambda data: _PROMPT in data)
    if _PROMPT in shown:
        return None
    # Out of a raw REPL that somebody has left behind, which says nothing by itself.
    serial.write(b"\x02\r%s\r" % request.encode())
    answer = _read(transport, _ANSWER_S, lambda data: _PROMPT in data or _status_in(data) is not None)
    status = _status_in(answer)
    if status is not None and "failure" in status:
        raise BoardError(f"{port}: {status['failure']}; put that right, then deploy it again", "no node")
    if status is not None:
        check_status(status, port)
    elif _PROMPT not in answer:
        raise BoardError(
            f"{port}: no MicroPython prompt answers, and no node; is it a board with MicroPython? One that starts, or "
            "whose sensor hangs, answers within 15 s: ask again; `swarm deploy` waits for it, and ends what runs",
            "silent",
        )
    return status


def read_samples(transport: SerialTransport) -> str:
    """What comes when the node of an application is asked for the samples that it keeps: lines, some of them JSON."""
    transport.serial.write(b"\rsamples\r")
    said = _read(transport, _ANSWER_S, lambda data: b'\n["samples", ' in data, _SAMPLES_S)
    return said.decode("utf-8", "replace")


def fetch(transport: SerialTransport, port: str, member: int, kind: int, place: int) -> str:
    """What the node of an application tells of what a member has, in lines (gateway.py). BoardError when it refuses, as
    after end(), or falls silent."""
    transport.serial.write(b"\rfetch %d %d %d\r" % (member, kind, place))
    told: list[bytes] = []
    rest = b""
    end_s = time.monotonic() + _SAMPLES_S
    while not told or told[-1].startswith(b'["piece"'):
        rest = _read(transport, _PIECE_S, lambda data: _TOLD.search(data) is not None, 0, rest)
        came = _TOLD.findall(rest)
        if not came or time.monotonic() > end_s:
            raise BoardError(f"{port}: the node of its application has fallen silent, or tells without end: ask again")
        told += came
        rest = rest[rest.rfind(b"\n") + 1 :]
    if told[-1].startswith(b"{"):
        raise BoardError(f"{port}: its node reports: {plain(told[-1].decode('utf-8', 'replace'))[:SHOWN]}")
    return b"\n".join(told).decode("utf-8", "replace")


def end(transport: SerialTransport) -> None:
    """Have a fetch() end that another thread waits for; the application goes on."""
    transport.serial.write(b"\rfetch\r")


def stop(transport: SerialTransport, port: str) -> bool:
    """Have an application end, so that the prompt is free; False where none answers.

    First it is asked to, then interrupted; one that takes no notice of either is left out by a restart of its board.
    """
    try:
        if of_application(transport, port) is None:
            return False
    except BoardError:
        return False  # whatever runs there is none of ours: the prompt's own interrupt has to do
    for request, seconds in ((b"\rstop\r", _END_S), (b"\x03", _END_S), (b"", _RESTART_S)):
        transport.serial.write(request)
        if _PROMPT in _read(transport, seconds, lambda data: _PROMPT in data, seconds):
            break
    return True


def run(transport: SerialTransport) -> None:
    """At a free prompt, which is not the raw REPL: have the application run again in its place, as after a boot.

    Returns when it does: whoever opens the port before that would take what is left of the prompt for a free one.
    """
    transport.serial.write(b"__import__('faction').run()\r")
    _read(transport, _END_S, lambda data: b"runs application.py" in data, _END_S)


def _read(
    transport: SerialTransport,
    seconds: float,
    done: Callable[[bytes], bool],
    longer_s: float = _LONGER_S,
    data: bytes = b"",
) -> bytes:
    """What comes in until done(what has come), or for that time; who speaks then may finish, but not go on for ever.

    data: what has come before.
    """
    end = time.monotonic() + seconds
    last = end + longer_s
    while time.monotonic() < min(end, last) and not done(data):
        waiting = transport.serial.in_waiting
        if waiting:
            data += transport.serial.read(waiting)
            end = max(end, time.monotonic() + _PROMPT_S)  # whoever speaks is let finish
        else:
            time.sleep(0.005)
    return data


def _status_in(data: bytes) -> dict | None:
    """The status, or why there is none, in a whole line of what was read, behind what may have begun that line."""
    for line in data.split(b"\n")[:-1]:
        try:
            status = parse(line[max(line.find(b"{"), 0) :])
        except ValueError:
            continue
        if isinstance(status, dict) and (not _ALWAYS - status.keys() or status.keys() == {"failure"}):
            return status
    return None

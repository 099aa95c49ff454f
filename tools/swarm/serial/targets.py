"""Which boards are meant when running nodes are looked at, and how several are read at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from swarm.description import project
from swarm.description.project import ProjectError
from swarm.serial import kept
from swarm.serial.answer import parse
from swarm.serial.port import GONE, BoardError, open_port
from swarm.serial.prompt import prompt
from swarm.serial.status import check_status, read_status

AT_ONCE = 32  # boards that are talked to at the same time
_PROMPT_S = 0.3  # time for a free prompt to show itself
_ANSWER_S = 1.5  # time for an application on asyncio to answer, or for a busy board's prompt
_LONGER_S = 3.0  # after which whoever still speaks is not listened to any more
_PROMPT = b">>> "
# What the verbs show; firmware of another version may tell less.
_TOLD = (
    "swarm",
    "node",
    "session",
    "state",
    "heard",
    "ready",
    "missing",
    "required",
    "generation",
    "restarts",
    "timeouts",
    "conflict",
    "instant_in_us",
    "sample",
    "counters",
    "errors",
)


class WrongUse(Exception):
    """The options do not say which boards are meant; the message says what to type."""


@dataclass(frozen=True)
class Target:
    """A board to read. label: what stands for it until it tells its id; node: the member that is expected there, None
    for any; problem: why its port is not known, when that is None.
    """

    label: str
    port: str | None
    node: int | None = None
    problem: str | None = None

    @property
    def key(self) -> str:
        """Its port, or its member's name while that has none."""
        return self.port or f"node {self.label}"


def choose(nodes: list[int], every: bool, ports: list[str], file: Path) -> list[Target]:
    """The boards that are meant: of ports, of members, or else those that run in the background, or else all members.

    every: all members of the swarm that file describes. Raises WrongUse when none is named, or in more than one way,
    and ProjectError for a swarm.toml that is not valid.
    """
    if bool(nodes) + every + bool(ports) > 1:
        raise WrongUse("give one of NODE, --all and --port")
    if ports:
        return [Target(port, port) for port in dict.fromkeys(ports)]
    described = file.exists()
    running = kept.load() if not every and (not nodes or not described) else None
    if running is not None:
        port_of = {int(node): port for node, port in running["ports"].items()}
        for node in nodes:
            if node not in port_of:
                raise WrongUse(f"no board {node} runs in the background: choose one of {', '.join(map(str, port_of))}")
        return [Target(str(node), port_of[node]) for node in dict.fromkeys(nodes or port_of)]
    if not described and not nodes and not every:
        raise WrongUse(
            f"no --port, no {file} here, and no demo is running; give --port /dev/..., or start `swarm demo --keep`"
        )
    swarm = project.load(file)
    members = [swarm.member(node) for node in dict.fromkeys(nodes)] or swarm.members
    return [_of_member(member) for member in members]


def _of_member(member: project.Member) -> Target:
    try:
        return Target(str(member.id), project.port_of(member), member.id)
    except ProjectError as error:
        return Target(str(member.id), None, member.id, str(error))


def ask(target: Target, more: Callable[[SerialTransport, str, dict], dict] | None = None) -> dict:
    """The status_dict of a board's node, with what `more` reads at the board's prompt; {"error": why} when it has none.

    more(transport, port, status) is not called for an application on asyncio, which the prompt would stop.
    """
    if target.port is None:
        return {"error": target.problem}
    try:
        with open_port(target.port) as transport:
            status = of_application(transport, target.port)
            if status is None:
                with prompt(transport, target.port):
                    status = read_status(transport, target.port)
                    if more is not None:
                        status.update(more(transport, target.port, status))
    except BoardError as error:
        return {"error": str(error)}
    except GONE as error:
        return {"error": f"{target.port}: the port went away ({error})"}
    if any(name not in status for name in _TOLD):
        return {"error": f"{target.port}: its faction is of another version than this command: deploy to it"}
    if target.node not in (None, status["node"]):
        return {
            "error": f"{target.port}: its board says that it is node {status['node']}, and node {target.node} is "
            "listed there: correct the port or serial in swarm.toml, or deploy to it"
        }
    return status


def ask_all(
    targets: list[Target], more: Callable[[SerialTransport, str, dict], dict] | None = None
) -> list[tuple[Target, dict]]:
    """ask() of all of them at the same time; in their order."""
    with ThreadPoolExecutor(min(len(targets), AT_ONCE)) as pool:
        return list(zip(targets, pool.map(lambda target: ask(target, more), targets), strict=True))


def of_application(transport: SerialTransport, port: str) -> dict | None:
    """The status that an application on asyncio answers with; None where a prompt is free.

    A prompt is entered by a Ctrl-C. That would stop such an application, or a board's start half-way, so what shows no
    prompt gets none: BoardError.
    """
    serial = transport.serial
    serial.write(b"\r")
    if _PROMPT in _read(transport, _PROMPT_S, lambda data: _PROMPT in data):
        return None
    # Out of a raw REPL that somebody has left behind, which says nothing by itself.
    serial.write(b"\x02\rstatus\r")
    answer = _read(transport, _ANSWER_S, lambda data: _PROMPT in data or _status_in(data) is not None)
    status = _status_in(answer)
    if status is not None:
        check_status(status, port)
    elif _PROMPT not in answer:
        raise BoardError(
            f"{port}: no MicroPython prompt answers, and no node; is it a board with MicroPython, and does it not just "
            f"start, or run another program? `mpremote connect {port} reset` starts it again",
            "silent",
        )
    return status


def _read(transport: SerialTransport, seconds: float, done: Callable[[bytes], bool]) -> bytes:
    """What comes in until done(what has come), or for that time; who speaks then may finish, but not go on for ever."""
    data = b""
    end = time.monotonic() + seconds
    last = end + _LONGER_S
    while time.monotonic() < min(end, last) and not done(data):
        waiting = transport.serial.in_waiting
        if waiting:
            data += transport.serial.read(waiting)
            end = max(end, time.monotonic() + _PROMPT_S)  # whoever speaks is let finish
        else:
            time.sleep(0.005)
    return data


def _status_in(data: bytes) -> dict | None:
    """The status in a whole line of what was read."""
    for line in data.split(b"\n")[:-1]:
        try:
            status = parse(line)
        except ValueError:
            continue
        if isinstance(status, dict) and "state" in status and "node" in status:
            return status
    return None

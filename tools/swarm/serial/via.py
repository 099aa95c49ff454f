"""A whole swarm through one of its boards: what the others tell and keep comes over the air, and out at its prompt, or
in answer to lines where an application has that.

lib/faction/remote/gateway.py is the board's half.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

from mpremote.transport_serial import SerialTransport

from swarm.serial import application, targets
from swarm.serial.answer import parse
from swarm.serial.port import BoardError
from swarm.serial.prompt import run
from swarm.serial.status import check_status, check_version, read_status
from swarm.serial.targets import More, Target

_FACTS, _OLDEST = 0, 1  # kinds of questions
_ATTEMPTS = 3  # at an answer without a line of the node's in the middle of it
_TOLD = {"piece": [int, int, str], "end": [int, int], "silent": [int]}  # lines of a fetch
_FETCH = "import faction\nfaction.app.gateway.fetch({}, {}, {})"
_INTERRUPT = b"\x03"

Places = dict[int, tuple[int, int]]  # by member: what it has kept was read up to there


def ask_all(
    port: str, more: More | None = None, places: Places | None = None, told: Callable[[int], None] | None = None
) -> list[tuple[Target, dict]]:
    """As targets.ask_all(), of all members of the swarm of the board at that port; its own comes first.

    more: reads more of that board itself, at its prompt or by lines. places: read what the others have kept, from there
    on, as "lines", and not their status; they are moved on. told: called with each member that is asked. A status has
    "seen", when it was told by this computer's clock, and each of the others "via", the port.
    """
    others: list[tuple[Target, dict]] = []

    def read(transport: SerialTransport, _port: str, status: dict) -> dict:
        found = {"seen": time.time(), **(more(transport, port, status) if more else {})}
        for target in others_of(port, status):
            if told:
                told(target.node)
            others.append((target, ask(transport, port, status, target.node, places)))
        return found

    own = Target(port, port)
    answer = targets.ask(own, read, read)
    if "error" not in answer:
        own = replace(own, label=str(answer["node"]))
    return [(own, answer), *others]


def others_of(port: str, status: dict) -> list[Target]:
    """The other members of the swarm of the board at that port, by its status. BoardError when it cannot ask them."""
    if status.get("gathers") is None:
        raise BoardError(
            f"{port}: its swarm has no gateway: write `gateway = []` into swarm.toml, and deploy all boards"
        )
    others = sorted({*status["heard"], *status["missing"]} - {status["node"]})
    return [Target(str(member), None, member) for member in others]


def lost(status: dict, member: int) -> dict | None:
    """The answer in place of a member's that a board has lost, by that one's status; None where it has not."""
    silent = dict(map(tuple, (status.get("presence") or {}).get("lost", ())))
    if member not in silent:
        return None
    since = "not since that board's start" if silent[member] is None else f"not for {silent[member]} s"
    return {"error": f"node {member} is lost: heard {since}", "kind": "lost", "silent_s": silent[member]}


def ask(transport: SerialTransport, port: str, status: dict, member: int, places: Places | None = None) -> dict:
    """As targets.ask(), of one other member, through the board at that port. places: as ask_all()."""
    if answer := lost(status, member):
        return answer
    try:
        if places is not None:
            kind, place, text = _fetch(transport, port, member, *places.get(member, (_OLDEST, 0)))
            places[member] = kind, place
            return {"node": member, "session": None, "sample": None, "lines": text.splitlines()}
        _, _, text = _fetch(transport, port, member, _FACTS, 0)
        try:
            answer = parse(text)
        except ValueError:
            answer = None
        check_status(answer, f"{port}, node {member}")
        check_version(f"node {member}", answer)
        return {**answer, "seen": time.time(), "via": port}
    except BoardError as error:
        return {"error": str(error), "kind": error.kind}


def status_of(transport: SerialTransport, port: str) -> dict:
    """The status of the board at that port once more, in the way in which it was opened."""
    if transport.in_raw_repl:
        return read_status(transport, port)
    status = application.of_application(transport, port)
    if status is None:
        raise BoardError(f"{port}: its application has ended", "silent")
    return status


def interrupt(transport: SerialTransport) -> None:
    """Have ask() end that another thread waits for; an application goes on."""
    if transport.in_raw_repl:
        transport.serial.write(_INTERRUPT)
    else:
        application.end(transport)


def gather(transport: SerialTransport, port: str, status: dict) -> None:
    """Have the board at that port gather for a minute from now on."""
    _say(transport, port, status["node"], _OLDEST, 0)


def _fetch(transport: SerialTransport, port: str, member: int, kind: int, place: int) -> tuple[int, int, str]:
    """What a member tells from a place on, and the place of what follows."""
    for _ in range(_ATTEMPTS):
        pieces: dict[tuple[int, int], str] = {}
        for printed in _say(transport, port, member, kind, place).splitlines():
            what, *rest = _told(printed)
            if not what and '"piece"' in printed:
                break  # a line of the node's own has come into it
            if what == "silent":
                raise BoardError(f"node {member} does not answer through {port}: it is off, or out of reach", "silent")
            if what == "piece":
                pieces[rest[0], rest[1]] = rest[2]
            elif what == "end" and (not pieces or (rest[0], rest[1]) in pieces) and _is_whole(pieces, kind, place):
                data = "".join(pieces.values()).encode("latin-1", "replace")
                return rest[0], rest[1], data.decode("utf-8", "replace")
    raise BoardError(f"{port}: the node's own lines came between what node {member} tells: ask again")


def _told(printed: str) -> list:
    """What a line tells, as gateway.py has it; [None] for any other, whoever has made a board print that."""
    try:
        what, *rest = json.loads(printed)
    except (ValueError, TypeError, RecursionError):
        return [None]
    fits = isinstance(what, str) and [type(part) for part in rest] == _TOLD.get(what)
    return [what, *rest] if fits else [None]


def _say(transport: SerialTransport, port: str, member: int, kind: int, place: int) -> str:
    """What the board prints when it fetches that; an application that has its prompt goes on."""
    if transport.in_raw_repl:
        return run(transport, port, _FETCH.format(member, kind, place))
    return application.fetch(transport, port, member, kind, place)


def _is_whole(pieces: dict[tuple[int, int], str], kind: int, place: int) -> bool:
    """Whether each piece follows on the one before, the first on that place; that of another file begins it."""
    for (of, end), text in pieces.items():
        if end - len(text) != (place if of == kind else 0):
            return False
        kind, place = of, end
    return True


def load_places(text: str) -> Places:
    """Places from what dump_places() has made of them. Raises ValueError for anything else."""
    try:
        return {int(node): (int(kind), int(place)) for node, (kind, place) in json.loads(text).items()}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"not places: {error}") from None


def dump_places(places: Places) -> str:
    """Places as JSON."""
    return json.dumps(places)

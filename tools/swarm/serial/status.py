"""Reads at a board's prompt what its node says of itself, and checks that it is of the kinds that a node tells."""

from __future__ import annotations

import contextlib
import secrets

from mpremote.transport_serial import SerialTransport

from swarm.serial.answer import SHOWN, parse, plain
from swarm.serial.port import BoardError
from swarm.serial.prompt import run

_ATTEMPTS = 3  # at an answer without a line of the node's in the middle of it

_STATUS = """
import json
try:
    import faction
except ImportError:
    print(json.dumps({"answer": {"error": "absent"}}))
else:
    try:
        print(json.dumps({"answer": faction.status_dict()}))
    except RuntimeError as error:
        print(json.dumps({"answer": {"error": "stopped", "why": str(error)}}))
"""

# What kinds of values a status holds: of a list's parts, or of each of several, of what a dict has at least, one of
# several in a tuple.
_TOLD = {
    **dict.fromkeys(("swarm", "state", "digest", "version", "runs_from"), str),
    **dict.fromkeys(("node", "session", "required", "generation", "restarts", "timeouts", "unsaid"), int),
    **dict.fromkeys(("heard", "ready", "missing"), [int]),
    **dict.fromkeys(("conflict", "open"), bool),
    "instant_in_us": (int, None),
    "sample": ({"node": int, "late_us": int, "value": object, "late": bool}, None),
    "series": (
        {
            **dict.fromkeys(("id", "period_ms", "beat", "sampled", "missed", "moves", "moved_us"), int),
            "beat_in_us": (int, None),
        },
        None,
    ),
    "presence": ({"number": int, "length_ms": int, "present": [int], "lost": [[int, (int, None)]]}, None),
    "gathers": (bool, None),
    "counters": {"foreign": int, "forged": int},
    "health": object,
    "links": {},
    "errors": [str],
}

# What the verbs show; firmware of another version may tell less.
_NEEDED = (
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

_RUNTIME = """
import sys, json
print(json.dumps({"answer": [sys.implementation.name, list(sys.implementation.version), sys.maxsize]}))
"""


def read_status(transport: SerialTransport, port: str) -> dict:
    """The node's status_dict; BoardError when the board has no faction, or its node was not started."""
    status = _json(transport, port, _STATUS)
    check_status(status, port)
    if status.get("error") == "absent":
        raise BoardError(
            f"{port}: MicroPython answers, but there is no faction on it; copy it there as the README says", "no node"
        )
    if status.get("error") == "stopped":
        why = status.get("why")
        raise BoardError(
            f"{port}: {why}; put that right, then `mpremote connect {port} reset` starts the board again", "no node"
        )
    return status


def check_status(status: object, port: str) -> None:
    """BoardError unless what a status tells is of the kinds that a node tells; it need not tell all of it."""
    if not isinstance(status, dict) or not all(_fits(status[key], _TOLD[key]) for key in _TOLD.keys() & status.keys()):
        raise _not_understood(port, repr(status))


def check_version(where: str, status: dict) -> None:
    """BoardError for a status without something that the verbs show."""
    if any(name not in status for name in _NEEDED):
        raise BoardError(f"{where}: its faction is of another version than this command: deploy to it", "other version")


def _fits(value: object, kind) -> bool:
    if isinstance(kind, list):
        if not isinstance(value, list):
            return False
        kinds = kind if len(kind) > 1 else kind * len(value)
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if isinstance(kind, dict):
        return isinstance(value, dict) and all(key in value and _fits(value[key], kind[key]) for key in kind)
    if isinstance(kind, tuple):
        return any(_fits(value, one) for one in kind)
    return kind is object or value is None is kind or type(value) is kind


def read_screen(transport: SerialTransport, port: str) -> str:
    """The status screen that faction.status() prints on the board."""
    read_status(transport, port)
    return plain(run(transport, port, "import faction\nfaction.status()")).rstrip("\n")


def read_runtime(transport: SerialTransport, port: str) -> dict:
    """What the node runs on: {"implementation", "version", "maxsize"}."""
    answer = _json(transport, port, _RUNTIME)
    if not isinstance(answer, list) or [type(part) for part in answer] != [str, list, int]:
        raise _not_understood(port, repr(answer))
    return dict(zip(("implementation", "version", "maxsize"), answer, strict=True))


def _json(transport: SerialTransport, port: str, code: str):
    """The answer that code prints on the board, among lines the node may print meanwhile, some of them JSON."""
    answer = f"answer{secrets.token_hex(4)}"  # no line that the user's code prints has it
    for _ in range(_ATTEMPTS):  # a node's line may come in the middle of the answer
        output = run(transport, port, code.replace("answer", answer))
        for line in output.splitlines():
            with contextlib.suppress(ValueError):
                found = parse(line)
                if isinstance(found, dict) and answer in found:
                    return found[answer]
    raise _not_understood(port, repr(output))


def _not_understood(port: str, answer: str) -> BoardError:
    return BoardError(f"{port}: the board's answer is not understood: {answer[:SHOWN]}")

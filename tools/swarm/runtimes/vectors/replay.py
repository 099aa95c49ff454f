"""Replay vector files on a runtime, and compare every step with what the file expects."""

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from swarm import runtimes
from swarm.runtimes.vectors import pieces

COMMANDS = ("ParticipationObserved", "ReadyObserved", "LocalParticipationCompleted", "DeadlineExpired", "Probe")
WITH_PEER = COMMANDS[:2]
# A step of an exchange by what it is, and the parts that it must have besides.
_EXCHANGED: dict[str, dict[str, type]] = {
    "hear": {"counted": list},
    "complete": {},
    "put": {"put": list, "refused": bool},
    "says": {"sequence": int, "within_ms": int},
    "take": {},
    "ask": {"ask": list},
    "answer": {"answer": list},
}


class VectorError(Exception):
    """A file cannot be replayed; the message names the file, the line and the value."""


@dataclass
class Where:
    """Where a line of the work file came from: what a mismatch is reported with."""

    place: str
    expected: dict[str, Any]


@dataclass
class Report:
    """What a replay found. A mismatch is a Where and the parts that came out otherwise."""

    vectors: int = 0
    checks: int = 0
    mismatches: int = 0
    shown: list[tuple[Where, dict[str, Any]]] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)  # vectors by the reason for which

    def summary(self) -> str:
        """The line that is printed at the end."""
        return f"{self.vectors} vectors, {self.checks} steps, {self.mismatches} mismatches"


def replay(files: list[Path], runtime: str) -> Report:
    """Replay all vectors of the files on a runtime.

    Raises VectorError for a file that is missing, malformed or without a step to compare, runtimes.RuntimeMissing,
    and runtimes.ScriptFailed when the runtime itself breaks down.
    """
    report = Report()
    origins: list[Where] = []
    with tempfile.TemporaryDirectory(prefix="swarm-vectors-") as folder:
        work = Path(folder, "work.jsonl")
        with work.open("w") as out:
            for file in files:
                found = 0
                for name, entries in _read(file):
                    found += 1
                    _write(out, origins, name, entries)
                if not found:
                    raise VectorError(f"{file}: no vectors in it")
                report.vectors += found
        script, exchange = (Path(__file__).with_name(name) for name in ("script.py", "exchange.py"))
        arguments = [str(work), str(exchange.parent)]
        with runtimes.streaming(runtime, script, arguments, files=[work, exchange]) as lines:
            for line in lines:
                if not line.startswith("{"):
                    continue  # a traceback, which the failure that follows shows
                said = json.loads(line)
                if "got" in said:
                    report.shown.append((origins[said["line"]], said["got"]))
                else:
                    report.checks, report.mismatches = said["checks"], said["mismatches"]
    _require_steps(report, files)
    return report


def replay_in_pieces(files: list[Path], connection: AbstractContextManager[pieces.Device]) -> Report:
    """Replay the files' vectors of the machine on a device behind a prompt; errors as replay()."""
    report = Report()
    with connection as device, pieces.prepared(device):
        for file in files:
            for name, placed in _read(file):
                entries = [entry for _, entry in placed]
                reason = pieces.too_large(device, entries)
                if reason:
                    report.left_out.setdefault(reason, []).append(name)
                    continue
                report.vectors += 1
                for (place, entry), got in zip(placed, pieces.replay(device, entries), strict=True):
                    report.checks += "machine" not in entry
                    if got:
                        report.mismatches += 1
                        report.shown.append((Where(f"{name}{place}", entry), got))
    _require_steps(report, files)
    return report


def _require_steps(report: Report, files: list[Path]) -> None:
    if not report.checks and not report.mismatches:
        raise VectorError(f"{', '.join(map(str, files))}: the vectors have no steps, so nothing was compared")


def _write(out: TextIO, origins: list[Where], name: str, entries: list[tuple[str, dict[str, Any]]]) -> None:
    for place, entry in entries:
        out.write(json.dumps(entry, separators=(",", ":")) + "\n")
        origins.append(Where(f"{name}{place}", entry))


def _read(file: Path) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Yield (place, entries for the device with their places) of each vector of a file."""
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{file}:{number}"
                    vector = _parse(line, place)
                    yield f"{place}: {vector.get('name', 'unnamed')}", _entries(vector, place)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise VectorError(f"{file}: {getattr(error, 'strerror', None) or error}") from None


def _parse(line: str, place: str) -> dict[str, Any]:
    try:
        vector = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise VectorError(f"{place}: not JSON: {error}") from None
    if not isinstance(vector, dict):
        raise VectorError(f"{place}: a vector is an object, and this is {line.strip()[:60]}")
    return vector


def _entries(vector: dict[str, Any], place: str) -> list[tuple[str, dict[str, Any]]]:
    if "steps" in vector:
        config = _take(vector, "config", dict, place)
        peers = _take(config, "peers", list, place)
        if not all(type(peer) is int for peer in peers):
            raise VectorError(f"{place}: peers {peers!r}: ids are integers")
        machine = [_take(config, "peer_id", int, place), peers, _take(config, "required_count", int, place)]
        steps = _take(vector, "steps", list, place)
        return [(", config", {"machine": machine})] + [_step(step, i, place) for i, step in enumerate(steps, 1)]
    if "exchange" in vector:
        return _exchange(vector, place)
    if "frame" in vector:
        _hexadecimal(vector, "frame", place)
        _swarm(vector, place)
        if (_take(vector, "verdict", str, place) == "Accepted") != isinstance(vector.get("fields"), dict):
            raise VectorError(f"{place}: fields belong to a frame whose verdict is Accepted, and to no other")
        return [("", {"fields": None, **vector})]
    if "tag" in vector:
        for part in ("key", "message", "tag"):
            _hexadecimal(vector, part, place)
        return [("", {"cmac": True, **vector})]
    raise VectorError(
        f"{place}: neither a machine vector (steps) nor a frame (frame) nor a CMAC (tag) nor an exchange (exchange)"
    )


def _swarm(vector: dict[str, Any], place: str) -> dict[str, Any]:
    """A vector's swarm; its key is in hex."""
    _hexadecimal(vector, "key", place)
    swarm = _take(vector, "swarm", dict, place)
    for part, kind in (("name", str), ("members", list), ("required_count", int)):
        _take(swarm, part, kind, place)
    return swarm


def _exchange(vector: dict[str, Any], place: str) -> list[tuple[str, dict[str, Any]]]:
    swarm = _swarm(vector, place)
    for part in ("period_ms", "round_ms"):
        _take(swarm, part, int, place)
    node = _take(vector, "node", dict, place)
    for part, kind in (("peer_id", int), ("session", int), ("gathers", bool)):
        _take(node, part, kind, place)
    entries = [(", node", {"node": node, "swarm": swarm, "key": vector["key"]})]
    for number, step in enumerate(_take(vector, "exchange", list, place), 1):
        entries.append((f", step {number}", {"at": number, **_exchanged(step, f"{place}: step {number}")}))
    return entries


def _exchanged(step: Any, place: str) -> dict[str, Any]:
    """A step of an exchange, which is one of _EXCHANGED."""
    kinds = [kind for kind in _EXCHANGED if isinstance(step, dict) and kind in step]
    if len(kinds) != 1:
        raise VectorError(f"{place}: a step of an exchange has one of {', '.join(_EXCHANGED)}, and this is {step!r}")
    for part, kind in _EXCHANGED[kinds[0]].items():
        _take(step, part, kind, place)
    if kinds[0] == "hear":
        _hexadecimal(step, "hear", place)
    return step


def _step(step: Any, number: int, place: str) -> tuple[str, dict[str, Any]]:
    place = f"{place}: step {number}"
    if not isinstance(step, dict):
        raise VectorError(f"{place}: a step is an object, and this is {step!r}")
    command = _take(step, "command", str, place)
    if command not in COMMANDS:
        raise VectorError(f"{place}: unknown command {command!r}: it is one of {', '.join(COMMANDS)}")
    entry = {"command": command, "result": _take(step, "result", str, place)}
    if command in WITH_PEER:
        entry["peer_id"] = _take(step, "peer_id", int, place)
    if entry["result"] == "Accepted" or step.get("outcomes") is not None:
        entry["outcomes"] = _take(step, "outcomes", list, place)
    else:
        entry["outcomes"] = []
    entry["view"] = _take(step, "view", dict, place)
    entry["admissible"] = _take(step, "admissible", list, place)
    peer = f" {entry['peer_id']}" if "peer_id" in entry else ""
    return f", step {number}: {command}{peer}", entry


def _take(holder: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """holder[key], which must be there and of that kind."""
    if key not in holder:
        raise VectorError(f"{place}: no {key}")
    value = holder[key]
    if type(value) is not kind:
        raise VectorError(f"{place}: {key} {value!r}: not a {kind.__name__}")
    return value


def _hexadecimal(holder: dict[str, Any], key: str, place: str) -> None:
    try:
        bytes.fromhex(_take(holder, key, str, place))
    except ValueError:
        raise VectorError(f"{place}: {key} {holder[key]!r}: not bytes in hex") from None

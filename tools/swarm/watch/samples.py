"""Samples of a swarm: from the lines that nodes keep to a CSV file without duplicates.

A sample that is a dict has a column for each of its keys, `value.KEY`, and those of dicts within it, `value.KEY.KEY`.
Columns stand in the order in which they first appeared.

A node's line says in which session it was written, and a node samples once a session. Lines of older firmware do not:
then two samples are the same when node, late_us, value and late are. A node that keeps such a line twice has taken two.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from swarm.output import readable, writable

FIELDS = ("node", "session", "late_us", "value", "late", "agreed")
_PART = "value."  # what the columns of a dict's parts begin with
_AGREED_MAX_US = 499_000_000  # a node counts the time since the agreed instant as far as that
_SAME_S = 1.0  # two nodes' readings of the agreed instant, taken over serial lines, that are of the same one


class SamplesError(Exception):
    """A CSV file cannot be added to; the message says where it is wrong and what to do."""


@dataclass
class Sample:
    """One sample. session: None where old firmware does not tell; value: its text in the file, empty for a dict;
    agreed: UTC or empty; parts: a dict's texts by column, none of them empty."""

    node: int
    session: int | None
    late_us: int
    value: str
    late: bool
    agreed: str = ""
    parts: dict[str, str] = field(default_factory=dict)

    def may_be(self, other: Sample) -> bool:
        """Whether two samples may be the same one."""
        mine, theirs = ((one.node, one.late_us, one.value, one.late, one.parts) for one in (self, other))
        return mine == theirs and (self.session == other.session or None in (self.session, other.session))


def counted(count: int) -> str:
    """A number of samples in words."""
    return "1 sample" if count == 1 else f"{count} samples"


def parse(answer: dict) -> tuple[list[Sample], int]:
    """The samples in a node's status, of which `lines` are those it keeps, and how many lines are spoilt."""
    current = answer["sample"]
    records = [_record(line) for line in answer["lines"]]
    found = [
        _sample(one["node"], one.get("session"), one["late_us"], _cell(one["value"]), one["late"])
        for one in records
        if one
    ]
    if found and records[-1] is not None and records[-1] == current:
        found[-1].session = answer["session"]
        found[-1].agreed = _agreed(answer)
    return found, sum(one is None for one in records)


def _sample(node: int, session: int | None, late_us: int, text: str, late: bool, agreed: str = "") -> Sample:
    """A sample from the text of its whole value."""
    parts = _parts(text)
    return Sample(node, session, late_us, text if parts is None else "", late, agreed, parts or {})


def _parts(text: str) -> dict[str, str] | None:
    """The columns of a value that is a dict with something in it; None of any other."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not value or not isinstance(value, dict):
        return None
    found: dict[str, str] = {}
    waiting = [(_PART + key, part) for key, part in value.items()]
    while waiting:
        name, part = waiting.pop(0)
        if isinstance(part, dict) and part:
            waiting[:0] = [(f"{name}.{key}", inner) for key, inner in part.items()]
        elif cell := _cell(part):
            found[name] = cell
    return found


def columns(table: Iterable[Sample]) -> list[str]:
    """The columns of the parts of all samples that are dicts."""
    return list(dict.fromkeys(name for one in table for name in one.parts))


def _record(line: str) -> dict | None:
    """A kept line's record, its names in any order; None for one that a power cut has spoilt. A whole one may follow
    that in the same line."""
    for start in [at for at, character in enumerate(line) if character == "{"]:
        try:
            record = json.loads(line[start:])
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(record, dict)
            and record.keys() - {"session"} == {"node", "late_us", "value", "late"}
            and all(type(record[name]) is int for name in ("node", "late_us", "session") if name in record)
            and type(record["late"]) is bool
        ):
            return record
    return None


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _agreed(answer: dict) -> str:
    """The agreed instant by this computer's clock, where the status tells it."""
    instant_us = answer["instant_in_us"]
    if "read_s" not in answer or instant_us is None or abs(instant_us) > _AGREED_MAX_US:
        return ""
    instant = datetime.fromtimestamp(answer["read_s"] + instant_us / 1e6, timezone.utc)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merge(table: list[Sample], found: list[Sample]) -> int:
    """Add to the table those samples of one board that it does not hold; how many."""
    free = list(table)
    new = []
    # First those whose session is known, so that one of an unknown session does not take their place.
    for sample in sorted(found, key=lambda one: one.session is None):
        sample.agreed = _same_instant(table, sample.agreed)
        match = min(
            (one for one in free if one.may_be(sample)), key=lambda one: one.session != sample.session, default=None
        )
        if match is None:
            new.append(sample)
            continue
        free = [one for one in free if one is not match]
        match.session = sample.session if match.session is None else match.session
        match.agreed = match.agreed or sample.agreed
    table += [sample for sample in found if any(sample is one for one in new)]
    return len(new)


def _same_instant(table: Iterable[Sample], agreed: str) -> str:
    """The reading of an agreed instant that the table has already, if it has one: then it is the same axis."""
    if agreed:
        for other in table:
            if other.agreed and abs((_time(other.agreed) - _time(agreed)).total_seconds()) < _SAME_S:
                return other.agreed
    return agreed


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def load(path: Path) -> list[Sample]:
    """The samples in a CSV file, none when it is not there. SamplesError when it is no such file."""
    try:
        text = readable.text(path)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SamplesError(f"{path}: cannot be read ({error}): name another file with --out") from None
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, list(FIELDS))
    names = header[len(FIELDS) :]
    told_twice = len(set(names)) < len(names)
    if tuple(header[: len(FIELDS)]) != FIELDS or told_twice or not all(name.startswith(_PART) for name in names):
        raise SamplesError(f"{path}: its first line is not {','.join(FIELDS)}: name another file with --out")
    samples = []
    for row in rows:
        try:
            node, session, late_us, value, late, agreed, *cells = row
            if agreed:
                _time(agreed)
            known = int(session) if session else None
            one = _sample(int(node), known, int(late_us), value, bool(int(late)), agreed)
            one.parts |= {name: cell for name, cell in zip(names, cells, strict=True) if cell}
            samples.append(one)
        except ValueError:
            raise SamplesError(
                f"{path}: line {rows.line_num}: not a sample: put it right, or name another file with --out"
            ) from None
    return samples


def save(path: Path, table: Iterable[Sample]) -> None:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    table = list(table)
    names = columns(table)
    writer.writerow((*FIELDS, *names))
    for one in table:
        session = "" if one.session is None else one.session
        cells = (one.parts.get(name, "") for name in names)
        writer.writerow((one.node, session, one.late_us, one.value, int(one.late), one.agreed, *cells))
    writable.write_atomically(path, text.getvalue())

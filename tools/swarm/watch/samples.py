"""Samples of a swarm: from the lines that nodes keep to a table without duplicates.

A sample that is a dict has a column for each of its keys, `value.KEY`, and those of dicts within it, `value.KEY.KEY`.
Columns stand in the order in which they first appeared.

A node's line says in which session it was written, and in a series at which beat; without one a node samples once a
session. Lines of older firmware do not tell their session: then two samples are the same when node, late_us, value and
late are. A node that keeps such a line twice has taken two.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from swarm.watch import instants

FIELDS = ("node", "session", "series", "n", "utc", "within_s", "late_us", "value", "late")
PART = "value."  # what the columns of a dict's parts begin with
_SAME_S = 1.0  # two nodes' readings of the agreed instant, taken over serial lines, that are of the same one


class SamplesError(Exception):
    """A file of samples cannot be added to; the message says where it is wrong and what to do."""


@dataclass
class Sample:
    """One sample. session: None where old firmware does not tell; value: its text in the file, empty for a dict; utc:
    of the agreed instant or the beat, or empty, known to within_s; parts: a dict's texts by column, none of them empty;
    series, n: the series' number and the beat's, None of a first sample alone."""

    node: int
    session: int | None
    late_us: int
    value: str
    late: bool
    utc: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    within_s: float | None = None
    series: int | None = None
    n: int | None = None

    @property
    def key(self) -> tuple[int, int | None, int | None, int | None]:
        """The same for what is the same sample, where its session is known."""
        return self.node, self.session, self.series, self.n

    def may_be(self, other: Sample) -> bool:
        """Whether two samples of which a session is not known may be the same one."""
        mine, theirs = ((one.node, one.late_us, one.value, one.late, one.parts, one.n) for one in (self, other))
        return mine == theirs and (self.session == other.session or None in (self.session, other.session))


@dataclass(frozen=True)
class Move:
    """A node's clock was moved in a series, so that beat 0 became so much earlier; n: the last beat before."""

    node: int
    session: int
    series: int
    n: int
    moved_us: int


def counted(count: int) -> str:
    """A number of samples in words."""
    return "1 sample" if count == 1 else f"{count} samples"


def parse(answer: dict) -> tuple[list[Sample], int]:
    """The samples in a node's status, of which `lines` are those it keeps, and how many lines are spoilt."""
    current = answer["sample"]
    records = [_record(line) for line in answer["lines"]]
    found = [sample_of(one, _cell(one["value"])) for one in records if one and "value" in one]
    if found and records[-1] is not None and records[-1] == current and found[-1].n is None:
        found[-1].session = answer["session"]
        if known := instant(answer):
            found[-1].utc, found[-1].within_s = written(known[0]), known[1]
    return found, sum(one is None for one in records)


def moves(answer: dict) -> list[Move]:
    """The moves of a node's clock in its status, as parse() takes it."""
    records = [_record(line) for line in answer["lines"]]
    return [Move(**one) for one in records if one and "moved_us" in one]


def instant(answer: dict) -> tuple[float, float] | None:
    """The instant that a node tells of, and to how many seconds it is known."""
    known: instants.Bounds | None = answer.get("instant")
    if known is None:
        return None
    middle_us, half_us = (known.low_us + known.high_us) / 2, (known.high_us - known.low_us) / 2
    return answer["clock_s"] + middle_us / 1e6, half_us / 1e6


def sample_of(record: dict, text: str) -> Sample:
    """A sample from a record and the text of its whole value."""
    parts = _parts(text)
    return Sample(
        record["node"],
        record.get("session"),
        record["late_us"],
        text if parts is None else "",
        record["late"],
        parts=parts or {},
        series=record.get("series"),
        n=record.get("n"),
    )


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
    waiting = [(PART + key, part) for key, part in value.items()]
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


_WHOLE = ("node", "session", "series", "n", "late_us", "moved_us")  # numbers of a record
_KINDS = (
    {"node", "late_us", "value", "late"},
    {"node", "session", "late_us", "value", "late"},
    {"node", "session", "series", "n", "late_us", "value", "late"},
    {"node", "session", "series", "n", "moved_us"},
)


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
            and record.keys() in _KINDS
            and all(type(record[name]) is int for name in _WHOLE if name in record)
            and type(record.get("late", False)) is bool
        ):
            return record
    return None


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def merge(table: list[Sample], found: list[Sample]) -> int:
    """Add to the table those samples of one board that it does not hold; how many."""
    known = {one.key: one for one in table if one.session is not None}
    free = [one for one in table if one.n is None]
    new = []
    # First those whose session is known, so that one of an unknown session does not take their place.
    for sample in sorted(found, key=lambda one: one.session is None):
        if sample.n is not None:
            if sample.key not in known:
                known[sample.key] = sample
                new.append(sample)
            continue
        _join(table, sample)
        match = min(
            (one for one in free if one.may_be(sample)), key=lambda one: one.session != sample.session, default=None
        )
        if match is None:
            new.append(sample)
            continue
        free = [one for one in free if one is not match]
        match.session = sample.session if match.session is None else match.session
        if not match.utc:
            match.utc, match.within_s = sample.utc, sample.within_s
    added = {id(sample) for sample in new}
    table += [sample for sample in found if id(sample) in added]
    return len(new)


def _join(table: Iterable[Sample], sample: Sample) -> None:
    """Take the reading of an agreed instant that the table has already, if it has one: then it is the same axis."""
    if sample.utc:
        for other in table:
            if other.n is None and other.utc and abs(seconds(other.utc) - seconds(sample.utc)) < _SAME_S:
                sample.utc, sample.within_s = other.utc, other.within_s
                return


def written(at_s: float) -> str:
    """A time in UTC, with milliseconds."""
    return datetime.fromtimestamp(at_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Seconds since 1970 of a time in UTC. ValueError when it is none."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def newest(table: Iterable[Sample]) -> dict[int, tuple[int, int]]:
    """By node the session and the beat of its last sample in a series."""
    return {one.node: (one.session, one.n) for one in table if one.session is not None and one.n is not None}


def by_beat(table: Iterable[Sample]) -> dict[tuple[int | None, int | None, str], dict[int, Sample]]:
    """Samples by series, beat and time (where there is no series), and by node; of two of one beat the one in time."""
    beats: dict[tuple[int | None, int | None, str], dict[int, Sample]] = {}
    for one in table:
        nodes = beats.setdefault((one.series, one.n, "" if one.n is not None else one.utc), {})
        if one.node not in nodes or nodes[one.node].late:
            nodes[one.node] = one
    return beats

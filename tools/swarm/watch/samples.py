"""Samples of a swarm: from the lines that nodes keep to a CSV file without duplicates, and a picture of it.

A node's line says in which session it was written, and a node samples once a session. Lines of older firmware do not:
then two samples are the same when node, late_us, value and late are. A node that keeps such a line twice has taken two.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from swarm.output import readable, writable
from swarm.output.svg import COLOURS, Canvas, steps

FIELDS = ("node", "session", "late_us", "value", "late", "agreed")
_AGREED_MAX_US = 499_000_000  # a node counts the time since the agreed instant as far as that
_SAME_S = 1.0  # two nodes' readings of the agreed instant, taken over serial lines, that are of the same one
_IN_TIME, _LATE, _RULE = COLOURS[:3]
_NAMED = 60  # dots that have their node's number beside them
_TIMES = ((1_000_000.0, "s"), (1000.0, "ms"), (1.0, "us"))


class SamplesError(Exception):
    """A CSV file cannot be added to; the message says where it is wrong and what to do."""


@dataclass
class Sample:
    """One sample. session: None where old firmware does not tell; value: its text in the file; agreed: UTC or empty."""

    node: int
    session: int | None
    late_us: int
    value: str
    late: bool
    agreed: str = ""

    def may_be(self, other: Sample) -> bool:
        """Whether two samples may be the same one."""
        mine, theirs = ((one.node, one.late_us, one.value, one.late) for one in (self, other))
        return mine == theirs and (self.session == other.session or None in (self.session, other.session))


def counted(count: int) -> str:
    """A number of samples in words."""
    return "1 sample" if count == 1 else f"{count} samples"


def parse(answer: dict) -> tuple[list[Sample], int]:
    """The samples in a node's status, of which `lines` are those it keeps, and how many lines are spoilt."""
    current = answer["sample"]
    records = [_record(line) for line in answer["lines"]]
    found = [
        Sample(one["node"], one.get("session"), one["late_us"], _cell(one["value"]), one["late"])
        for one in records
        if one
    ]
    if found and records[-1] is not None and records[-1] == current:
        found[-1].session = answer["session"]
        found[-1].agreed = _agreed(answer)
    return found, sum(one is None for one in records)


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
    if text and tuple(next(rows, ())) != FIELDS:
        raise SamplesError(f"{path}: its first line is not {','.join(FIELDS)}: name another file with --out")
    samples = []
    for row in rows:
        try:
            node, session, late_us, value, late, agreed = row
            if agreed:
                _time(agreed)
            known = int(session) if session else None
            samples.append(Sample(int(node), known, int(late_us), value, bool(int(late)), agreed))
        except ValueError:
            raise SamplesError(
                f"{path}: line {rows.line_num}: not a sample: put it right, or name another file with --out"
            ) from None
    return samples


def save(path: Path, table: Iterable[Sample]) -> None:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for one in table:
        session = "" if one.session is None else one.session
        writer.writerow((one.node, session, one.late_us, one.value, int(one.late), one.agreed))
    writable.write_atomically(path, text.getvalue())


def picture(table: Iterable[Sample], title: str) -> str:
    """An SVG picture: values against the time from the agreed instant, those in time and the late ones apart."""
    drawn: list[tuple[Sample, float]] = []
    words = 0
    for one in table:
        try:
            drawn.append((one, float(one.value)))
        except ValueError:
            words += 1
    canvas = Canvas(960, 400, f"{title}: {counted(len(drawn))}")
    values = [value for _, value in drawn] or [0.0]
    margin = (max(values) - min(values)) * 0.1 or 1.0
    low, high = min(values) - margin, max(values) + margin
    in_time = [(one, value) for one, value in drawn if not one.late]
    late = [(one, value) for one, value in drawn if one.late]
    width = 420 if late else 870
    _panel(canvas, 60, width, in_time, (low, high), "in time", _IN_TIME)
    if late:
        _panel(canvas, 530, width, late, (low, high), "late: bootstrapped after the agreed instant", _LATE)
    canvas.text(60, 390, "time from the agreed instant to the sample; each dot is a sample, its number the node")
    if words:
        canvas.text(930, 390, f"{counted(words)} without a number not drawn", "end")
    return canvas.svg()


def _panel(
    canvas: Canvas,
    left: int,
    width: int,
    dots: list[tuple[Sample, float]],
    limits: tuple[float, float],
    title: str,
    colour: str,
) -> None:
    """One part of the picture, on axes of its own for the time and common ones for the values."""
    top, height = 50, 290
    low, high = limits
    times = [one.late_us for one, _ in dots]
    first, last = min([0, *times]), max([1, *times])
    unit, name = next(entry for entry in _TIMES if max(-first, last) >= entry[0])
    margin = (last - first) * 0.05
    first, last = first - margin, last + margin

    def across(us: float) -> float:
        return left + width * (us - first) / (last - first)

    def up(value: float) -> float:
        return top + height * (high - value) / (high - low)

    canvas.text(left + width / 2, top - 12, title, "middle")
    for value in steps(low, high):
        canvas.line(left, up(value), left + width, up(value), "#eeeeee")
        canvas.text(left - 6, up(value) + 4, f"{value:g}", "end")
    for value in steps(first / unit, last / unit):
        canvas.line(across(value * unit), top, across(value * unit), top + height, "#eeeeee")
        canvas.text(across(value * unit), top + height + 16, f"{value:g} {name}", "middle")
    canvas.line(across(0), top - 6, across(0), top + height, _RULE, 2)
    for one, value in dots:
        canvas.dot(across(one.late_us), up(value), colour)
        if len(dots) <= _NAMED:
            canvas.text(across(one.late_us) + 6, up(value) - 5, str(one.node), size=9)

"""Samples and moves in files: what `swarm collect` adds to, and a row a beat of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from swarm.watch import dating, samples, tables
from swarm.watch.dating import Reading
from swarm.watch.samples import FIELDS, PART, Move, Sample, SamplesError
from swarm.watch.tables import Cell, Table

_BEFORE = ("node", "session", "late_us", "value", "late", "agreed")  # the columns before there were series
_MOVES = ("node", "session", "series", "n", "moved_us")
_REMEDY = "name another file with --out"


@dataclass
class Collection:
    """All that a file of samples holds, and the file beside it of moves."""

    samples: list[Sample] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


def take(held: Collection, answered: list[dict], readings: dict[int, Reading]) -> list[tuple[dict, int, int, int]]:
    """Add what boards have answered, and date all; of each board's samples how many were read, new and spoilt.

    readings: the last ones, by their series; what is told now takes their place.
    """
    counts = []
    for answer in answered:
        found, spoilt = samples.parse(answer)
        counts.append((answer, len(found), samples.merge(held.samples, found), spoilt))
        held.moves += [move for move in samples.moves(answer) if move not in held.moves]
    told = [reading for answer in answered if (reading := dating.reading(answer))]
    now = {reading.series for reading in told}
    dating.date(held.samples, held.moves, told + [one for series, one in readings.items() if series not in now])
    readings.update({reading.series: reading for reading in told})
    return counts


def load(path: Path) -> Collection:
    """What a file holds, nothing when it is not there. SamplesError when it is no such file."""
    try:
        table = tables.load(path, "samples")
        moved = tables.load(path, "moves", beside=True)
    except (OSError, ValueError) as error:
        raise SamplesError(f"{path}: cannot be read ({error}): {_REMEDY}") from None
    found = Collection()
    if table is not None and table.header:
        found.samples = _samples(path, table)
    for number, row in enumerate(moved.rows if moved else [], 2):
        try:
            found.moves.append(Move(*(int(str(cell)) for cell in row)))
        except (ValueError, TypeError):
            raise SamplesError(f"{path}: its moves: line {number}: no move of a clock: {_REMEDY}") from None
    return found


def _samples(path: Path, table: Table) -> list[Sample]:
    header = table.header
    fields = _BEFORE if tuple(header[: len(_BEFORE)]) == _BEFORE else FIELDS
    names = header[len(fields) :]
    told_twice = len(set(names)) < len(names)
    if tuple(header[: len(fields)]) != fields or told_twice or not all(name.startswith(PART) for name in names):
        raise SamplesError(f"{path}: its first line is not {','.join(FIELDS)}: {_REMEDY}")
    found = []
    first = 2 if header else 1
    for number, row in enumerate(table.rows, first):
        try:
            found.append(_sample(dict(zip(header, row, strict=True)), names))
        except (ValueError, TypeError):
            raise SamplesError(f"{path}: line {number}: not a sample: put it right, or {_REMEDY}") from None
    return found


def _sample(cells: dict[str, Cell], names: list[str]) -> Sample:
    """A sample from a row's cells. ValueError when it is none."""
    known = {name: int(str(cells[name])) for name in ("session", "series", "n") if cells.get(name) is not None}
    record = {"node": int(str(cells["node"])), "late_us": int(str(cells["late_us"])), **known}
    one = samples.sample_of({**record, "late": bool(int(str(cells["late"])))}, _told(cells["value"]))
    one.utc = _told(cells.get("utc", cells.get("agreed")))
    if one.utc:
        samples.seconds(one.utc)
    within_s = cells.get("within_s")
    one.within_s = None if within_s is None else float(within_s)
    one.parts |= {name: _told(cells[name]) for name in names if cells[name] is not None}
    return one


def _told(cell: Cell) -> str:
    """A cell as a sample has it."""
    return "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell)


def _cell(text: str) -> Cell:
    """Text as a number, where that is written just so."""
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        return text or None
    plain = isinstance(number, (int, float)) and not isinstance(number, bool)
    return number if plain and json.dumps(number) == text else text


def save(path: Path, found: Collection) -> None:
    """Write a file of samples, and beside it one of moves where there are any. OSError when that fails."""
    names = samples.columns(found.samples)
    rows = [_row(one, names) for one in found.samples]
    tables.save(path, Table("samples", [*FIELDS, *names], rows))
    if found.moves:
        moved: list[list[Cell]] = [[one.node, one.session, one.series, one.n, one.moved_us] for one in found.moves]
        tables.save(path, Table("moves", [*_MOVES], moved), beside=True)


def as_record(one: Sample) -> dict[str, Cell]:
    """A sample as a line of a file of JSON Lines has it, without the columns of other samples."""
    names = list(one.parts)
    return dict(zip([*FIELDS, *names], _row(one, names), strict=True))


def _row(one: Sample, names: list[str]) -> list[Cell]:
    known: list[Cell] = [one.node, one.session, one.series, one.n, one.utc or None, one.within_s, one.late_us]
    return [*known, _cell(one.value), int(one.late), *(_cell(one.parts.get(name, "")) for name in names)]


def save_wide(path: Path, found: Collection) -> None:
    """Write a row a beat, with a column for each node, or for each key of its dicts. OSError when that fails."""
    names: dict[tuple[int, str], str] = {}
    for one in sorted(found.samples, key=lambda one: one.node):
        for key in one.parts or ("",):
            names[one.node, key] = f"node_{one.node}{key.removeprefix(PART[:-1])}"
    rows: list[list[Cell]] = []
    for (series, n, utc), nodes in samples.by_beat(found.samples).items():
        exact = min(nodes.values(), key=lambda one: (one.within_s is None, one.within_s))
        row: list[Cell] = [series, n, exact.utc or utc or None, exact.within_s]
        for node, key in names:
            sample = nodes.get(node)
            row.append(_cell(sample.parts.get(key, "") if key else sample.value) if sample else None)
        rows.append(row)
    rows.sort(key=lambda row: (str(row[2] or ""), row[0] or 0, row[1] or 0))
    tables.save(path, Table("beats", ["series", "n", "utc", "within_s", *names.values()], rows))

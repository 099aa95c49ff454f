"""Tables in files: CSV, JSON Lines and SQLite, as the end of the name says. A cell is text, a number or empty (None).

A file of text holds one table, and others lie beside it: samples.csv, samples.moves.csv. A database holds all of them,
and what else somebody keeps there stays.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from swarm.output import readable, writable

Cell = str | int | float | None


@dataclass
class Table:
    """A header, and rows with a cell for each of its columns; name: in a database."""

    name: str
    header: list[str]
    rows: list[list[Cell]] = field(default_factory=list)


def load(path: Path, name: str, beside: bool = False) -> Table | None:
    """The table of that name in a file, None when there is none. beside: it is not the one that the file is named for.

    OSError, UnicodeDecodeError or ValueError when the file cannot be read.
    """
    kind = _kind(path)
    if kind is _DATABASE:
        return _load_database(path, name)
    try:
        text = readable.text(_place(path, name, beside))
    except FileNotFoundError:
        return None
    return _load_csv(text, name) if kind is _CSV else _load_lines(text, name)


def save(path: Path, table: Table, beside: bool = False) -> None:
    """Write a table, whole or not at all; as load(). OSError when that fails."""
    kind = _kind(path)
    if kind is _DATABASE:
        _save_database(path, table)
    else:
        text = _csv(table) if kind is _CSV else _lines(table)
        writable.write_atomically(_place(path, table.name, beside), text)


_CSV, _LINES, _DATABASE = "CSV", "JSON Lines", "SQLite"


def _kind(path: Path) -> str:
    return {".jsonl": _LINES, ".db": _DATABASE, ".sqlite": _DATABASE}.get(path.suffix.lower(), _CSV)


def _place(path: Path, name: str, beside: bool) -> Path:
    return path.with_name(f"{path.stem}.{name}{path.suffix}") if beside else path


def _load_csv(text: str, name: str) -> Table:
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(rows, [])
        return Table(name, header, [[cell or None for cell in row] for row in rows])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(table.rows)
    return text.getvalue()


def _load_lines(text: str, name: str) -> Table:
    records = [json.loads(line) for line in text.splitlines()]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("not JSON Lines: each line is to be an object")
    header = list(dict.fromkeys(key for record in records for key in record))
    return Table(name, header, [[record.get(key) for key in header] for record in records])


def _lines(table: Table) -> str:
    records = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_quoted(name) for name in names)


def _load_database(path: Path, name: str) -> Table | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
                return None
            found = database.execute(f"SELECT * FROM {_quoted(name)} ORDER BY rowid")
            return Table(name, [column[0] for column in found.description], [list(row) for row in found])
    except sqlite3.Error as error:
        raise ValueError(str(error)) from None


def _save_database(path: Path, table: Table) -> None:
    """Put a table in the place of the one of its name, in one transaction."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(f"DROP TABLE IF EXISTS {_quoted(table.name)}")
            database.execute(f"CREATE TABLE {_quoted(table.name)} ({_listed(table.header)})")
            places = ", ".join("?" * len(table.header))
            database.executemany(f"INSERT INTO {_quoted(table.name)} VALUES ({places})", table.rows)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from None

"""Single random mutations of what an insider can write: topic, ledger, witness's store, index.

Each is drawn from a seeded source, done, and undone. What is not evidence is left out: the lock,
the content of `state.json` (sealing's own, with tests of its own), and in a message the registry's
id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from tests.fakes.page_topic import FakePages

_NOT_EVIDENCE = {"lock", "state.json"}
_FRAME_BYTES = 5


def mutated_bytes(data: bytes, draw: Random) -> tuple[str, bytes]:
    """Other bytes, and what became of them: a bit flipped, cut, added, or a part doubled."""
    at = draw.randrange(len(data))
    match draw.randrange(6):
        case 0:
            return f"cut at {at}", data[:at]
        case 1:
            return "byte added", data + bytes([draw.randrange(256)])
        case 2 if at:
            return f"beginning doubled up to {at}", data[:at] + data
        case _:
            bit = 1 << draw.randrange(8)
            return f"bit {bit} of byte {at}", data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def _another(value: Any, kind: type) -> Any:
    """What a column of this type could hold instead."""
    match value:
        case None:
            return datetime(2026, 1, 1, tzinfo=UTC) if kind is datetime else kind(1)
        case bool():
            return not value
        case int():
            return value + 1_000
        case str():
            return f"{value}x"
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case list():
            return [*value, "x"]
        case _:
            return value + timedelta(microseconds=1)


@contextmanager
def file_mutated(folder: Path, draw: Random) -> Iterator[str]:
    """Any file below the ledger: bundle, tile, head, sealed part, bytes that were set aside."""
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and file.name not in _NOT_EVIDENCE and file.stat().st_size
    )
    file = draw.choice(files)
    whole, path = file.read_bytes(), file.relative_to(folder)
    if draw.randrange(8):
        what, other = mutated_bytes(whole, draw)
        file.write_bytes(other)
    else:
        what = "removed"
        file.unlink()
    try:
        yield f"{path}: {what}"
    finally:
        file.write_bytes(whole)


@contextmanager
def state_lost(folder: Path, draw: Random) -> Iterator[str]:
    """`state.json` is gone, or a directory is in its place."""
    file = folder / "state.json"
    whole, as_directory = file.read_bytes(), draw.random() < 0.5
    file.unlink()
    if as_directory:
        file.mkdir()
    try:
        yield "state.json: a directory" if as_directory else "state.json: removed"
    finally:
        if as_directory:
            file.rmdir()
        file.write_bytes(whole)


@contextmanager
def topic_mutated(pages: FakePages, draw: Random) -> Iterator[str]:
    """A message is edited, removed, replaced by another, or changes its place with one."""
    whole = list(pages.messages)
    at, other = draw.sample(range(len(whole)), 2)
    match draw.randrange(6):
        case 0:
            what = "removed"
            del pages.messages[at]
        case 1:
            what = f"replaced by {other}"
            pages.messages[at] = replace(whole[at], value=whole[other].value)
        case 2:
            what = f"in the place of {other}"
            pages.messages[at] = replace(whole[at], value=whole[other].value)
            pages.messages[other] = replace(whole[other], value=whole[at].value)
        case _:
            what, body = mutated_bytes(whole[at].value[_FRAME_BYTES:], draw)
            value = whole[at].value[:_FRAME_BYTES] + body
            pages.messages[at] = replace(whole[at], value=value)
    try:
        yield f"message {at}: {what}"
    finally:
        pages.messages[:] = whole


_EDITS: tuple[Callable[[Random, tuple[str, int, bytes, bytes]], tuple[str, object]], ...] = (
    lambda draw, row: ("origin", row[0] + draw.choice("abc")),
    lambda draw, row: ("size", max(0, row[1] + draw.choice([-7, -1, 1, 100]))),
    lambda draw, row: ("root", bytes([row[2][0] ^ 1 << draw.randrange(8)]) + row[2][1:]),
    lambda draw, row: ("note", mutated_bytes(row[3], draw)[1]),
    lambda draw, row: ("note", mutated_bytes(row[3], draw)[1]),
)


@contextmanager
def store_mutated(file: Path, draw: Random) -> Iterator[str]:
    """The one row of a witness: a column is edited, or the row is deleted."""
    with closing(sqlite3.connect(file)) as store:
        (row,) = store.execute("select origin, size, root, note from held").fetchall()
        if draw.randrange(6):
            column, value = draw.choice(_EDITS)(draw, row)
            what = f"{column} edited"
            store.execute(f"update held set {column} = ?", (value,))  # noqa: S608
        else:
            what = "row deleted"
            store.execute("delete from held")
        store.commit()
        try:
            yield f"{file.name}: {what}"
        finally:
            store.execute("delete from held")
            store.execute("insert into held values (?, ?, ?, ?)", row)
            store.commit()


@contextmanager
def row_mutated(engine: Engine, table: Table, *, draw: Random) -> Iterator[str]:
    """One row of a table: a column gets another value, or the row is deleted."""
    with engine.begin() as connection:
        rows = [dict(row) for row in connection.execute(select(table)).mappings()]
        edited = draw.choice(rows)
        column = draw.choice([c for c in table.columns if c.name != "one"])  # a constraint holds it
        if len(rows) > 1 and not draw.randrange(6):
            what, other = "row deleted", [row for row in rows if row is not edited]
        else:
            value = _another(edited[column.name], column.type.python_type)
            what = f"{column.name} edited"
            other = [row | {column.name: value} if row is edited else row for row in rows]
        _refill(connection, table, other)
    try:
        yield f"{table.name}: {what}"
    finally:
        with engine.begin() as connection:
            _refill(connection, table, rows)


def _refill(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(table.delete())
    connection.execute(table.insert(), rows)

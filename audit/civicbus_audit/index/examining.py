"""Holding the index against the ledger, row by row: what is missing, altered or invented in it.

The ledger is evidence and is believed once it is verified; the index is made from it, so that a
contradiction is always the index's fault. Rows that it has not yet are no fault: it is behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, or_, select

from civicbus_audit.index.database import errors_translated
from civicbus_audit.index.filling import BATCH, Progress, Recorders, read_progress
from civicbus_audit.index.rows import PageContext, Row, row_of
from civicbus_audit.index.tables import leaf, recorder
from civicbus_audit.merkle import root_of_range
from civicbus_audit.stored import StoredLog

_COLUMNS = [column.name for column in leaf.columns]


class Contradiction(StrEnum):
    """How the index contradicts the ledger."""

    MISSING = "missing"
    ALTERED = "altered"
    INVENTED = "invented"
    PRUNED = "pruned"
    RECORDERS = "recorders"
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One contradiction: the leaf whose row it is, if it is one's, and which columns differ."""

    kind: Contradiction
    leaf: int | None = None
    columns: tuple[str, ...] = ()


def examine_index(
    engine: Engine,
    newest: Callable[[], StoredLog],
    *,
    since: int = 0,
    on_progress: Progress | None = None,
) -> Iterator[Fault]:
    """Every contradiction between the index and a verified log. Raises `Unavailable`.

    Both may grow meanwhile: the index is read as it was at one moment, and the newest log after
    that moment, of which the index is never ahead. With `since`, a leaf with which a page begins,
    rows before it are not looked at, nor what all pages together say of recorders. A pruned log has
    no rows of what was pruned, and says of recorders only what their pages said since.
    """
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ")
    with errors_translated("examining the index"), snapshot.connect() as connection:
        size, root = read_progress(connection)
        log = newest()
        if size > log.size or root_of_range(0, size, log.node) != root:
            yield Fault(kind=Contradiction.PROGRESS)
            size = min(size, log.size)
        recorders, whole = Recorders(), not since
        since = max(since, log.first)
        expected = _expected(log, recorders, since=since)
        for start in range(since, size, BATCH):
            end = min(size, start + BATCH)
            yield from _compare(list(islice(expected, end - start)), _rows(connection, start, end))
            if on_progress:
                on_progress(end)
        beyond = select(leaf.c.index).where(or_(leaf.c.index >= size, leaf.c.index < 0))
        for (index,) in connection.execute(beyond.order_by(leaf.c.index)):
            yield Fault(kind=Contradiction.INVENTED, leaf=index)
        gone = select(leaf.c.index).where(leaf.c.index >= 0, leaf.c.index < log.first)
        for (index,) in connection.execute(gone.order_by(leaf.c.index)):
            yield Fault(kind=Contradiction.PRUNED, leaf=index)
        if whole:
            told, kept = _by_name(recorders.rows()), _by_name(_recorders(connection))
            if log.first:
                kept = {name: kept[name] for name in kept.keys() & told.keys()}
            if told != kept:
                yield Fault(kind=Contradiction.RECORDERS)


def _expected(log: StoredLog, recorders: Recorders, *, since: int) -> Iterator[Row]:
    page: PageContext | None = None
    for index, content in log.leaves(since):
        row, header, page = row_of(index, content, page=page)
        if header:
            recorders.see(header)
        yield {name: row.get(name) for name in _COLUMNS}


def _rows(connection: Connection, start: int, end: int) -> dict[int, Mapping[str, Any]]:
    wanted = select(leaf).where(leaf.c.index >= start, leaf.c.index < end)
    return {row["index"]: dict(row) for row in connection.execute(wanted).mappings()}


def _compare(expected: list[Row], found: Mapping[int, Mapping[str, Any]]) -> Iterator[Fault]:
    for row in expected:
        index = row["index"]
        if (kept := found.get(index)) is None:
            yield Fault(kind=Contradiction.MISSING, leaf=index)
            continue
        differ = tuple(name for name in _COLUMNS if kept[name] != _stored(row[name]))
        if differ:
            yield Fault(kind=Contradiction.ALTERED, leaf=index, columns=differ)


def _stored(value: Any) -> Any:
    """As PostgreSQL gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _recorders(connection: Connection) -> list[Row]:
    return [dict(row) for row in connection.execute(select(recorder)).mappings()]


def _by_name(rows: list[Row]) -> dict[bytes, Row]:
    return {row["recorder"]: row for row in rows}

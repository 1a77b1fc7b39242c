"""Filling the index from the ledger's bundles, by COPY; Kafka is not asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from struct import pack
from typing import Any

from civicbus_schemas.errors import Refused
from civicbus_schemas.page import PageHeader
from civicbus_schemas.vocabulary import RecordKind
from psycopg.types.string import BytesBinaryDumper
from sqlalchemy import Connection, Engine, delete, func, select, text
from sqlalchemy.dialects.postgresql import dialect, insert
from sqlalchemy.schema import DropSchema

from civicbus_audit.index.database import (
    errors_translated,
    hold_writer_lock,
    make_engine,
    migrate,
)
from civicbus_audit.index.rows import PageContext, Row, row_of
from civicbus_audit.index.tables import REBUILT, SCHEMA, leaf, progress, recorder
from civicbus_audit.merkle import EMPTY_ROOT, root_of_range
from civicbus_audit.stored import StoredLog

BATCH = 16_384
_COPIED = [column.name for column in leaf.columns]
_NAMES = ", ".join(f'"{name}"' for name in _COPIED)
_POSTGRES = dialect()  # type: ignore[no-untyped-call]
_TYPES = [column.type.compile(dialect=_POSTGRES).lower() for column in leaf.columns]
_FIELDS = _COPIED.index("fields")
_TYPES[_FIELDS] = "bytea"  # taken as they are, and they are `_texts`
_TEXT_OID = 25

Progress = Callable[[int], None]


def indexed_size(engine: Engine) -> int:
    """How many leaves the index has."""
    with errors_translated("reading the index"), engine.connect() as connection:
        return read_progress(connection)[0]


def fill(engine: Engine, log: StoredLog, *, on_progress: Progress | None = None) -> int:
    """Indexes the leaves that the index has not yet, and forgets pruned ones; returns how many.

    Raises `Refused` if the index is of another ledger, or of a longer one.
    """
    added = 0
    while True:
        count = fill_batch(engine, log)
        added += count
        if on_progress:
            on_progress(added)
        if count < BATCH:
            return added


def fill_batch(engine: Engine, log: StoredLog) -> int:
    """Indexes the next `BATCH` leaves in one transaction; raises as `fill` does."""
    with errors_translated("filling the index"), engine.begin() as connection:
        hold_writer_lock(connection)
        return _fill_batch(connection, log)


def rebuild(dsn_file: Path, log: StoredLog, *, on_progress: Progress | None = None) -> int:
    """Builds the index anew beside the old one and takes its place; returns the leaves' number."""
    engine = make_engine(dsn_file, schema=REBUILT)
    try:
        with errors_translated("making room for the index"), engine.begin() as connection:
            connection.execute(DropSchema(REBUILT, cascade=True, if_exists=True))
        migrate(engine, schema=REBUILT)
        count = fill(engine, log, on_progress=on_progress)
        with errors_translated("exchanging the index"), engine.begin() as connection:
            hold_writer_lock(connection)
            connection.execute(DropSchema(SCHEMA, cascade=True, if_exists=True))
            connection.execute(text(f"alter schema {REBUILT} rename to {SCHEMA}"))
    finally:
        engine.dispose()
    return count


def _fill_batch(connection: Connection, log: StoredLog) -> int:
    size, root = read_progress(connection)
    if size > log.size or root_of_range(0, size, log.node) != root:
        raise Refused(
            "the index is not of this ledger",
            got=f"{size} leaves indexed",
            expected=f"a prefix of {log.size} leaves",
            next_step="rebuild it with `civicbus-audit rebuild-index`",
        )
    _forget_pruned(connection, log.first)
    if (begin := max(size, log.first)) == log.size:
        return 0
    end = min(log.size, begin + BATCH)
    page = _last_page(connection) if begin > log.first else None
    rows, recorders = list[Row](), Recorders()
    for index, content in islice(log.leaves(begin), end - begin):
        row, header, page = row_of(index, content, page=page)
        rows.append(row)
        if header:
            recorders.see(header)
    _copy(connection, rows)
    _upsert(connection, recorders.rows())
    row = {"one": True, "size": end, "root": root_of_range(0, end, log.node)}
    connection.execute(
        insert(progress).values(row).on_conflict_do_update(index_elements=["one"], set_=row)
    )
    return end - begin


def _forget_pruned(connection: Connection, first: int) -> None:
    """The index holds what the ledger holds: rows of leaves that were pruned go."""
    if first:
        connection.execute(delete(leaf).where(leaf.c.index < first))


@dataclass(slots=True)
class Recorders:
    """What the headers of one batch say about recorders."""

    processes: dict[str, str] = field(default_factory=dict)
    released: dict[str, int] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def see(self, header: PageHeader) -> None:
        """Takes in one header: what it says of its recorder, and of the one before."""
        self.processes[header.recorder] = header.process
        for ref in filter(None, [header.released, header.closes]):
            self.processes.setdefault(ref.recorder, header.process)
            newest = max(ref.sequence, self.released.get(ref.recorder, -1))
            self.released[ref.recorder] = newest
        if header.closes:
            self.closed.add(header.closes.recorder)

    def rows(self) -> list[Row]:
        """One row for each recorder."""
        return [
            {
                "recorder": bytes.fromhex(name),
                "process": process,
                "released": self.released.get(name, -1),
                "closed": name in self.closed,
            }
            for name, process in self.processes.items()
        ]


def read_progress(connection: Connection) -> tuple[int, bytes]:
    """Size and root of what is indexed."""
    row = connection.execute(select(progress.c.size, progress.c.root)).one_or_none()
    return (row.size, row.root) if row else (0, EMPTY_ROOT)


def _last_page(connection: Connection) -> PageContext | None:
    newest = (
        select(leaf.c.recorder, leaf.c.page)
        .where(leaf.c.kind.not_in([RecordKind.LOG_GAP, RecordKind.INDEX_COMMIT]))
        .order_by(leaf.c.index.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    if row is None or row.recorder is None:
        return None
    return PageContext(recorder=row.recorder, sequence=row.page)


def _copy(connection: Connection, rows: Iterable[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        # else what was registered last for `bytea` is taken, which is not written in C
        cursor.adapters.register_dumper(bytes, BytesBinaryDumper)
        statement = f"copy leaf ({_NAMES}) from stdin (format binary)"
        with cursor.copy(statement) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                values = list(map(row.get, _COPIED))
                values[_FIELDS] = _texts(tuple(row["fields"]))
                copy.write_row(values)


@lru_cache(maxsize=1_024)  # the same for all that rests on one agreement
def _texts(values: tuple[str, ...]) -> bytes:
    """A `text[]` as COPY takes it; psycopg's own takes as long as all other columns."""
    if not values:
        return pack(">iii", 0, 0, _TEXT_OID)
    items = [value.encode() for value in values]
    head = pack(">iiiii", 1, 0, _TEXT_OID, len(items), 1)
    return head + b"".join(pack(">i", len(item)) + item for item in items)


def _upsert(connection: Connection, rows: Sequence[Row]) -> None:
    if not rows:
        return
    new = insert(recorder)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["recorder"],
            set_={
                "released": func.greatest(recorder.c.released, new.excluded.released),
                "closed": recorder.c.closed | new.excluded.closed,
            },
        ),
        rows,
    )

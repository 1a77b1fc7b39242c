"""Writing the view: a batch and its positions in one transaction, by the only writer.

Whoever finds that another has moved the positions stops: there must be one writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from civicbus_schemas.errors import Stopped
from sqlalchemy import Engine, case, func, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import Insert, insert

from civicbus_consumers.population.database import errors_translated, hold_writer_lock
from civicbus_consumers.population.incoming import Partition
from civicbus_consumers.population.rules import Held, Persons, Version
from civicbus_consumers.population.tables import (
    STORED,
    person,
    quarantine,
    staged,
    state,
    version_column,
    watermark,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A refused delivery: where it lies and why; never what it says."""

    topic: str
    partition: int
    offset: int
    reason: str
    event_type: str | None
    event_id: str | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a run of deliveries comes to; `positions` are the next offsets after them."""

    persons: Persons = field(repr=False)
    quarantined: Sequence[Quarantined]
    positions: Mapping[Partition, int]
    deliveries: int


class ViewStore:
    """The view's only writer, on a connection of its own. Use it as a context manager."""

    def __init__(self, engine: Engine) -> None:
        with errors_translated("connecting"):
            self._connection = engine.connect()
            with self._connection.begin():
                staged.create(self._connection)
                self._positions = self._read_positions()
                self._watermark: int = self._connection.scalar(select(state.c.batch)) or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was ever applied."""
        return self._positions

    @property
    def watermark(self) -> int:
        """How many batches were applied: what a look-up records as the state that it read."""
        return self._watermark

    def apply(self, batch: Batch) -> None:
        """Apply a batch: all of it or nothing.

        1. No other writer until the end; the positions are still those that this one left.
        2. Persons by COPY into the staging table, and from there by one guarded upsert.
        3. Refused deliveries, the new positions, the new watermark; commit.

        Raises `Stopped` when another writer moved the view, `Unavailable` or `Fatal`.
        """
        with errors_translated("applying a batch"), self._connection.begin():
            hold_writer_lock(self._connection)
            if self._read_positions() != self._positions:
                raise Stopped(
                    "the view's positions were moved by another writer",
                    next_step="see that one population process runs, then start it again",
                )
            self._copy(batch.persons)
            if batch.persons:
                self._connection.execute(_UPSERT)
            self._note(batch)
        self._positions |= batch.positions

    def _copy(self, persons: Persons) -> None:
        driver: Any = self._connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(_TYPES)
            for row in _rows(persons):
                copy.write_row(row)

    def _note(self, batch: Batch) -> None:
        now = datetime.now(UTC)
        execute = self._connection.execute
        if batch.quarantined:
            rows = [asdict(refused) | {"at": now} for refused in batch.quarantined]
            execute(insert(quarantine).on_conflict_do_nothing(), rows)
        execute(
            _MOVE,
            [
                {"topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in batch.positions.items()
            ],
        )
        advance = update(state).values(
            batch=state.c.batch + 1,
            deliveries=state.c.deliveries + batch.deliveries,
            applied_at=now,
        )
        self._watermark = execute(advance.returning(state.c.batch)).scalar_one()

    def _read_positions(self) -> dict[Partition, int]:
        rows = self._connection.execute(select(watermark))
        return {(topic, partition): offset for topic, partition, offset in rows}


_NOTHING: Final = Held(Version(b""), None)


def _rows(persons: Persons) -> Iterator[list[Any]]:
    for number, said in persons.items():
        row: list[Any] = [number]
        for datum in STORED:
            held = said.get(datum, _NOTHING)
            row += (held.value, held.version)
        yield row


def _guarded_upsert() -> Insert:
    """Every datum keeps the greater version; a row where nothing is newer is not touched."""
    columns = [column.name for column in person.columns]
    statement = insert(person).from_select(columns, select(staged))
    new: dict[str, Any] = {}
    newer = []
    for datum in STORED:
        held = version_column(datum)
        is_newer = statement.excluded[held] > person.c[held]
        new[datum] = case((is_newer, statement.excluded[datum]), else_=person.c[datum])
        new[held] = func.greatest(person.c[held], statement.excluded[held])
        newer.append(is_newer)
    return statement.on_conflict_do_update(
        index_elements=[person.c.number], set_=new, where=or_(*newer)
    )


_UPSERT: Final = _guarded_upsert()
_COPY: Final = "copy person_staged from stdin (format binary)"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_TYPES: Final = [column.type.compile(_DIALECT).lower() for column in staged.columns]
_INSERT_POSITION = insert(watermark)
_MOVE: Final = _INSERT_POSITION.on_conflict_do_update(
    index_elements=[watermark.c.topic, watermark.c.partition],
    set_={"next_offset": _INSERT_POSITION.excluded.next_offset},
)

"""Flags in PostgreSQL: what was found, what is remembered and how far was read, all at once.

There is one writer; whoever finds that another has moved the position stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from civicbus_schemas.errors import Stopped
from civicbus_schemas.vocabulary import RecordKind
from sqlalchemy import Connection, Engine, RowMapping, and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.flags.database import hold_writer_lock
from civicbus_consumers.flags.findings import Finding, Folded
from civicbus_consumers.flags.memory import Document, Memory, from_json, lives_until, to_json
from civicbus_consumers.flags.rules import further_keys
from civicbus_consumers.flags.tables import flag, label, memory, position
from civicbus_consumers.flags.words import Closing, Explanation, Flag
from civicbus_consumers.population.database import errors_translated

Partition = tuple[str, int]
TOLD_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A flag whose raising, or whose closing, is not yet a leaf."""

    finding: Finding
    kind: RecordKind
    closing: Closing | None = None


class FlagStore:
    """The only writer of flags."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with errors_translated("reading the position of flags"), engine.connect() as connection:
            self._positions = _read_positions(connection)

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was taken in."""
        return self._positions

    def load(self, keys: Iterable[str]) -> Memory:
        """What is remembered under these keys, and under those that it leads to."""
        with errors_translated("reading what flags remember"), self._engine.connect() as at:
            found = Memory(_read(at, set(keys)))
            found.documents |= _read(at, further_keys(found) - set(found.documents))
        return found

    def apply(self, folded: Folded, remembered: Memory, positions: Mapping[Partition, int]) -> None:
        """Write what pages came to, and the positions after them: all of it or nothing.

        1. Nobody else has moved the position. 2. Flags, their ends, labels; each is written once.
        3. What is remembered, and the positions. Raises `Stopped`, `Unavailable` or `Fatal`.
        """
        with errors_translated("writing flags"), self._engine.begin() as connection:
            hold_writer_lock(connection)
            if _read_positions(connection) != self._positions:  # 1
                raise Stopped(
                    "the position of flags was moved by another writer",
                    next_step="see that one flags process runs, then start it again",
                )
            _write_flags(connection, folded)  # 2
            _write_memory(connection, remembered)  # 3
            for (topic, partition), offset in positions.items():
                row = {"topic": topic, "partition": partition, "next_offset": offset}
                at = insert(position).values(row)
                keys = ["topic", "partition"]
                connection.execute(at.on_conflict_do_update(index_elements=keys, set_=row))
        self._positions = {**self._positions, **positions}

    def untold(self) -> list[Untold]:
        """The oldest flags, and ends of flags, that no leaf tells yet."""
        ended = and_(flag.c.closed_at.is_not(None), ~flag.c.closed_told)
        statement = (
            select(flag)
            .where(or_(~flag.c.raised_told, ended))
            .order_by(flag.c.raised_at, flag.c.id)
            .limit(TOLD_AT_ONCE)
        )
        with errors_translated("reading flags"), self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return [told for row in rows for told in _untold(row)]

    def mark_told(self, told: Iterable[tuple[str, RecordKind]]) -> None:
        """These are leaves now."""
        with errors_translated("marking flags as told"), self._engine.begin() as connection:
            _mark_told(connection, told)

    def forget(self, now: datetime) -> None:
        """Delete what is too old to be remembered."""
        with errors_translated("forgetting"), self._engine.begin() as connection:
            connection.execute(delete(memory).where(memory.c.until < now))


def _read(connection: Connection, keys: set[str]) -> dict[str, Document]:
    if not keys:
        return {}
    rows = connection.execute(select(memory.c.key, memory.c.body).where(memory.c.key.in_(keys)))
    return {key: from_json(key, body) for key, body in rows}


def _write_flags(connection: Connection, folded: Folded) -> None:
    if folded.raised:
        rows = [asdict(found) | {"id": found.id} for found in folded.raised]
        told = {"raised_told": False, "closed_told": False}
        connection.execute(insert(flag).on_conflict_do_nothing(), [row | told for row in rows])
    for id_, closing, at in folded.closed:
        still_open = flag.c.closed_at.is_(None) & (flag.c.id == id_)
        connection.execute(update(flag).where(still_open).values(closed_at=at, closing=closing))
    if folded.labelled:
        labels = [asdict(each) for each in folded.labelled]
        connection.execute(insert(label).on_conflict_do_nothing(), labels)
    _mark_told(connection, folded.recorded)


def _mark_told(connection: Connection, told: Iterable[tuple[str, RecordKind]]) -> None:
    for id_, kind in told:
        raised = kind is RecordKind.FLAG_RAISED
        values = {"raised_told": True} if raised else {"closed_told": True}
        connection.execute(update(flag).where(flag.c.id == id_).values(values))


def _write_memory(connection: Connection, remembered: Memory) -> None:
    rows = [
        {"key": key, "body": to_json(remembered.documents[key]), "until": lives_until(key, now)}
        for now in [remembered.now]
        for key in sorted(remembered.touched)
    ]
    if not rows:
        return
    new = insert(memory)
    set_ = {"body": new.excluded.body, "until": new.excluded.until}
    connection.execute(new.on_conflict_do_update(index_elements=["key"], set_=set_), rows)


def _read_positions(connection: Connection) -> dict[Partition, int]:
    rows = connection.execute(select(position))
    return {(topic, partition): offset for topic, partition, offset in rows}


def finding_of(row: RowMapping) -> Finding:
    """The finding in a row of `flag`."""
    names = "record at raised_at agency officer subject score count usual reference"
    values: dict[str, Any] = {name: row[name] for name in names.split()}
    explanations = tuple(map(Explanation, row["explanations"]))
    return Finding(flag=Flag(row["flag"]), explanations=explanations, **values)


def _untold(row: RowMapping) -> list[Untold]:
    finding = finding_of(row)
    told = []
    if not row["raised_told"]:
        told.append(Untold(finding=finding, kind=RecordKind.FLAG_RAISED))
    if row["closed_at"] is not None and not row["closed_told"]:
        closing = Closing(row["closing"])
        told.append(Untold(finding=finding, kind=RecordKind.FLAG_CLOSED, closing=closing))
    return told

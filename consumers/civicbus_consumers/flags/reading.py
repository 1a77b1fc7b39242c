"""Flags as officers of oversight see them: the gravest first, with what was made of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from civicbus_schemas.errors import Refused
from sqlalchemy import Engine, RowMapping, select

from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.store import finding_of
from civicbus_consumers.flags.tables import flag, label
from civicbus_consumers.flags.words import Closing, Flag, Label
from civicbus_consumers.population.database import errors_translated

MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One label: by whom (pseudonym), when, and the record that says why, sealed."""

    label: Label
    at: datetime
    by: str | None
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A flag, whether it is closed, and its labels, the newest last."""

    finding: Finding
    closed_at: datetime | None
    closing: Closing | None
    labels: tuple[Said, ...] = ()


def list_flags(
    engine: Engine,
    *,
    closed_too: bool = False,
    word: Flag | None = None,
    agency: str | None = None,
    limit: int = 50,
) -> list[Shown]:
    """The gravest flags first, among equals the newest."""
    statement = select(flag).order_by(flag.c.score.desc(), flag.c.raised_at.desc(), flag.c.id)
    if not closed_too:
        statement = statement.where(flag.c.closed_at.is_(None))
    if word is not None:
        statement = statement.where(flag.c.flag == word)
    if agency is not None:
        statement = statement.where(flag.c.agency == agency)
    with errors_translated("listing flags"), engine.connect() as connection:
        rows = connection.execute(statement.limit(min(limit, MAX_LISTED))).mappings().all()
    return [_shown(row) for row in rows]


def get_flag(engine: Engine, id_: str) -> Shown:
    """The flag with this id and its labels; raises `Refused` where there is none."""
    labels = select(label).where(label.c.flag == id_).order_by(label.c.at, label.c.record)
    with errors_translated("reading a flag"), engine.connect() as connection:
        row = connection.execute(select(flag).where(flag.c.id == id_)).mappings().one_or_none()
        said = connection.execute(labels).mappings().all()
    if row is None:
        raise Refused("there is no such flag", next_step="civicbus flags list")
    return _shown(row, tuple(map(_said, said)))


def _shown(row: RowMapping, labels: tuple[Said, ...] = ()) -> Shown:
    closing = None if row["closing"] is None else Closing(row["closing"])
    return Shown(
        finding=finding_of(row), closed_at=row["closed_at"], closing=closing, labels=labels
    )


def _said(row: RowMapping) -> Said:
    return Said(label=Label(row["label"]), at=row["at"], by=row["by"], record=row["record"])

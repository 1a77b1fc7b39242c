"""Reading one person out of the view: one statement, so one snapshot.

For the look-up room, on its own connection with its own role; it changes nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import psycopg
from civicbus_schemas.ids import Pin
from psycopg import sql
from psycopg.rows import tuple_row

from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.population.tables import CONTRACT, SCHEMA

_PATHS: Final = tuple(CONTRACT.fields)

# Qualified, so that no `search_path` can put another table in its place.
_READ: Final = sql.SQL(
    "select {columns}, batch from {schema}.state left join {schema}.person_current on number = %s"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, ("number", *_PATHS))),
    schema=sql.Identifier(SCHEMA),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person as the view knew it at `watermark`, which grows with each batch applied.

    `values` holds every field of `population.Person` by path; None where nothing was said.
    """

    values: Mapping[str, Any] = field(repr=False)
    watermark: int

    def is_person(self, *, full_name: str, date_of_birth: date) -> bool:
        """Whether this is the person of that name and birth; never true where either is unknown.

        Names are compared in Unicode NFC, without regard to case and runs of spaces.
        """
        known = self.values["full_name"]
        return (
            known is not None
            and _comparable(known) == _comparable(full_name)
            and self.values["date_of_birth"] == date_of_birth
        )


def read_person(connection: psycopg.Connection[Any], pin: Pin) -> PersonRow | None:
    """The person with this number, or None; raises `Unavailable` or `Fatal`."""
    with errors_translated("reading a person"):
        row = connection.cursor(row_factory=tuple_row).execute(_READ, [pin.number]).fetchone()
    if row is None or row[0] is None:
        return None
    values = dict(zip(_PATHS, row[1:-1], strict=True))
    return PersonRow(values=MappingProxyType(values), watermark=row[-1])


def read_watermark(connection: psycopg.Connection[Any]) -> int:
    """The watermark of the view now, for the record of a look-up that found nobody."""
    with errors_translated("reading the watermark"):
        statement = sql.SQL("select batch from {}.state").format(sql.Identifier(SCHEMA))
        row = connection.cursor(row_factory=tuple_row).execute(statement).fetchone()
    return int(row[0]) if row else 0


def _comparable(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())

"""Reading persons out of the view: one statement, so one snapshot.

For the look-up room, on its own connection with its own role; it changes nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import psycopg
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import Pin
from psycopg import sql
from psycopg.rows import tuple_row

from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.population.tables import CONTRACT, SCHEMA

_PATHS: Final = tuple(CONTRACT.fields)

# Qualified, so that no `search_path` can put another table in its place. Rendered once; always a
# row of `state`, so that the watermark comes with the persons, or without any.
_READ: Final = (
    sql.SQL(
        "select {columns}, batch from {schema}.state"
        " left join {schema}.person_current on number = any(%s)"
    )
    .format(
        columns=sql.SQL(", ").join(map(sql.Identifier, ("number", *_PATHS))),
        schema=sql.Identifier(SCHEMA),
    )
    .as_string()
    .encode()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Persons by number as the view knew them at `watermark`; an unknown number is absent."""

    persons: Mapping[Pin, PersonRow] = field(repr=False)
    watermark: int


def read_persons(connection: psycopg.Connection[Any], pins: Sequence[Pin]) -> Snapshot:
    """The persons with these numbers in one snapshot; raises `Unavailable` or `Fatal`."""
    numbers = [pin.number for pin in pins]
    with errors_translated("reading persons"):
        rows = connection.cursor(row_factory=tuple_row).execute(_READ, [numbers]).fetchall()
    if not rows:  # then nothing is known of anybody, and nobody is unknown
        raise Unavailable("the view has no state", next_step="restore or rebuild the view")
    watermark = int(rows[0][-1])
    persons = {
        Pin(row[0]): PersonRow(
            values=MappingProxyType(dict(zip(_PATHS, row[1:-1], strict=True))), watermark=watermark
        )
        for row in rows
        if row[0] is not None
    }
    return Snapshot(persons=MappingProxyType(persons), watermark=watermark)


def read_person(connection: psycopg.Connection[Any], pin: Pin) -> PersonRow | None:
    """The person with this number, or None; raises `Unavailable` or `Fatal`."""
    return read_persons(connection, [pin]).persons.get(pin)


def _comparable(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())

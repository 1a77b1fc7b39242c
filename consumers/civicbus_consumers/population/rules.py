"""What a delivery says about persons, and which of two statements holds: the pure fold.

A datum is a column of the view. Every statement about one carries a version, and the greater
version holds: the view is the join of all that was delivered, so order and repetition do not
matter. Only the owner of a datum may make statements about it (invariant I4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NewType

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.contract import Field, nested_record, without_null
from civicbus_schemas.errors import InvalidEvent, InvalidIdentifier, Refused
from civicbus_schemas.ids import EventType, Pin

from civicbus_consumers.population.statements import NUMBERS, RULES, Rule, Statement, Value

Version = NewType("Version", bytes)  # 24 bytes that sort by time, then by event

_TYPES = {"string": str, "int": int}
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NotTheOwner(Refused):
    """The delivery states a datum that its publisher does not own; nothing of it is applied."""


class NoRule(Refused):
    """The view knows nothing to do with this type of event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A decoded delivery: who published it, and `owners`, the labels of the fields released."""

    type: EventType
    event_id: str
    source: str
    time: datetime
    datum: Mapping[str, Any] = field(repr=False)
    owners: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A value and the version of the statement that set it."""

    version: Version
    value: Value = field(repr=False)


Person = dict[str, Held]  # by datum
Persons = dict[str, Person]  # by number


def version(time: datetime, event_id: str) -> Version:
    """The version of what an event says: its time, and its identity where times are equal."""
    micros = max(0, (time - _BEGINNING) // _MICROSECOND)
    return Version(micros.to_bytes(8, "big") + hashlib.sha256(event_id.encode()).digest()[:16])


def fold(told: Told, persons: Persons, *, data: Mapping[str, Field]) -> None:
    """Join what a delivery says into `persons`; `data` are the view's fields with their owners.

    Raises `NotTheOwner`, `NoRule`, or `InvalidEvent` before anything is changed.
    """
    said = version(told.time, told.event_id)
    for statement in list(_checked(told, data)):
        person = persons.setdefault(statement.number, {})
        held = person.get(statement.datum)
        if held is None or said > held.version:
            person[statement.datum] = Held(said, statement.value)


def owners_of(schema: SchemaDocument, *, prefix: str = "") -> dict[str, str]:
    """The owner of each field in a delivered schema, by path."""
    owners: dict[str, str] = {}
    for entry in schema["fields"]:
        type_, _ = without_null(entry["type"])
        nested = nested_record(type_)
        path = prefix + entry["name"]
        if nested is None:
            owners[path] = entry["owner"]
        else:
            dots = "[]." if type_["type"] == "array" else "."
            owners |= owners_of(nested, prefix=path + dots)
    return owners


def _checked(told: Told, data: Mapping[str, Field]) -> Iterator[Statement]:
    rule = RULES.get(told.type)
    if rule is None:
        raise NoRule("the view has no rule for an event", got=told.type, expected=sorted(RULES))
    said: set[tuple[str, str]] = set()
    for statement in _stated(rule, told):
        field = data[statement.datum]
        labels = {told.owners.get(path) for path in statement.rests_on}
        if told.source != f"/agencies/{field.owner}" or labels != {field.owner}:
            raise NotTheOwner(f"{statement.datum} is stated by {told.type}", expected=field.owner)
        if (statement.number, statement.datum) in said:
            raise InvalidEvent(f"{told.type} says {statement.datum} of a person twice")
        said.add((statement.number, statement.datum))
        _check_value(statement, field)
        yield statement


def _stated(rule: Rule, told: Told) -> Iterator[Statement]:
    try:
        yield from rule(told.datum)
    except (KeyError, TypeError, AttributeError):
        raise InvalidEvent(
            f"{told.type} lacks what the view stands on",
            next_step="see what the population agency's agreement releases",
        ) from None


def _check_value(statement: Statement, field: Field) -> None:
    value = statement.value
    expected = _TYPES[field.type] if isinstance(field.type, str) else date
    if value is not None and type(value) is not expected:
        raise InvalidEvent(statement.datum, got=type(value).__name__, expected=expected.__name__)
    if isinstance(value, str) and "\x00" in value:
        raise InvalidEvent(f"{statement.datum} holds a NUL, which PostgreSQL cannot store")
    try:
        Pin(statement.number)
        if statement.datum in NUMBERS and value is not None:
            Pin(str(value))
    except InvalidIdentifier as error:
        raise InvalidEvent(f"{statement.datum}: {error.what}", expected=error.expected) from None

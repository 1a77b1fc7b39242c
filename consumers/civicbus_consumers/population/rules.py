"""What a delivery says about persons, and which of two statements holds: the pure fold.

A datum is a column of the view. Every statement about one carries a version, and the greater
version holds: the view is the join of all that was delivered, so order and repetition do not
matter. Only the owner of a datum may make statements about it (invariant I4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NewType

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.contract import Field, nested_record, without_null
from civicbus_schemas.errors import InvalidEvent, InvalidIdentifier, Refused
from civicbus_schemas.ids import EventType, Pin

Value = str | date | None
Version = NewType("Version", bytes)  # 24 bytes that sort by time, then by event

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One datum of one person has this value; `rests_on` are the event's fields that say so.

    A number that only points to a person is no field to rest on: it is the identity authority's,
    while who is whose parent or spouse is the civil registry's.
    """

    number: str = field(repr=False)
    datum: str
    value: Value = field(repr=False)
    rests_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A value and the version of the statement that set it."""

    version: Version
    value: Value = field(repr=False)


Person = dict[str, Held]  # by datum
Persons = dict[str, Person]  # by number

_Rule = Callable[[Mapping[str, Any]], Iterator[Statement]]


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
    rule = _RULES.get(told.type)
    if rule is None:
        raise NoRule("the view has no rule for an event", got=told.type, expected=sorted(_RULES))
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


def _stated(rule: _Rule, told: Told) -> Iterator[Statement]:
    try:
        yield from rule(told.datum)
    except (KeyError, TypeError, AttributeError):
        raise InvalidEvent(
            f"{told.type} lacks what the view stands on",
            next_step="see what the population agency's agreement releases",
        ) from None


def _check_value(statement: Statement, field: Field) -> None:
    value, expected = statement.value, str if field.type == "string" else date
    if value is not None and type(value) is not expected:
        raise InvalidEvent(statement.datum, got=type(value).__name__, expected=expected.__name__)
    if isinstance(value, str) and "\x00" in value:
        raise InvalidEvent(f"{statement.datum} holds a NUL, which PostgreSQL cannot store")
    try:
        Pin(statement.number)
        if statement.datum in _NUMBERS:
            Pin(str(value))
    except InvalidIdentifier as error:
        raise InvalidEvent(f"{statement.datum}: {error.what}", expected=error.expected) from None


# --- what each type of event says -----------------------------------------------------------------

_REGISTERED: Final = (
    "full_name",
    "date_of_birth",
    "sex",
    "place_of_birth",
    "native_place",
    "nationality",
    "ethnicity",
)
_NUMBERS: Final = ("pin", "spouse_pin", "mother_pin", "father_pin")
_RESIDENCE: Final = (
    "permanent_address",
    "permanent_commune_code",
    "household_number",
    "relation_to_head",
)


def _birth(event: Mapping[str, Any]) -> Iterator[Statement]:
    child = event["child"]
    for name in _REGISTERED:
        if name in child:
            yield Statement(
                number=child["pin"], datum=name, value=child[name], rests_on=(f"child.{name}",)
            )
    for parent in event["parents"]:
        if parent["role"] not in {"mother", "father"}:
            raise InvalidEvent("a parent's role", expected="mother or father")
        yield Statement(
            number=child["pin"],
            datum=f"{parent['role']}_pin",
            value=parent["pin"],
            rests_on=("parents[].role",),
        )


def _correction(event: Mapping[str, Any]) -> Iterator[Statement]:
    """Null in a correction means: as it was."""
    for name, value in event["corrected"].items():
        if value is not None and name in _REGISTERED:
            yield Statement(
                number=event["person"]["pin"],
                datum=name,
                value=value,
                rests_on=(f"corrected.{name}",),
            )


def _marriage(event: Mapping[str, Any]) -> Iterator[Statement]:
    wife, husband = event["wife"]["pin"], event["husband"]["pin"]
    for number, spouse in ((wife, husband), (husband, wife)):
        yield Statement(
            number=number, datum="spouse_pin", value=spouse, rests_on=("registered_at",)
        )


def _death(event: Mapping[str, Any]) -> Iterator[Statement]:
    deceased = event["deceased"]
    yield Statement(
        number=deceased["pin"],
        datum="deceased_on",
        value=deceased["died_on"],
        rests_on=("deceased.died_on",),
    )


def _residence(event: Mapping[str, Any]) -> Iterator[Statement]:
    address = event["address"]
    said = (
        ("permanent_address", f"{address['line']}, {address['commune_name']}",
         ("address.line", "address.commune_name")),
        ("permanent_commune_code", address["commune_code"], ("address.commune_code",)),
        ("household_number", event["household_number"], ("household_number",)),
        ("relation_to_head", event["relation_to_head"], ("relation_to_head",)),
    )  # fmt: skip
    for datum, value, fields in said:
        yield Statement(number=event["resident"]["pin"], datum=datum, value=value, rests_on=fields)


def _residence_ended(event: Mapping[str, Any]) -> Iterator[Statement]:
    """Who moved is entered where he lives now, and that entry replaces the former one whole.

    The two come in either order; were the removal to clear the address, it could clear the new.
    """
    if event["reason"] == "moved":
        return
    for datum in _RESIDENCE:
        yield Statement(
            number=event["resident"]["pin"], datum=datum, value=None, rests_on=("reason",)
        )


def _pin_issued(event: Mapping[str, Any]) -> Iterator[Statement]:
    holder, card = event["holder"], event["card"]
    for name in ("pin", "religion", "old_id_number"):
        if name in holder:
            yield Statement(
                number=holder["pin"], datum=name, value=holder[name], rests_on=(f"holder.{name}",)
            )
    if card is not None:
        for name in ("issued_on", "expires_on"):
            yield Statement(
                number=holder["pin"],
                datum=f"card_{name}",
                value=card[name],
                rests_on=(f"card.{name}",),
            )


_RULES: Final[Mapping[EventType, _Rule]] = {
    EventType("civil-status.BirthRegistered"): _birth,
    EventType("civil-status.CivilStatusCorrected"): _correction,
    EventType("civil-status.DeathRegistered"): _death,
    EventType("civil-status.MarriageRegistered"): _marriage,
    EventType("identity.PinIssued"): _pin_issued,
    EventType("residence.PermanentDeregistered"): _residence_ended,
    EventType("residence.PermanentRegistered"): _residence,
}

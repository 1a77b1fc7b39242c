"""What each type of event says about persons: one rule per type, pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from civicbus_schemas.errors import InvalidEvent
from civicbus_schemas.ids import EventType

Value = str | int | date | None


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


Rule = Callable[[Mapping[str, Any]], Iterator[Statement]]

_REGISTERED: Final = (
    "full_name",
    "date_of_birth",
    "sex",
    "place_of_birth",
    "native_place",
    "nationality",
    "ethnicity",
)
NUMBERS: Final = ("pin", "spouse_pin", "mother_pin", "father_pin", "guardian_pin")
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


def _guardianship(event: Mapping[str, Any]) -> Iterator[Statement]:
    if event["kind"] not in {"began", "ended"}:
        raise InvalidEvent("a guardianship's kind", expected="began or ended")
    guardian = event["guardian"]["pin"] if event["kind"] == "began" else None
    yield Statement(
        number=event["ward"]["pin"], datum="guardian_pin", value=guardian, rests_on=("kind",)
    )


def _capacity(event: Mapping[str, Any]) -> Iterator[Statement]:
    if event["capacity"] not in {"full", "limited", "lost"}:
        raise InvalidEvent("a legal capacity", expected="full, limited or lost")
    yield Statement(
        number=event["person"]["pin"],
        datum="legal_capacity",
        value=event["capacity"],
        rests_on=("capacity",),
    )


def _eid(event: Mapping[str, Any]) -> Iterator[Statement]:
    if event["level"] not in {0, 1, 2}:
        raise InvalidEvent("an eID level", expected="0, 1 or 2")
    yield Statement(
        number=event["holder"]["pin"], datum="eid_level", value=event["level"], rests_on=("level",)
    )


RULES: Final[Mapping[EventType, Rule]] = {
    EventType("civil-status.BirthRegistered"): _birth,
    EventType("civil-status.CapacityChanged"): _capacity,
    EventType("civil-status.CivilStatusCorrected"): _correction,
    EventType("civil-status.DeathRegistered"): _death,
    EventType("civil-status.GuardianshipRegistered"): _guardianship,
    EventType("civil-status.MarriageRegistered"): _marriage,
    EventType("identity.EidChanged"): _eid,
    EventType("identity.PinIssued"): _pin_issued,
    EventType("residence.PermanentDeregistered"): _residence_ended,
    EventType("residence.PermanentRegistered"): _residence,
}

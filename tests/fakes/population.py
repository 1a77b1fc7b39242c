"""Deliveries to the population agency, as enforcement cuts them. Every person is invented."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from civicbus_consumers.population.rules import Told, owners_of
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.codec import AvroType, SchemaDocument, frame
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.envelope import Envelope, Ground, Headers
from civicbus_schemas.ids import EventId, EventType, RecordId, family_of
from civicbus_schemas.nation import load_contracts

BIRTH = EventType("civil-status.BirthRegistered")
CORRECTION = EventType("civil-status.CivilStatusCorrected")
DEATH = EventType("civil-status.DeathRegistered")
MARRIAGE = EventType("civil-status.MarriageRegistered")
PIN_ISSUED = EventType("identity.PinIssued")
REGISTERED = EventType("residence.PermanentRegistered")
DEREGISTERED = EventType("residence.PermanentDeregistered")
GUARDIANSHIP = EventType("civil-status.GuardianshipRegistered")
CAPACITY = EventType("civil-status.CapacityChanged")
EID = EventType("identity.EidChanged")
TYPES = (
    BIRTH, CORRECTION, DEATH, MARRIAGE, PIN_ISSUED, REGISTERED, DEREGISTERED, GUARDIANSHIP,
    CAPACITY, EID,
)  # fmt: skip
OWNERS = {"civil-status": "moj", "identity": "identity", "residence": "mps"}

CORRECTED = (
    "date_of_birth",
    "full_name",
    "sex",
    "place_of_birth",
    "native_place",
    "nationality",
    "ethnicity",
)
CHILD, MOTHER, FATHER = "001324012345", "001193054321", "001091011223"
DAY = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A delivery before it is encoded."""

    type: EventType
    datum: Mapping[str, Any]
    time: datetime = DAY
    event_id: str = ""
    source: str | None = None
    traceparent: str | None = None

    @property
    def id(self) -> EventId:
        """The given id, or one that follows from the contents."""
        text = repr((self.type, self.datum, self.time))
        return EventId(self.event_id or hashlib.sha256(text.encode()).hexdigest()[:32])

    @property
    def publisher(self) -> str:
        """`ce_source`: the agency that publishes the family unless another is given."""
        return f"/agencies/{self.source or OWNERS[family_of(self.type)]}"

    def told(self) -> Told:
        """What the view is told by it."""
        return Told(
            type=self.type,
            event_id=self.id,
            source=self.publisher,
            time=self.time,
            datum=self.datum,
            owners=owners_of(delivered_schema(self.type)),
        )

    def headers(self) -> Headers:
        """Its headers on the delivery topic."""
        agreement = agreement_of(self.type)
        ground = Ground(
            purpose=agreement.purpose,
            basis=agreement.basis,
            agreement=agreement.ref,
            record_id=RecordId("5a" * 16),
        )
        return Envelope(
            id=self.id,
            source=self.publisher,
            type=self.type,
            time=self.time,
            traceparent=self.traceparent,
            ground=ground,
        ).headers()

    def value(self, schema_id: int) -> bytes:
        """Its framed bytes."""
        return frame(schema_id, AvroType(delivered_schema(self.type)).encode(self.datum))


@cache
def agreement_of(event_type: EventType) -> Agreement:
    """The population agency's agreement on the family of this type."""
    folder = files("civicbus_schemas.vietnam") / "agreements"
    for file in folder.iterdir():
        if file.name.startswith("npd."):
            agreement = parse_agreement(yaml.safe_load(file.read_text("utf-8")), source=file.name)
            if event_type in agreement.releases:
                return agreement
    raise KeyError(event_type)


@cache
def delivered_schema(event_type: EventType) -> SchemaDocument:
    """What is delivered of this type under that agreement."""
    agreement = agreement_of(event_type)
    return derive_delivered(
        load_contracts()[event_type], agreement.releases[event_type], agreement=agreement.ref
    )


def after(days: float) -> datetime:
    """Some days after the first."""
    return DAY + timedelta(days=days)


def birth(
    pin: str = CHILD,
    *,
    mother: str | None = MOTHER,
    father: str | None = FATHER,
    name: str = "Nguyễn Minh An",
    born: date = date(2026, 2, 27),
) -> dict[str, Any]:
    """A registered birth."""
    parents = [("mother", mother), ("father", father)]
    return {
        "child": {
            "pin": pin,
            "date_of_birth": born,
            "full_name": name,
            "sex": "female",
            "place_of_birth": "Bệnh viện Bạch Mai",
            "native_place": "Hà Nội",
            "ethnicity": "Kinh",
            "nationality": "VN",
        },
        "parents": [{"pin": number, "role": role} for role, number in parents if number],
        "registered_at": DAY,
    }


def correction(pin: str = CHILD, **values: Any) -> dict[str, Any]:
    """Values that now hold."""
    return {
        "person": {"pin": pin},
        "corrected": dict.fromkeys(CORRECTED) | values,
        "registered_at": DAY,
    }


def marriage(wife: str = MOTHER, husband: str = FATHER) -> dict[str, Any]:
    """A registered marriage."""
    return {"wife": {"pin": wife}, "husband": {"pin": husband}, "registered_at": DAY}


def death(pin: str = FATHER, died_on: date = date(2026, 5, 4)) -> dict[str, Any]:
    """A registered death."""
    return {"deceased": {"pin": pin, "died_on": died_on}, "registered_at": DAY}


def guardianship(
    ward: str = CHILD, guardian: str = FATHER, *, kind: str = "began"
) -> dict[str, Any]:
    """A guardianship that began, or ended."""
    return {
        "ward": {"pin": ward}, "guardian": {"pin": guardian}, "kind": kind, "registered_at": DAY,
    }  # fmt: skip


def capacity(pin: str = FATHER, said: str = "lost") -> dict[str, Any]:
    """A court's decision on legal capacity."""
    return {"person": {"pin": pin}, "capacity": said, "registered_at": DAY}


def eid(pin: str = FATHER, level: int = 2) -> dict[str, Any]:
    """An electronic identity of this level."""
    return {"holder": {"pin": pin}, "level": level, "changed_at": DAY}


def pin_issued(
    pin: str = CHILD, *, religion: str | None = None, card: bool = False
) -> dict[str, Any]:
    """An issued number, with or without a card."""
    return {
        "holder": {"pin": pin, "religion": religion, "old_id_number": None},
        "card": {"issued_on": date(2026, 3, 1), "expires_on": None} if card else None,
        "kind": "first",
        "issued_at": DAY,
    }


def registered(
    pin: str = CHILD, *, line: str = "12 ngõ Huyện", commune: str = "00070"
) -> dict[str, Any]:
    """A registered permanent residence."""
    return {
        "resident": {"pin": pin},
        "address": {"line": line, "commune_code": commune, "commune_name": "Hoàn Kiếm"},
        "relation_to_head": "child",
        "household_number": "HK-4711",
        "registered_at": DAY,
    }


def deregistered(pin: str = CHILD, *, reason: str = "settled-abroad") -> dict[str, Any]:
    """A permanent residence that ended."""
    return {
        "resident": {"pin": pin},
        "commune_code": "00070",
        "reason": reason,
        "deregistered_at": DAY,
    }

"""Events and deliveries for the SDK's tests. Every person in them is invented."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.envelope import Envelope, Ground
from civicbus_schemas.event import Event
from civicbus_schemas.form import AS_IS, PAIRWISE_PSEUDONYM
from civicbus_schemas.ids import AgreementRef, EventId, EventType, Pin, RecordId
from civicbus_schemas.vietnam.events import EVENT_CLASSES
from civicbus_schemas.withheld import Notice, WithheldReason

BirthRegistered: Any = EVENT_CLASSES[EventType("civil-status.BirthRegistered")]
VaccinationRecorded: Any = EVENT_CLASSES[EventType("health.VaccinationRecorded")]

CHILD_PIN, MOTHER_PIN = Pin("001324012345"), Pin("001193054321")
CHILD_NAME = "Nguyễn Minh An"
SUBJECT = "5f" * 16
AGREEMENT = AgreementRef("vss.child-health-insurance", 3)
NOTICE = Notice(
    event_type=EventType("civil-status.BirthRegistered"), reason=WithheldReason.CONSENT_CHANGED
)
PERSONAL_VALUES = (CHILD_PIN.number, MOTHER_PIN.number, CHILD_NAME, "Trần Thu Hà", "Bạch Mai")


def a_birth(**changes: Any) -> Event:
    """A registered birth."""
    child = BirthRegistered.Child(
        pin=CHILD_PIN.number,
        date_of_birth=date(2024, 3, 1),
        full_name=changes.pop("full_name", CHILD_NAME),
        sex="female",
        place_of_birth="Bệnh viện Bạch Mai",
        nationality="VN",
    )
    mother = BirthRegistered.Parent(
        pin=MOTHER_PIN.number,
        date_of_birth=date(1993, 5, 6),
        role="mother",
        full_name="Trần Thu Hà",
        nationality="VN",
    )
    values = {
        "child": child,
        "parents": [mother],
        "registration_kind": "on-time",
        "registration_number": "45/2024",
        "registry_commune_code": "00070",
        "registered_at": datetime(2024, 3, 4, 9, 30, tzinfo=UTC),
    }
    event: Event = BirthRegistered(**values | changes)
    return event


def delivered_schema() -> SchemaDocument:
    """What an insurer is given of a birth."""
    grants = (
        FieldGrant(path="child.pin", form=AS_IS),
        FieldGrant(path="child.full_name", form=AS_IS),
        FieldGrant(path="parents[].pin", form=PAIRWISE_PSEUDONYM),
    )
    return derive_delivered(BirthRegistered.contract, Release(fields=grants), agreement=AGREEMENT)


def delivered_datum(name: str = CHILD_NAME) -> dict[str, Any]:
    """A datum of that schema."""
    return {
        "child": {"pin": CHILD_PIN.number, "full_name": name},
        "parents": [{"pin": "a1" * 16}],
    }


def delivery_envelope(number: int = 0, **changes: Any) -> Envelope:
    """The headers of delivery `number`."""
    values = {
        "id": EventId(f"{number:032x}"),
        "source": "/agencies/moj",
        "type": EventType("civil-status.BirthRegistered"),
        "time": datetime(2024, 3, 4, 9, 30, tzinfo=UTC),
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "ground": Ground(
            purpose="health-insurance.enrol-child",
            basis="law.state-management",
            agreement=AGREEMENT,
            record_id=RecordId(f"{number:032x}"),
        ),
    }
    return Envelope(**values | changes)

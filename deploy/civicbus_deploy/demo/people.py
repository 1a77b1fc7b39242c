"""The people of the story. None of them exists; their numbers are drawn from the demo's seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from civicbus_schemas.ids import Pin
from civicbus_schemas.vietnam.events import (
    BirthRegistered,
    EidChanged,
    PermanentRegistered,
    PinIssued,
)

PROVINCE, COMMUNE = "001", "00004"
VERIFIED = ("full_name", "date_of_birth", "permanent_commune_code")
BANK, PURPOSE = "bank", "credit.verify-customer"
HOSPITAL, EMERGENCY = "hospital-cho-ray", "health.emergency-treatment"
EID_LEVEL = 2
ALLOWANCE = "social-security.pay-funeral-allowance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Somebody:
    """One person of the story."""

    pin: Pin
    full_name: str
    born_on: date
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A child, and its mother, who later asks the bank for a loan."""

    child: Somebody
    mother: Somebody


def draw_family(seed: int, today: date) -> Family:
    """The family of this seed; the serial numbers of their PINs begin with 9."""
    rng = Random(seed)  # noqa: S311 - a story must be repeatable
    born_on = today - timedelta(days=3)
    mother_born = date(1996, 5, 17)
    return Family(
        child=Somebody(
            pin=Pin(f"{PROVINCE}3{born_on:%y}9{rng.randrange(10**5):05}"),
            full_name="Nguyễn Thị Minh An",
            born_on=born_on,
            sex="female",
        ),
        mother=Somebody(
            pin=Pin(f"{PROVINCE}1{mother_born:%y}9{rng.randrange(10**5):05}"),
            full_name="Trần Thị Hoa",
            born_on=mother_born,
            sex="female",
        ),
    )


def pin_issued(person: Somebody, *, with_card: bool) -> PinIssued:
    """The identity authority gives a person a number, and an adult a card."""
    today = datetime.now(UTC).date()
    card = PinIssued.Card(serial="SYN-9", issued_on=today, expires_on=None) if with_card else None
    return PinIssued(
        holder=PinIssued.Holder(
            pin=person.pin.number,
            date_of_birth=person.born_on,
            full_name=person.full_name,
            sex=person.sex,
            birth_registration_place=PROVINCE,
            nationality="VN",
        ),
        card=card,
        kind="first",
        issued_at=datetime.now(UTC),
    )


def birth_registered(born: Somebody, *, mother: Somebody | None, kind: str) -> BirthRegistered:
    """The civil registry enters a birth, or digitises an old one."""
    parents = () if mother is None else (_as_mother(mother),)
    return BirthRegistered(
        child=BirthRegistered.Child(
            pin=born.pin.number,
            date_of_birth=born.born_on,
            full_name=born.full_name,
            sex=born.sex,
            place_of_birth="Bệnh viện Phụ sản (SYN)",
            birth_commune_code=COMMUNE,
            ethnicity="Kinh",
            nationality="VN",
        ),
        parents=parents,
        registration_kind=kind,
        registration_number=f"SYN-9/{born.born_on:%Y}",
        registry_commune_code=COMMUNE,
        registered_at=datetime.now(UTC),
    )


def _as_mother(mother: Somebody) -> BirthRegistered.Parent:
    return BirthRegistered.Parent(
        pin=mother.pin.number,
        date_of_birth=mother.born_on,
        role="mother",
        full_name=mother.full_name,
        ethnicity="Kinh",
        nationality="VN",
    )


def residence_registered(person: Somebody) -> PermanentRegistered:
    """The police register where a person lives."""
    return PermanentRegistered(
        resident=PermanentRegistered.Resident(
            pin=person.pin.number,
            date_of_birth=person.born_on,
            full_name=person.full_name,
            sex=person.sex,
        ),
        address=PermanentRegistered.Address(
            line="Số 9, ngõ Thử Nghiệm (SYN)",
            commune_code=COMMUNE,
            commune_name="Ba Đình",
            province_code="01",
        ),
        head=PermanentRegistered.Head(pin=person.pin.number, full_name=person.full_name),
        relation_to_head="head",
        household_number="SYN-9",
        registered_at=datetime.now(UTC),
    )


def eid_given(person: Somebody) -> EidChanged:
    """The identity authority gives an electronic identity of the level that signs anything."""
    return EidChanged(
        holder=EidChanged.Holder(pin=person.pin.number),
        level=EID_LEVEL,
        changed_at=datetime.now(UTC),
    )


def consenting(
    person: Somebody, consent_id: str, *, shown: str, uses: int | None = None
) -> dict[str, object]:
    """The citizen lets the bank have yes or no on three fields, so many times, and nothing else.

    `shown` is the hash of the data agreement that VNeID has shown her.
    """
    counted = {} if uses is None else {"uses": {"count": uses, "per": None}}
    return {
        **_signed(person, consent_id),
        "recipient": BANK,
        "purpose": PURPOSE,
        "fields": [f"population.Person:{path}" for path in VERIFIED],
        "shown": shown,
        **counted,
    }


def withdrawing(person: Somebody, consent_id: str) -> dict[str, object]:
    """The citizen takes it back."""
    return _signed(person, consent_id)


def _signed(person: Somebody, consent_id: str) -> dict[str, object]:
    signer = {"pin": person.pin.number, "eid_level": EID_LEVEL}
    return {"consent_id": consent_id, "pin": person.pin.number, "signer": signer}


def borrower_check(person: Somebody) -> dict[str, object]:
    """What the bank's officer asks about a borrower: are these three things so?"""
    claims = {
        "full_name": person.full_name,
        "date_of_birth": person.born_on.isoformat(),
        "permanent_commune_code": "00001",
    }
    return _question(person, purpose=PURPOSE, case="loan 2026/441 (SYN)", claims=claims)


def still_alive(person: Somebody) -> dict[str, object]:
    """What social security asks before it pays: is there no day of death?"""
    claims = {"deceased_on": None}
    return _question(person, purpose=ALLOWANCE, case="allowance 2026/9 (SYN)", claims=claims)


def emergency(person: Somebody, *, why: str | None) -> dict[str, object]:
    """What a hospital asks about somebody who cannot answer; `why` breaks the glass."""
    question = _question(person, purpose=EMERGENCY, case="cấp cứu 88 (SYN)", claims={})
    del question["claims"]
    question |= {"mode": "read", "fields": ["sex", "date_of_birth"]}
    return question if why is None else question | {"break_glass": why}


def _question(
    person: Somebody, *, purpose: str, case: str, claims: Mapping[str, str | None]
) -> dict[str, object]:
    return {
        "officer": "officer-17",
        "full_name": person.full_name,
        "date_of_birth": person.born_on.isoformat(),
        "pin": person.pin.number,
        "purpose": purpose,
        "case": case,
        "mode": "verify",
        "claims": claims,
    }

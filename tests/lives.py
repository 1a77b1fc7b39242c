"""Events of synthetic people for tests: each number n gives other people, always the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from civicbus_schemas.ids import Pin
from civicbus_schemas.vietnam.events import (
    BirthRegistered,
    ConsentGiven,
    ConsentWithdrawn,
    PinIssued,
)

TODAY = datetime.now(UTC).date()
BIRTH_RECIPIENTS = ("vss", "mps", "npd")
CARD_FIELDS = tuple(
    f"identity.PinIssued:{path}"
    for path in ("holder.pin", "holder.full_name", "card.issued_on", "card.expires_on", "kind")
)


def child_pin(n: int) -> Pin:
    """The number of the n-th child, born this year."""
    return Pin(f"0013{TODAY:%y}{n:06}")


def birth(n: int) -> BirthRegistered:
    """The n-th birth, of yesterday."""
    return BirthRegistered(
        child=BirthRegistered.Child(
            pin=child_pin(n).number,
            date_of_birth=TODAY - timedelta(days=1),
            full_name=f"Nguyễn Thử Nghiệm {n}",
            sex="female",
            place_of_birth="Bệnh viện Thử Nghiệm",
            birth_commune_code="00004",
            ethnicity="Kinh",
            nationality="VN",
        ),
        parents=(
            BirthRegistered.Parent(
                pin=f"001196{n:06}",
                date_of_birth=date(1996, 1, 1),
                role="mother",
                full_name=f"Trần Thử Nghiệm {n}",
                nationality="VN",
            ),
        ),
        registration_kind="on-time",
        registration_number=f"{n}/{TODAY:%Y}",
        registry_commune_code="00004",
        registered_at=datetime.now(UTC),
    )


def card(n: int, *, born: date = date(1996, 1, 1)) -> PinIssued:
    """The n-th person's number and card; a bank gets it on consent, and of grown people, only."""
    return PinIssued(
        holder=PinIssued.Holder(
            pin=child_pin(n).number,
            date_of_birth=born,
            full_name=f"Nguyễn Thử Nghiệm {n}",
            sex="female",
            birth_registration_place="00004",
            nationality="VN",
        ),
        card=PinIssued.Card(serial=f"T{n:08}", issued_on=TODAY, expires_on=None),
        kind="first",
        issued_at=datetime.now(UTC),
    )


def card_consent(n: int, *, consent_id: str) -> ConsentGiven:
    """The n-th person lets the bank have what it asks for of `card`."""
    return ConsentGiven(
        citizen=ConsentGiven.Citizen(pin=child_pin(n).number),
        consent_id=consent_id,
        recipient="bank",
        purpose="account.update-customer",
        fields=CARD_FIELDS,
        given_at=datetime.now(UTC),
    )


def card_withdrawal(n: int, *, consent_id: str) -> ConsentWithdrawn:
    """The n-th person takes that back."""
    return ConsentWithdrawn(
        citizen=ConsentWithdrawn.Citizen(pin=child_pin(n).number),
        consent_id=consent_id,
        recipient="bank",
        purpose="account.update-customer",
        withdrawn_at=datetime.now(UTC),
    )

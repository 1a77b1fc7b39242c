"""What a citizen has consented to, as state: one value per subject on `state.consent.v1`.

A consent names recipient, purpose and fields (`<event type or view>:<path>`); nothing is implied.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.shapes import MICROS, TEXTS, array, nullable, struct, to_micros
from civicbus_schemas.vocabulary import ConsentStatus, Reason

SUBJECT_CONSENTS = AvroType(
    struct(
        "SubjectConsents",
        namespace="civicbus.state",
        consents=array(
            struct(
                "Consent",
                id="string",
                version="long",
                recipient="string",
                purpose="string",
                fields=TEXTS,
                status="string",
                since=MICROS,
                valid_until=nullable(MICROS),
            )
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One consent as it stands. `version` counts its changes from 1."""

    id: str
    version: int
    recipient: AgencyId
    purpose: str
    fields: frozenset[str]
    status: ConsentStatus
    since: datetime
    valid_until: datetime | None = None

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    def lapse(self, needed: frozenset[str], at: datetime) -> Reason | None:
        """Why this consent does not cover the needed fields at that time; None if it does."""
        if self.status is ConsentStatus.WITHDRAWN:
            return Reason.CONSENT_WITHDRAWN
        if self.valid_until is not None and at >= self.valid_until:
            return Reason.CONSENT_EXPIRED
        if not needed <= self.fields:
            return Reason.CONSENT_TOO_NARROW
        return None


@dataclass(frozen=True, slots=True)
class SubjectConsents:
    """All consents of one subject, in the order in which they were first given."""

    consents: tuple[Consent, ...] = ()

    def find(self, recipient: AgencyId, purpose: str) -> Iterable[Consent]:
        """The consents for this recipient and purpose, the newest first."""
        return (
            consent
            for consent in reversed(self.consents)
            if consent.recipient == recipient and consent.purpose == purpose
        )

    def encode(self) -> bytes:
        """The value's Avro body."""
        return SUBJECT_CONSENTS.encode({"consents": [_datum(c) for c in self.consents]})

    @classmethod
    def decode(cls, body: bytes) -> SubjectConsents:
        """The value of an Avro body; raises `InvalidBytes`."""
        datum = SUBJECT_CONSENTS.decode(body)
        try:
            return cls(tuple(map(_consent, datum["consents"])))
        except ValueError:
            raise InvalidBytes("a consent has an unknown status") from None


NO_CONSENTS = SubjectConsents()


def _datum(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.id,
        "version": consent.version,
        "recipient": consent.recipient,
        "purpose": consent.purpose,
        "fields": sorted(consent.fields),
        "status": consent.status.value,
        "since": to_micros(consent.since),
        "valid_until": to_micros(consent.valid_until) if consent.valid_until else None,
    }


def _consent(datum: dict[str, Any]) -> Consent:
    return Consent(
        **{**datum, "fields": frozenset(datum["fields"]), "status": ConsentStatus(datum["status"])}
    )

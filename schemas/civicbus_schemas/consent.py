"""What a citizen has consented to, as state: one value per subject on `state.consent.v1`.

A consent names recipient, purpose and fields (`<event type or view>:<path>`); nothing is implied.
What was only asked for, or refused, is not here: nothing is released on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from civicbus_schemas.agreement import local_day
from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes, InvalidEvent
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.shapes import MICROS, TEXTS, array, nullable, struct, to_micros
from civicbus_schemas.vocabulary import ConsentStatus, Reason, UsePeriod

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
                uses=nullable(struct("Uses", count="long", per=nullable("string"))),
                erase_at=nullable(MICROS),
            )
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """How often a consent may be used: `count` times in each period, or in all without one."""

    count: int
    per: UsePeriod | None = None

    def period_of(self, at: datetime) -> str:
        """The name of the nation's calendar period that `at` lies in; uses count within it."""
        day = local_day(at)
        match self.per:
            case None:
                return "ever"
            case UsePeriod.DAY:
                return day.isoformat()
            case UsePeriod.WEEK:
                week = day.isocalendar()
                return f"{week.year}-W{week.week:02}"
            case UsePeriod.MONTH:
                return f"{day:%Y-%m}"
            case UsePeriod.YEAR:
                return f"{day:%Y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One consent as it stands. `version` counts its changes from 1.

    Without fields it is not known yet what was consented to, and it covers nothing. By `erase_at`
    the recipient has erased what it got, so that nothing is released from then on.
    """

    id: str
    version: int
    recipient: AgencyId
    purpose: str
    fields: frozenset[str]
    status: ConsentStatus
    since: datetime
    valid_until: datetime | None = None
    uses: Uses | None = None
    erase_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    def lapse(self, needed: frozenset[str], at: datetime) -> Reason | None:
        """Why this consent does not cover the needed fields at that time; None if it does.

        Whether a use is left is not judged here: uses are counted outside the state.
        """
        if self.status is ConsentStatus.WITHDRAWN:
            return Reason.CONSENT_WITHDRAWN
        if any(end is not None and at >= end for end in (self.valid_until, self.erase_at)):
            return Reason.CONSENT_EXPIRED
        if self.status is ConsentStatus.PAUSED:
            return Reason.CONSENT_PAUSED
        if not self.fields or not needed <= self.fields:
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

    def about(self, recipient: AgencyId, purpose: str) -> SubjectConsents:
        """Those that `find` would find, in the same order as here."""
        return SubjectConsents(tuple(self.find(recipient, purpose))[::-1])

    def encode(self) -> bytes:
        """The value's Avro body."""
        return SUBJECT_CONSENTS.encode({"consents": self.to_json()})

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON holds them, with names; times are microseconds since 1970."""
        return [_datum(consent) for consent in self.consents]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> SubjectConsents:
        """The inverse of `to_json`; raises `InvalidBytes`."""
        try:
            return cls.decode(SUBJECT_CONSENTS.encode({"consents": data}))
        except InvalidEvent:
            raise InvalidBytes("these are no consents of this version") from None

    @classmethod
    def decode(cls, body: bytes) -> SubjectConsents:
        """The value of an Avro body; raises `InvalidBytes`."""
        datum = SUBJECT_CONSENTS.decode(body)
        try:
            return cls(tuple(map(_consent, datum["consents"])))
        except ValueError:
            raise InvalidBytes("a consent has an unknown status or period") from None


NO_CONSENTS = SubjectConsents()


def _datum(consent: Consent) -> dict[str, Any]:
    uses = consent.uses
    return {
        "id": consent.id,
        "version": consent.version,
        "recipient": consent.recipient,
        "purpose": consent.purpose,
        "fields": sorted(consent.fields),
        "status": consent.status.value,
        "since": to_micros(consent.since),
        "valid_until": _maybe_micros(consent.valid_until),
        "uses": uses and {"count": uses.count, "per": uses.per and uses.per.value},
        "erase_at": _maybe_micros(consent.erase_at),
    }


def _maybe_micros(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _consent(datum: dict[str, Any]) -> Consent:
    return Consent(
        **datum
        | {
            "fields": frozenset(datum["fields"]),
            "status": ConsentStatus(datum["status"]),
            "uses": maybe_uses(datum["uses"]),
        }
    )


def maybe_uses(datum: Mapping[str, Any] | None) -> Uses | None:
    """Uses as state and events tell them; raises `ValueError` for an unknown period."""
    if datum is None:
        return None
    per = datum["per"]
    return Uses(count=datum["count"], per=None if per is None else UsePeriod(per))

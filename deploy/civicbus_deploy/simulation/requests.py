"""What citizens ask for in VNeID, and what the justice agency answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vietnam.events import (
    CertificateIssued,
    CertificateRefused,
    CertificateRequested,
    ConsentChanged,
    ConsentGiven,
    ConsentWithdrawn,
)
from civicbus_schemas.vocabulary import ConsentRule, ConsentStatus

from civicbus_deploy.simulation.papers import VIETNAM_TIME, Papers
from civicbus_deploy.simulation.people import Person

DAYS_TO_ANSWER = 10


@dataclass(frozen=True, slots=True)
class ConsentForm:
    """What VNeID shows to be consented to: a recipient, a purpose, and all fields they need."""

    recipient: str
    purpose: str
    fields: tuple[str, ...]


def consent_forms(policy: PolicySet) -> tuple[ConsentForm, ...]:
    """The forms that the nation's agreements call for, one per recipient and purpose."""
    needed: dict[tuple[str, str], set[str]] = {}
    for agreement in policy.agreements:
        if agreement.consent is not ConsentRule.REQUIRED:
            continue
        fields = needed.setdefault((agreement.recipient, agreement.purpose), set())
        for event_type, release in agreement.releases.items():
            fields |= {f"{event_type}:{path}" for path in release.paths}
        for view, reads in agreement.reads.items():
            fields |= {f"{view}:{path}" for path in reads.read | reads.verify}
    return tuple(
        ConsentForm(recipient, purpose, tuple(sorted(fields)))
        for (recipient, purpose), fields in sorted(needed.items())
    )


def consent_given(
    person: Person, at: datetime, *, form: ConsentForm, rng: Random, for_days: int | None
) -> ConsentGiven:
    """A consent to all fields of a form; ids are drawn by the seed too."""
    return ConsentGiven(
        citizen=ConsentGiven.Citizen(pin=person.pin.number),
        consent_id=str(UUID(int=rng.getrandbits(128), version=4)),
        recipient=form.recipient,
        purpose=form.purpose,
        fields=form.fields,
        given_at=at,
        valid_until=at + timedelta(days=for_days) if for_days else None,
    )


def consent_changed(
    given: ConsentGiven, at: datetime, *, version: int, status: ConsentStatus
) -> ConsentChanged:
    """The consent's next version: paused, or resumed."""
    return ConsentChanged(
        citizen=ConsentChanged.Citizen(pin=given.citizen.pin),
        consent_id=given.consent_id,
        version=version,
        recipient=given.recipient,
        purpose=given.purpose,
        status=status.value,
        valid_until=given.valid_until,
        changed_at=at,
    )


def consent_withdrawn(given: ConsentGiven, at: datetime) -> ConsentWithdrawn:
    """The withdrawal of a consent."""
    return ConsentWithdrawn(
        citizen=ConsentWithdrawn.Citizen(pin=given.citizen.pin),
        consent_id=given.consent_id,
        recipient=given.recipient,
        purpose=given.purpose,
        withdrawn_at=at,
    )


def certificate_requested(
    person: Person, at: datetime, *, rng: Random, papers: Papers
) -> CertificateRequested:
    """A request for a criminal-record certificate."""
    household = person.household
    return CertificateRequested(
        applicant=CertificateRequested.Applicant(
            pin=person.pin.number,
            date_of_birth=person.born_on,
            full_name=person.full_name,
            sex=person.sex,
            place_of_birth=f"Trạm y tế {person.birth_commune.name}",
            nationality="VN",
            permanent_address=f"{household.line}, {household.commune.name}",
        ),
        request_number=papers.number("request", at),
        form=rng.choice((1, 1, 2)),
        stated_purpose=rng.choice(("xin việc", "du học", None)),
        requested_at=at,
        due_on=_day(at) + timedelta(days=DAYS_TO_ANSWER),
    )


def certificate_answered(
    person: Person, request: CertificateRequested, at: datetime, *, rng: Random, papers: Papers
) -> CertificateIssued | CertificateRefused:
    """A certificate, mostly a clean one, or now and then a refusal with its ground."""
    applicant: dict[str, Any] = {
        "pin": person.pin.number,
        "date_of_birth": person.born_on,
        "full_name": person.full_name,
    }
    if rng.random() < 0.05:
        return CertificateRefused(
            applicant=CertificateRefused.Applicant(**applicant),
            request_number=request.request_number,
            reason="incomplete-file",
            legal_ground="SYN: the file was not completed in time",
            refused_at=at,
        )
    clean = rng.random() < 0.93
    conviction = CertificateIssued.Conviction(
        judged_on=_day(at) - timedelta(days=rng.randint(400, 3000)),
        judgment_number=papers.number("judgment", at),
        court=f"Tòa án nhân dân {person.birth_commune.province}",
        offence_article="Article 260 of the Penal Code",
        sentence="6 months, suspended",
        spent=rng.random() < 0.5,
    )
    return CertificateIssued(
        applicant=CertificateIssued.Applicant(**applicant),
        request_number=request.request_number,
        form=request.form,
        certificate_number=papers.number("certificate", at),
        clean=clean,
        convictions=[] if clean else [conviction],
        issued_at=at,
    )


def _day(at: datetime) -> date:
    return at.astimezone(VIETNAM_TIME).date()

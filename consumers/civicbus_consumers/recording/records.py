"""What the records of the stream say. Pure: ids, salts and times are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.consent import Consent
from civicbus_schemas.decision import Decision, Deny, Permit
from civicbus_schemas.ids import AgencyId, EventType, PolicyVersion
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Positions, Record, Request, Source, commitment
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from civicbus_consumers.recording.pages import Stamp

STREAM = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all records of one event share: the event, its type, and the state it was judged on."""

    source: Source
    dataset: EventType
    policy: PolicyVersion
    positions: Positions


def record_decision(
    ground: Ground,
    agreement: Agreement,
    decision: Decision,
    *,
    subject: LedgerPseudonym,
    fields: tuple[str, ...],
    delivered: bytes | None,
    secret: bytes,
    stamp: Stamp,
    obligations: tuple[str, ...] = (),
) -> Record:
    """The record of one decision about one person; `delivered` is the delivery's Avro body."""
    match decision:
        case Permit():
            outcome, reason, rule = Outcome.PERMIT, None, None
        case Deny(reason=reason, rule=rule):
            outcome = Outcome.DENY
        case _:
            assert_never(decision)
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.ACCESS_DECISION,
        actor=Actor(agency=agreement.recipient, system=STREAM),
        recipient=agreement.recipient,
        subject=subject,
        agreement=agreement.ref,
        event=ground.source,
        positions=ground.positions,
        dataset=ground.dataset,
        fields=fields,
        purpose=agreement.purpose,
        basis=agreement.basis,
        consent=str(decision.consent) if decision.consent else None,
        decision=outcome,
        reason=reason,
        rule=rule,
        policy=ground.policy,
        obligations=obligations,
        rows=0 if delivered is None else 1,
        size_bytes=0 if delivered is None else len(delivered),
        payload_hash=None if delivered is None else commitment(stamp.salt, delivered),
    )


def record_dead_letter(
    source: Source,
    *,
    provider: Actor,
    reason: Reason,
    policy: PolicyVersion,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    """The record of a message that was set aside; nothing was disclosed to anybody."""
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.DEAD_LETTER,
        actor=provider,
        event=source,
        decision=Outcome.ERROR,
        reason=reason,
        policy=policy,
    )


def record_ending(
    consent: Consent,
    agreement: Agreement,
    *,
    positions: Positions,
    policy: PolicyVersion,
    stamp: Stamp,
) -> Record:
    """The record that the recipient of a consent was told of its withdrawal, and not whose it was.

    The state names nobody, and the recipient knows by the consent's id what it got on it.
    """
    return Record(
        **stamp.marks(b""),
        kind=RecordKind.WITHDRAWAL_TOLD,
        actor=Actor(agency=consent.recipient, system=STREAM),
        recipient=consent.recipient,
        agreement=agreement.ref,
        positions=positions,
        purpose=agreement.purpose,
        basis=agreement.basis,
        consent=str(consent),
        decision=Outcome.DENY,
        reason=Reason.CONSENT_WITHDRAWN,
        policy=policy,
    )


def record_review(
    reviewed: Record, *, justified: bool, reviewer: Actor, secret: bytes, stamp: Stamp
) -> Record:
    """The record of a review of an emergency; about the same person, so that they find it."""
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.BREAK_GLASS_REVIEW,
        actor=reviewer,
        recipient=reviewed.recipient,
        subject=reviewed.subject,
        agreement=reviewed.agreement,
        purpose=reviewed.purpose,
        basis=reviewed.basis,
        decision=Outcome.PERMIT if justified else Outcome.DENY,
        reason=None if justified else Reason.UNJUSTIFIED,
        req=Request(id=reviewed.id, case=None if reviewed.req is None else reviewed.req.case),
    )


def record_case_closed(case: str, *, actor: Actor, secret: bytes, stamp: Stamp) -> Record:
    """The record that an agency has closed a case, which opens what was hidden for it."""
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.CASE_CLOSED,
        actor=actor,
        recipient=actor.agency,
        decision=Outcome.PERMIT,
        req=Request(case=case),
    )


OPERATOR = AgencyId("operator")
"""Who runs the bus: the actor where no agency is."""


def record_policy_set(version: PolicyVersion, *, size_bytes: int, stamp: Stamp) -> Record:
    """The record that a policy set of this hash and size was announced to bind from then on."""
    return Record(
        **stamp.marks(b""),
        kind=RecordKind.POLICY_SET,
        actor=Actor(agency=OPERATOR, system="provisioning"),
        decision=Outcome.PERMIT,
        policy=version,
        size_bytes=size_bytes,
    )

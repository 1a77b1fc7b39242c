"""What is handed to one recipient: a delivery, or a notice that one was withheld. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from civicbus_schemas.consent import Consent
from civicbus_schemas.contract import values_at
from civicbus_schemas.envelope import MAX_FORMER, Envelope, Ground
from civicbus_schemas.errors import TooLarge
from civicbus_schemas.form import PAIRWISE_PSEUDONYM
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, Pin, RecordId, family_of
from civicbus_schemas.keyring import PairwiseKeys
from civicbus_schemas.pseudonym import delivery_id, notice_id, pairwise_pseudonym
from civicbus_schemas.withheld import Notice, WithheldReason, notice_type

from civicbus_consumers.access.plan import PlannedRelease
from civicbus_consumers.access.project import Opened

Renamed = tuple[str, str]

NOTICE = "withheld-notice"
"""The obligation that the record of a denial names where the recipient is told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of pseudonyms: of topics, and of each recipient."""

    topic: bytes
    pairwise_of: Callable[[AgencyId], PairwiseKeys]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One minimised event for one recipient, or a notice, ready to be framed and produced."""

    agreement: AgreementRef
    event_type: EventType
    topic: str
    partition: int
    key: bytes
    body: bytes
    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What one recipient is handed of an event: a body, or why it gets none, or neither.

    `consent` is the one that it rests, or rested, on.
    """

    planned: PlannedRelease
    consent: Consent | None = None
    body: bytes | None = None
    withheld: WithheldReason | None = None

    @property
    def obligations(self) -> tuple[str, ...]:
        """What the record of the key's subject says must be done."""
        return () if self.withheld is None else (NOTICE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """The event that is handed on: its values, headers, partition, key's subject; and when."""

    opened: Opened
    envelope: Envelope
    partition: int
    subject: Pin
    at: datetime


def hand_over(
    given: Given, occasion: Occasion, *, record_id: RecordId, keys: Keys
) -> Delivery | None:
    """The message to the recipient, None where there is none; the record is the subject's.

    A notice bears the time of the decision, not the event's: it tells nothing of the fact. Raises
    `TooLarge` where more former pseudonyms would have to be told than a header holds.
    """
    agreement, event = given.planned.agreement, occasion.envelope
    pairwise = keys.pairwise_of(agreement.recipient)
    former = tuple(_former(given, occasion, pairwise))
    if given.body is not None:
        type_, body, time = event.type, given.body, event.time
        id_ = delivery_id(pairwise.key, event.id, agreement.ref)
    elif given.withheld is not None:
        type_, time = notice_type(family_of(event.type)), occasion.at
        body = Notice(event_type=event.type, reason=given.withheld).encode()
        id_ = notice_id(pairwise.key, event.id, agreement.ref)
    else:
        return None
    return Delivery(
        agreement=agreement.ref,
        event_type=type_,
        topic=given.planned.topic,
        partition=occasion.partition,
        key=pairwise_pseudonym(pairwise.key, occasion.subject.number).encode(),
        body=body,
        envelope=Envelope(
            id=id_,
            source=event.source,
            type=type_,
            time=time,
            ground=_ground(given, record_id, former),
        ),
    )


def _former(given: Given, occasion: Occasion, pairwise: PairwiseKeys) -> Iterator[Renamed]:
    """Each pseudonym in the message with the one that it replaces, while the overlap lasts."""
    former = pairwise.former_at(occasion.at)
    if former is None:
        return
    numbers = dict.fromkeys([occasion.subject.number, *_pseudonymised(given, occasion.opened)])
    if len(numbers) > MAX_FORMER:
        raise TooLarge("too many former pseudonyms", got=len(numbers), expected=MAX_FORMER)
    for number in numbers:
        yield pairwise_pseudonym(pairwise.key, number), pairwise_pseudonym(former, number)


def _pseudonymised(given: Given, opened: Opened) -> Iterator[str]:
    """The numbers that the delivery holds as pseudonyms; a notice holds none."""
    if given.body is None:
        return
    for grant in given.planned.release.fields:
        if grant.form == PAIRWISE_PSEUDONYM:
            yield from (number for number in values_at(opened, grant.path) if number is not None)


def _ground(given: Given, record_id: RecordId, former: tuple[Renamed, ...]) -> Ground:
    agreement = given.planned.agreement
    return Ground(
        purpose=agreement.purpose,
        basis=agreement.basis,
        agreement=agreement.ref,
        record_id=record_id,
        consent=given.consent.id if given.consent else None,
        former=former,
    )

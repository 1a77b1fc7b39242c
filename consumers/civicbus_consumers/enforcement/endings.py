"""Telling recipients that a consent has ended: once each, in the order of the state. Pure.

A withdrawal is seen where the state of a subject changes. Until its recipient has been told, the
group commits no position behind it: so a successor sees it again, and a fence that has passed says
that the notice is there. Nothing behind the notice on its partition rests on the consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.envelope import Envelope, Ground, Headers
from civicbus_schemas.ids import EventId, RecordId
from civicbus_schemas.page import Position
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.pseudonym import notice_id
from civicbus_schemas.topics import STATE_CONSENT, delivery_topic
from civicbus_schemas.vocabulary import ConsentRule, ConsentStatus
from civicbus_schemas.withdrawn import SOURCE, withdrawn_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A consent that was withdrawn by the state message at this offset of its partition."""

    consent: Consent
    partition: int
    offset: int


def find_ended(before: SubjectConsents, after: SubjectConsents) -> Iterator[Consent]:
    """The consents that were given once, and of which only the later state says withdrawn."""
    known = {c.id for c in before.consents if c.status is ConsentStatus.WITHDRAWN}
    for consent in after.consents:
        if consent.status is ConsentStatus.WITHDRAWN and consent.fields and consent.id not in known:
            yield consent


def hold_back(positions: Iterable[Position], untold: Sequence[Ending]) -> tuple[Position, ...]:
    """The positions that may be committed while these endings have not been told."""
    first: dict[int, int] = {}
    for ending in reversed(untold):
        first[ending.partition] = ending.offset
    return tuple(
        replace(p, offset=min(p.offset, first.get(p.partition, p.offset)))
        if p.topic == STATE_CONSENT
        else p
        for p in positions
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """An agreement that rests on the consent, and one family that it releases."""

    agreement: Agreement
    family: str

    @property
    def topic(self) -> str:
        """Where its deliveries lie, and the notice will."""
        return delivery_topic(self.agreement.recipient, self.family)


def addressees(consent: Consent, policy: PolicySet) -> tuple[Addressee, ...]:
    """Where the recipient may have got something on this consent."""
    found = {
        (agreement.ref, family): Addressee(agreement=agreement, family=family)
        for agreement in policy.agreements
        if agreement.consent is ConsentRule.REQUIRED
        and (agreement.recipient, agreement.purpose) == (consent.recipient, consent.purpose)
        for family in sorted({policy.contracts[type_].family for type_ in agreement.releases})
    }
    return tuple(found.values())


def withdrawn_headers(
    ending: Ending, to: Addressee, *, record_id: RecordId, recipients_key: bytes
) -> Headers:
    """The whole notice; its id is the same whenever this ending is told again."""
    consent, agreement = ending.consent, to.agreement
    return Envelope(
        id=notice_id(recipients_key, EventId(consent.id), agreement.ref),
        source=SOURCE,
        type=withdrawn_type(to.family),
        time=consent.since,
        ground=Ground(
            purpose=agreement.purpose,
            basis=agreement.basis,
            agreement=agreement.ref,
            record_id=record_id,
            consent=consent.id,
        ),
    ).headers()

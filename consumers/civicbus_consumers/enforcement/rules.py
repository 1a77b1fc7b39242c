"""What is done with one event: read it, decide, cut, record. Pure; the shell is `handler`.

An event that cannot be read is a dead letter, which is a judgement and final. That a registry does
not answer is not a judgement: the error passes through and stops the partition (invariant I2).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from civicbus_schemas.agreement import Agreement, local_day
from civicbus_schemas.codec import AvroType, unframe
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.contract import values_at
from civicbus_schemas.decision import Decision, Deny, Facts, Permit
from civicbus_schemas.envelope import Envelope, Headers, parse_headers
from civicbus_schemas.errors import InvalidBytes, InvalidEnvelope, InvalidIdentifier, TooLarge
from civicbus_schemas.ids import AgencyId, Pin, RecordId
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.record import Actor, Positions, Source
from civicbus_schemas.subject import Secrets, Subject, person
from civicbus_schemas.topics import MAX_EVENT_BYTES, SourceTopic
from civicbus_schemas.vocabulary import ConsentRule, Reason

from civicbus_consumers.access.decide import HasUse, decide, none_is_reserved
from civicbus_consumers.access.plan import Plan, PlannedRelease, PlannedType
from civicbus_consumers.access.project import Opened, open_event, project
from civicbus_consumers.access.withheld import reason_to_tell
from civicbus_consumers.enforcement.deliveries import Delivery, Given, Keys, Occasion, hand_over
from civicbus_consumers.enforcement.note import Coordinates
from civicbus_consumers.recording.facts import facts_secret, with_use
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.records import Ground, record_dead_letter, record_decision


class NoSuchSchema(InvalidBytes):
    """The registry says that it knows no such id."""


TypeOf = Callable[[int], AvroType]
"""The schema of a registry id; raises `NoSuchSchema`, or `Unavailable` if it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message as it was taken from a source topic."""

    at: Coordinates
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message that could be read."""

    source: Source
    provider: AgencyId
    envelope: Envelope
    planned: PlannedType
    opened: Opened
    people: Mapping[str, tuple[Pin, ...]]
    value: bytes | None

    @property
    def subjects(self) -> Iterator[Subject]:
        """Everybody whom it may be recorded about."""
        return (person(pin) for pins in self.people.values() for pin in pins)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that could not, or must not, be read; its bytes stay untouched."""

    source: Source
    provider: AgencyId
    reason: Reason
    value: bytes | None

    @property
    def headers(self) -> Headers:
        """Its coordinates and the reason; never a header of the message (invariant I6)."""
        return [
            ("dlq_topic", self.source.topic.encode()),
            ("dlq_partition", str(self.source.partition).encode()),
            ("dlq_offset", str(self.source.offset).encode()),
            ("dlq_reason", self.reason.encode()),
        ]


_source_topic = cache(SourceTopic.parse)


def read_event(
    taken: Taken, plan: Plan, *, type_of: TypeOf, topic_key: bytes
) -> Event | DeadLetter:
    """The event in a message, or why it is a dead letter. Raises what `type_of` raises else."""
    topic = _source_topic(taken.at.topic)
    source = Source(topic=taken.at.topic, partition=taken.at.partition, offset=taken.at.offset)

    def dead(reason: Reason) -> DeadLetter:
        return DeadLetter(source=source, provider=topic.agency, reason=reason, value=taken.value)

    if taken.value is not None and len(taken.value) > MAX_EVENT_BYTES:
        return dead(Reason.TOO_LARGE)
    try:
        envelope = parse_headers(taken.headers)
    except InvalidEnvelope:
        return dead(Reason.MALFORMED_HEADERS)
    if envelope.source != f"/agencies/{topic.agency}" or envelope.ground is not None:
        return dead(Reason.MALFORMED_HEADERS)
    planned = plan.find(topic.agency, envelope.type)
    if planned is None or planned.contract.family != topic.family:
        return dead(Reason.UNKNOWN_EVENT_TYPE)
    try:
        schema_id, body = unframe(taken.value)
        writer = type_of(schema_id)
        if writer.name != planned.contract.avro.name:
            return dead(Reason.UNKNOWN_SCHEMA)
        opened = open_event(body, planned.contract, writer)
        people = {
            name: tuple(dict.fromkeys(Pin(number) for number in numbers))
            for name, numbers in planned.contract.subject_numbers(opened).items()
        }
    except NoSuchSchema:
        return dead(Reason.UNKNOWN_SCHEMA)
    except (InvalidBytes, InvalidIdentifier):
        return dead(Reason.MALFORMED_BYTES)
    [key_pin] = people[planned.contract.key_subject.name]
    if not hmac.compare_digest(taken.key or b"", topic_pseudonym(topic_key, key_pin).encode()):
        return dead(Reason.KEY_MISMATCH)
    return Event(
        source=Source(
            topic=source.topic,
            partition=source.partition,
            offset=source.offset,
            id=envelope.id,
            schema=writer.fingerprint,
        ),
        provider=topic.agency,
        envelope=envelope,
        planned=planned,
        opened=opened,
        people=people,
        value=taken.value,
    )


def facts_of(event: Event) -> Facts:
    """What a decision about this event reads."""
    return Facts(
        provider=event.provider,
        event_type=event.planned.contract.event_type,
        contract=event.planned.contract.fingerprint,
        values={
            path: tuple(values_at(event.opened, path)) for path in event.planned.decision_paths
        },
    )


def release_event(
    event: Event,
    plan: Plan,
    *,
    consents: SubjectConsents,
    positions: Positions,
    keys: Keys,
    secrets: Secrets,
    page: PageBuilder,
    has_use: HasUse = none_is_reserved,
) -> list[Delivery] | DeadLetter:
    """Decide for every agreement, cut, and record on the page; the deliveries to be produced.

    `secrets` are those of the event's people, under which it is recorded what was decided on them.
    An event whose record would be too large is not released at all: it is a dead letter.
    """
    facts = facts_of(event)
    shared = facts_secret(facts)
    judged_on = Ground(
        source=event.source, dataset=facts.event_type, policy=plan.policy, positions=positions
    )
    before, deliveries = len(page.leaves), []
    occasion = Occasion(
        opened=event.opened,
        envelope=event.envelope,
        partition=event.source.partition,
        subject=event.people[event.planned.contract.key_subject.name][0],
        at=page.at,
    )
    try:
        decisions = decide(facts, plan, consents, page.at, has_use=has_use)
        for planned, decision in zip(event.planned.releases, decisions, strict=True):
            given = _given(event, planned, decision, consents=consents, at=page.at)
            secret = shared
            if planned.agreement.consent is ConsentRule.REQUIRED:
                read = _read_under(planned.agreement, consents)
                reserved = with_use(read, partial(has_use, planned.agreement))
                secret = facts_secret(facts, read, reserved=reserved)
            record_id = _record(
                event,
                given,
                decision,
                judged_on=judged_on,
                secrets=secrets,
                secret=secret,
                page=page,
            )
            delivery = hand_over(given, occasion, record_id=record_id, keys=keys)
            deliveries += [] if delivery is None else [delivery]
    except TooLarge:
        page.forget_after(before)
        return DeadLetter(
            source=event.source,
            provider=event.provider,
            reason=Reason.TOO_LARGE,
            value=event.value,
        )
    return deliveries


def _given(
    event: Event,
    planned: PlannedRelease,
    decision: Decision,
    *,
    consents: SubjectConsents,
    at: datetime,
) -> Given:
    """The delivery's body, or what the recipient is told instead."""
    body = withheld = None
    match decision:
        case Permit(consent=consent):
            body = project(event.opened, planned.cut, on=local_day(at))
        case Deny(consent=consent):
            withheld = reason_to_tell(planned, decision, consents, at=at)
    return Given(planned=planned, consent=consent, body=body, withheld=withheld)


def _read_under(agreement: Agreement, consents: SubjectConsents) -> SubjectConsents:
    """The consents that a decision under this agreement reads."""
    return consents.about(agreement.recipient, agreement.purpose)


def _record(
    event: Event,
    given: Given,
    decision: Decision,
    *,
    judged_on: Ground,
    secrets: Secrets,
    secret: bytes,
    page: PageBuilder,
) -> RecordId:
    """Record the decision about every person it concerns; the id for the key's subject."""
    ids: list[RecordId] = []
    for pin, fields in _people(event, given.planned):
        stamp, under = page.stamp(), secrets[person(pin)]
        record = record_decision(
            judged_on,
            given.planned.agreement,
            decision,
            subject=under.pseudonym,
            fields=fields,
            delivered=given.body,
            obligations=() if ids else given.obligations,  # a notice is about the first
            secret=secret,
            stamp=stamp,
        )
        page.add(record, stamp=stamp, secret=secret, under=under)
        ids.append(stamp.id)
    return ids[0]


def _people(event: Event, planned: PlannedRelease) -> Iterator[tuple[Pin, tuple[str, ...]]]:
    """Every person whose data this release concerns, with the fields about them; key first."""
    for name, fields in planned.people:
        for pin in event.people[name]:
            yield pin, fields


def record_letter(letter: DeadLetter, plan: Plan, *, page: PageBuilder) -> None:
    """Record on the page that a message was set aside."""
    stamp = page.stamp()
    record = record_dead_letter(
        letter.source,
        provider=Actor(agency=letter.provider, system="publisher"),
        reason=letter.reason,
        policy=plan.policy,
        secret=b"",
        stamp=stamp,
    )
    page.add(record, stamp=stamp)

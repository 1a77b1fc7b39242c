"""What the registry's tables say: values from rows, and rows from values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from civicbus_schemas.consent import Uses
from civicbus_schemas.ids import AgencyId, EventId, PolicyVersion
from civicbus_schemas.vocabulary import ConsentAct, UsePeriod
from sqlalchemy import Row

from civicbus_consumers.consent.registry.acts import Held, Standing, Terms
from civicbus_consumers.consent.registry.tables import change, consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The record of a change: its id, and the hash of its leaf."""

    record_id: str
    leaf_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a change's event lies, once it is published."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An event that is still to be published: how the consent stood, and whose, sealed."""

    number: int
    event_id: EventId
    held: Held
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An act as it was accepted; `place` is None where nothing is published, or not yet."""

    act: ConsentAct
    version: int
    standing: Standing
    at: datetime
    proof: Proof
    pending: bool
    place: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A data agreement as it was shown from `since` on."""

    id: str
    revision: int
    hash: str
    document: Mapping[str, Any]
    policy: PolicyVersion
    since: datetime


def held_of(row: Row[Any]) -> Held:
    """The consent of a row of `consent`, alone or joined to `change`."""
    at, uses = row._mapping, None
    if row.uses_count is not None:
        per = None if row.uses_per is None else UsePeriod(row.uses_per)
        uses = Uses(count=row.uses_count, per=per)
    return Held(
        id=row.id,
        version=at[consent.c.version],
        subject=row.subject,
        terms=Terms(
            recipient=AgencyId(row.recipient),
            purpose=row.purpose,
            fields=frozenset(row.fields),
            valid_until=at[consent.c.valid_until],
            uses=uses,
            erase_at=row.erase_at,
        ),
        standing=Standing(at[consent.c.standing]),
        act=ConsentAct(at[consent.c.act]),
        since=row.since,
        answer_by=row.answer_by,
        signer=at[consent.c.signer],
        shown=at[consent.c.shown],
    )


def pending_of(row: Row[Any]) -> Pending:
    """The consent as this change left it: what it covers was settled when it was given."""
    held, at = held_of(row), row._mapping
    return Pending(
        number=row.number,
        event_id=EventId(row.event_id),
        held=replace(
            held,
            version=at[change.c.version],
            terms=replace(held.terms, valid_until=at[change.c.valid_until]),
            standing=Standing(at[change.c.standing]),
            act=ConsentAct(at[change.c.act]),
            since=row.at,
        ),
        sealed=at[change.c.sealed],
    )


def row_of(held: Held) -> dict[str, Any]:
    """The row of a consent."""
    terms = held.terms
    return {
        "id": held.id,
        "version": held.version,
        "subject": held.subject,
        "recipient": terms.recipient,
        "purpose": terms.purpose,
        "fields": sorted(terms.fields),
        "valid_until": terms.valid_until,
        "uses_count": terms.uses and terms.uses.count,
        "uses_per": terms.uses and terms.uses.per and terms.uses.per.value,
        "erase_at": terms.erase_at,
        "standing": held.standing.value,
        "act": held.act.value,
        "since": held.since,
        "answer_by": held.answer_by,
        "signer": held.signer,
        "shown": held.shown,
    }


def done_of(row: Row[Any]) -> Done:
    """The accepted act of a row of `change`."""
    place = None
    if row.partition is not None:
        place = Place(topic=row.topic, partition=row.partition, offset=row.offset)
    return Done(
        act=ConsentAct(row.act),
        version=row.version,
        standing=Standing(row.standing),
        at=row.at,
        proof=Proof(record_id=row.record_id, leaf_hash=row.leaf_hash),
        pending=row.sealed is not None,
        place=place,
    )

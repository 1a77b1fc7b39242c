"""The registry in PostgreSQL: one transaction per demand, under a lock on the person.

What is to be published lies in the change that caused it, so that neither can be without the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from civicbus_schemas.consent import Uses
from civicbus_schemas.ids import AgencyId, EventId, PolicyVersion, RecorderId
from civicbus_schemas.page import PageRef
from civicbus_schemas.vocabulary import ConsentAct, UsePeriod
from sqlalchemy import Connection, Engine, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.consent.registry.acts import Held, Standing, Terms
from civicbus_consumers.consent.registry.tables import (
    change,
    consent,
    data_agreement,
    death,
    released,
)
from civicbus_consumers.consent.registry.terms import DataAgreement
from civicbus_consumers.population.database import errors_translated

_OUTBOX_LOCK = 0x0C1B_0B07
_PENDING = 200


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


class Entry:
    """One transaction on the consents of one person, whom nobody else changes meanwhile."""

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection, self._subject = connection, subject

    def find(self, id_: str) -> Held | None:
        """The consent of that id, whosever it is."""
        row = self._connection.execute(select(consent).where(consent.c.id == id_)).one_or_none()
        return None if row is None else _held(row)

    def is_ended(self) -> bool:
        """Whether the registry heard of the person's death."""
        found = select(death.c.subject).where(death.c.subject == self._subject)
        return self._connection.execute(found).one_or_none() is not None

    def end(self, at: datetime) -> None:
        """The person has died."""
        row = insert(death).values(subject=self._subject, heard_at=at)
        self._connection.execute(row.on_conflict_do_nothing())

    def save(
        self,
        held: Held,
        *,
        proof: Proof,
        event: tuple[EventId, bytes] | None,
        number: bytes | None,
    ) -> None:
        """The consent stands so.

        `event` is the id of the event to publish with the subject's sealed number, `number` that
        number as it is kept with the consent.
        """
        row = _row(held) | {"sealed": number}
        stored = insert(consent).values(row)
        self._connection.execute(stored.on_conflict_do_update(index_elements=["id"], set_=row))
        self._connection.execute(
            insert(change).values(
                consent_id=held.id,
                version=held.version,
                act=held.act.value,
                standing=held.standing.value,
                at=held.since,
                valid_until=held.terms.valid_until,
                signer=held.signer,
                shown=held.shown,
                record_id=proof.record_id,
                leaf_hash=proof.leaf_hash,
                event_id=event and event[0],
                sealed=event and event[1],
            )
        )

    def remember_released(self, process: str, page: PageRef) -> None:
        """Keep the page that this transaction releases."""
        values = {"recorder": page.recorder, "sequence": page.sequence, "hash": page.hash}
        row = insert(released).values(process=process, **values)
        self._connection.execute(row.on_conflict_do_update(index_elements=["process"], set_=values))


class RegistryStore:
    """The registry's tables. Every call raises `Unavailable` or `Fatal` at a fault."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def entry(self, subject: str) -> Iterator[Entry]:
        """A transaction that is committed at the end of the body, or not at all."""
        with errors_translated("changing a consent"), self._engine.begin() as connection:
            lock = text("select pg_advisory_xact_lock(hashtextextended(:subject, 0))")
            connection.execute(lock, {"subject": subject})
            yield Entry(connection, subject)

    def find(self, id_: str) -> Held | None:
        """The consent of that id."""
        return next(iter(self._select(consent.c.id == id_)), None)

    def of_subject(self, subject: str) -> list[Held]:
        """All consents of a person, the newest first."""
        return self._select(consent.c.subject == subject)

    def signed_for_others(self, signer: str) -> list[tuple[Held, bytes]]:
        """What a person signed for others and still stands, with the others' sealed numbers."""
        mine = (consent.c.signer == signer) & consent.c.sealed.is_not(None)
        with errors_translated("reading consents"), self._engine.connect() as connection:
            rows = connection.execute(select(consent).where(mine)).all()
        return [(_held(row), row.sealed) for row in rows]

    def done(self, id_: str) -> list[Done]:
        """What was done to a consent, in order."""
        statement = select(change).where(change.c.consent_id == id_).order_by(change.c.number)
        with errors_translated("reading changes"), self._engine.connect() as connection:
            return [_done(row) for row in connection.execute(statement)]

    @contextmanager
    def publishing(self) -> Iterator[tuple[Sequence[Pending], Connection]]:
        """The oldest events to publish, in order; nobody else publishes meanwhile."""
        waiting = select(consent, change).join(consent, consent.c.id == change.c.consent_id)
        waiting = waiting.where(change.c.sealed.is_not(None)).order_by(change.c.number)
        with errors_translated("publishing changes"), self._engine.begin() as connection:
            lock = text("select pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _OUTBOX_LOCK})
            rows = connection.execute(waiting.limit(_PENDING)).all()
            yield [_pending(row) for row in rows], connection

    @staticmethod
    def mark_published(connection: Connection, number: int, place: Place) -> None:
        """The event lies there; of the person nothing is kept."""
        statement = update(change).where(change.c.number == number)
        connection.execute(
            statement.values(
                sealed=None, topic=place.topic, partition=place.partition, offset=place.offset
            )
        )

    def note_agreements(
        self, agreements: Sequence[DataAgreement], *, policy: PolicyVersion, at: datetime
    ) -> None:
        """Keep a revision of each data agreement that differs from its newest."""
        with errors_translated("keeping data agreements"), self._engine.begin() as connection:
            for agreement in agreements:
                newest = select(func.coalesce(func.max(data_agreement.c.revision), 0))
                newest = newest.where(data_agreement.c.id == agreement.id)
                row = insert(data_agreement).values(
                    id=agreement.id,
                    revision=newest.scalar_subquery() + 1,
                    hash=agreement.hash,
                    document=dict(agreement.document),
                    policy=policy,
                    since=at,
                )
                connection.execute(row.on_conflict_do_nothing())

    def revisions(self, id_: str | None = None) -> list[Revision]:
        """The revisions of one data agreement, or of all, by id and number."""
        statement = select(data_agreement).order_by(data_agreement.c.id, data_agreement.c.revision)
        if id_ is not None:
            statement = statement.where(data_agreement.c.id == id_)
        with errors_translated("reading data agreements"), self._engine.connect() as connection:
            return [Revision(**row._mapping) for row in connection.execute(statement)]

    def find_released(self, process: str) -> PageRef | None:
        """The newest page of this process whose changes are committed."""
        statement = select(released).where(released.c.process == process)
        with errors_translated("reading the released page"), self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return PageRef(recorder=RecorderId(row.recorder), sequence=row.sequence, hash=row.hash)

    def _select(self, condition: Any) -> list[Held]:
        statement = select(consent).where(condition).order_by(consent.c.since.desc(), consent.c.id)
        with errors_translated("reading consents"), self._engine.connect() as connection:
            return [_held(row) for row in connection.execute(statement)]


def _held(row: Row[Any]) -> Held:
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


def _pending(row: Row[Any]) -> Pending:
    """The consent as this change left it: what it covers was settled when it was given."""
    held, at = _held(row), row._mapping
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


def _row(held: Held) -> dict[str, Any]:
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


def _done(row: Row[Any]) -> Done:
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

"""The registry in PostgreSQL: one transaction per demand, under a lock on the person.

What is to be published lies in the change that caused it, so that neither can be without the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from civicbus_schemas.agreement import local_day
from civicbus_schemas.errors import Retryable
from civicbus_schemas.ids import EventId, PolicyVersion, RecorderId
from civicbus_schemas.page import PageRef
from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.consent.registry.acts import Held
from civicbus_consumers.consent.registry.rows import (
    Done,
    Pending,
    Place,
    Proof,
    Revision,
    done_of,
    held_of,
    pending_of,
    row_of,
)
from civicbus_consumers.consent.registry.tables import (
    change,
    consent,
    data_agreement,
    day_place,
    death,
    released,
)
from civicbus_consumers.consent.registry.terms import DataAgreement
from civicbus_consumers.population.database import errors_translated

_OUTBOX_LOCK = 0x0C1B_0B07
_PENDING = 200


class Entry:
    """One transaction on the consents of one person, whom nobody else changes meanwhile."""

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection, self._subject = connection, subject

    def find(self, id_: str) -> Held | None:
        """The consent of that id, whosever it is."""
        row = self._connection.execute(select(consent).where(consent.c.id == id_)).one_or_none()
        return None if row is None else held_of(row)

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
        number as it is kept with the consent. Raises `Retryable` where another person's consent
        got that id meanwhile.
        """
        row = row_of(held) | {"sealed": number}
        stored = insert(consent).values(row)
        stored = stored.on_conflict_do_update(
            index_elements=["id"], set_=row, where=consent.c.subject == held.subject
        )
        if self._connection.execute(stored.returning(consent.c.id)).one_or_none() is None:
            raise Retryable("another person's consent has this id")
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
        return [(held_of(row), row.sealed) for row in rows]

    def forget_numbers(self, at: datetime) -> None:
        """Of consents that have expired no number is kept; renewing brings it anew."""
        over = (consent.c.valid_until <= at) | (consent.c.erase_at <= at)
        statement = update(consent).where(consent.c.sealed.is_not(None) & over)
        with errors_translated("forgetting numbers"), self._engine.begin() as connection:
            connection.execute(statement.values(sealed=None))

    def forget_days(self, at: datetime) -> None:
        """Of agreements' days only today's and yesterday's places are kept."""
        yesterday = (local_day(at) - timedelta(days=1)).isoformat()
        statement = delete(day_place).where(day_place.c.period < yesterday)
        with errors_translated("forgetting days"), self._engine.begin() as connection:
            connection.execute(statement)

    def done(self, id_: str) -> list[Done]:
        """What was done to a consent, in order."""
        statement = select(change).where(change.c.consent_id == id_).order_by(change.c.number)
        with errors_translated("reading changes"), self._engine.connect() as connection:
            return [done_of(row) for row in connection.execute(statement)]

    @contextmanager
    def publishing(self) -> Iterator[tuple[Sequence[Pending], Connection]]:
        """The oldest events to publish, in order; nobody else publishes meanwhile."""
        waiting = select(consent, change).join(consent, consent.c.id == change.c.consent_id)
        waiting = waiting.where(change.c.sealed.is_not(None)).order_by(change.c.number)
        with errors_translated("publishing changes"), self._engine.begin() as connection:
            lock = text("select pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _OUTBOX_LOCK})
            rows = connection.execute(waiting.limit(_PENDING)).all()
            yield [pending_of(row) for row in rows], connection

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
            return [held_of(row) for row in connection.execute(statement)]

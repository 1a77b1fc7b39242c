"""Leases: for how long an instance may answer, and how old the state is that it may answer on.

A look-up cannot be fenced like a Kafka transaction, so a fence waits for it instead: it passes only
when every lease stands at or above it. An instance answers only while its lease holds, and moves it
forward only when all older answers have left. A lease that lapsed is never renewed: the row of a
lapsed lease is deleted by whoever reads the leases, so that a paused instance finds it gone.

What remains: an instance that is paused between its last look at the lease and the write to the
socket. The record, durable by then, shows the consent position that the answer rested on.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from civicbus_schemas.errors import Retryable
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageRef, Position
from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.lookup.tables import lease, released
from civicbus_consumers.population.database import errors_translated

LEASE_S = 5.0
MARGIN_S = 0.5
"""By how much earlier than the database an instance holds its lease to be over."""


class LeaseLost(Retryable):
    """The lease was not renewed in time: answers that rest on it must not leave."""


class Lease:
    """One instance's lease, as `Leases.take` gives it. `holds` may be asked from any thread."""

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float]) -> None:
        self._instance = secrets.token_hex(16)
        self._engine, self._monotonic = engine, monotonic
        self._until = float("-inf")

    def holds(self) -> bool:
        """Whether an answer may leave now."""
        return self._monotonic() < self._until

    def take(self, positions: Sequence[Position]) -> None:
        """Make it known, once."""
        asked = self._monotonic()
        with errors_translated("taking a lease"), self._engine.begin() as connection:
            connection.execute(
                insert(lease).values(
                    instance=self._instance, positions=_plain(positions), expires_at=_expiry()
                )
            )
        self._until = asked + LEASE_S - MARGIN_S

    def renew(self, positions: Sequence[Position]) -> None:
        """Hold it for five more seconds; all answers that rest on older state have left.

        Raises `LeaseLost` when it lapsed, here or in the database.
        """
        asked = self._monotonic()
        if not self.holds():
            raise LeaseLost("the lease has lapsed", next_step="take a new one")
        statement = (
            update(lease)
            .where(lease.c.instance == self._instance, lease.c.expires_at > func.clock_timestamp())
            .values(positions=_plain(positions), expires_at=_expiry())
        )
        with errors_translated("renewing a lease"), self._engine.begin() as connection:
            renewed = connection.execute(statement).rowcount == 1
        if not renewed:
            self._until = float("-inf")
            raise LeaseLost("the lease is gone", next_step="take a new one")
        self._until = asked + LEASE_S - MARGIN_S

    def give_back(self) -> None:
        """End it now: nothing that rests on it is on its way."""
        self._until = float("-inf")
        with errors_translated("giving back a lease"), self._engine.begin() as connection:
            connection.execute(delete(lease).where(lease.c.instance == self._instance))


class Leases:
    """The leases of one process in PostgreSQL, and the page that it is known to have released."""

    def __init__(
        self, engine: Engine, process: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._process, self._monotonic = engine, process, monotonic

    def take(self, positions: Sequence[Position]) -> Lease:
        """A new lease. Whatever is decided under it must rest on newer state than these."""
        taken = Lease(self._engine, monotonic=self._monotonic)
        taken.take(positions)
        return taken

    def remember_released(self, page: PageRef) -> None:
        """Keep the newest page whose answers have all left."""
        values = {"recorder": page.recorder, "sequence": page.sequence, "hash": page.hash}
        statement = insert(released).values(process=self._process, **values)
        statement = statement.on_conflict_do_update(index_elements=["process"], set_=values)
        with errors_translated("keeping the released page"), self._engine.begin() as connection:
            connection.execute(statement)

    def find_released(self) -> PageRef | None:
        """The newest page that a predecessor is known to have released."""
        statement = select(released.c.recorder, released.c.sequence, released.c.hash)
        with errors_translated("reading the released page"), self._engine.connect() as connection:
            row = connection.execute(
                statement.where(released.c.process == self._process)
            ).one_or_none()
        if row is None:
            return None
        return PageRef(recorder=RecorderId(row.recorder), sequence=row.sequence, hash=row.hash)


def lease_positions(connection: Connection) -> list[dict[tuple[str, int], int]]:
    """Of each lease the oldest state positions that its answers may still rest on.

    Deletes lapsed leases first, in the caller's transaction: the deletion waits for a renewal under
    way and then judges its outcome, so no lease is both passed over here and renewed there.
    """
    connection.execute(delete(lease).where(lease.c.expires_at <= func.clock_timestamp()))
    rows = connection.execute(select(lease.c.positions)).scalars()
    return [{(topic, part): offset for topic, part, offset in positions} for positions in rows]


class LeaseHolders:
    """The leases as a fence asks for them (`consent.fence.Holder`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position(self, topic: str, partition: int) -> int:
        """The lowest position there that an answer may rest on; raises `Unavailable`."""
        place = topic, partition
        with errors_translated("reading the leases"), self._engine.begin() as connection:
            held = lease_positions(connection)
        return min((positions.get(place, 0) for positions in held), default=sys.maxsize)


def _expiry() -> object:
    return func.clock_timestamp() + timedelta(seconds=LEASE_S)


def _plain(positions: Sequence[Position]) -> list[list[object]]:
    return [[p.topic, p.partition, p.offset] for p in positions]

"""Publishing what the registry decided: each event once the change that caused it is committed.

Whoever takes over publishes what was left, in the same order and under the same ids. An event that
was stored though its acknowledgement was lost is there twice under one id, and the fold of consents
takes it once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from civicbus_producers.receipt import Receipt
from civicbus_schemas.errors import BusError
from civicbus_schemas.event import Event
from civicbus_schemas.ids import EventId, Pin

from civicbus_consumers.consent.registry.events import Contracts, Teller
from civicbus_consumers.consent.registry.rows import Place
from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.consent.registry.store import RegistryStore

WAIT_S = 3.0


class EventPublisher(Protocol):
    """The part of `Publisher` that is needed."""

    def publish(
        self,
        event: Event,
        *,
        subject: Pin,
        time: datetime | None = None,
        deadline_s: float = 10,
        event_id: EventId | None = None,
    ) -> Receipt:
        """Hand an event to the broker."""
        ...

    def close(self, timeout_s: float = 30) -> None:
        """Let go of the broker."""
        ...


class Outbox:
    """What is still to be published. Used by one thread; `connect` makes the publisher."""

    def __init__(
        self, store: RegistryStore, *, seal: RowSeal, connect: Callable[[], EventPublisher]
    ) -> None:
        self._store, self._seal, self._connect = store, seal, connect
        self._publisher: EventPublisher | None = None
        self._teller = Teller()
        self._looked = False
        self._oldest: datetime | None = None

    def publish(self, contracts: Contracts) -> int:
        """Publish the oldest that wait, in order; how many. Raises what keeps them waiting."""
        with self._store.publishing() as (pending, connection):
            self._looked, self._oldest = True, pending[0].held.since if pending else None
            if not pending:
                return 0
            try:
                publisher = self._publisher = self._publisher or self._connect()
                receipts = []
                for one in pending:
                    pin = Pin(self._seal.open(one.sealed, of=one.event_id).decode())
                    event = self._teller.event(one.held, pin, contracts=contracts)
                    receipts.append(
                        publisher.publish(
                            event,
                            subject=pin,
                            time=one.held.since,
                            deadline_s=WAIT_S,
                            event_id=one.event_id,
                        )
                    )
                for one, receipt in zip(pending, receipts, strict=True):
                    stored = receipt.wait(WAIT_S)
                    place = Place(
                        topic=stored.topic, partition=stored.partition, offset=stored.offset
                    )
                    self._store.mark_published(connection, one.number, place)
            except BusError:
                self.close()
                raise
        return len(pending)

    def age_s(self, now: datetime) -> float:
        """How old the oldest change was that waited at the last look; NaN before the first."""
        if not self._looked:
            return math.nan
        return 0.0 if self._oldest is None else (now - self._oldest).total_seconds()

    def close(self) -> None:
        """Let go of the broker; what was not acknowledged is published anew by the next call."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            with suppress(BusError):  # what it could not send stays in the outbox
                publisher.close(0)

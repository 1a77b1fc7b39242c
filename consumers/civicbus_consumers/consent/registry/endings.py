"""Deaths, as delivered to the agency that keeps the registry under an agreement of its own.

A delivery is acknowledged when everything that the dead person consented to, or signed for others,
has ended; until then it comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import structlog
from civicbus_producers.settings import Connection
from civicbus_schemas.errors import Refused, Retryable
from civicbus_schemas.ids import EventType, Pin

from civicbus_consumers.delivery import Delivery
from civicbus_consumers.subscription import Subscription

DEATH = EventType("civil-status.DeathRegistered")
FAMILY = "civil-status"
GROUP = "consent-registry"
RETRY_S = 1.0
IDLE_S = 1.0
PATIENCE_S = 60.0

log = structlog.get_logger("civicbus.consent-registry")


class Desk(Protocol):
    """Where the number of somebody who died is handed in (`worker.RegistryWorker`)."""

    def submit(self, what: Pin) -> Future[Any]:
        """Queue it; raises `Problem` when too many wait."""
        ...


def connect(connection: Connection) -> Subscription:
    """The registry's own deliveries."""
    return Subscription.connect(connection.agency, connection, families=[FAMILY], name=GROUP)


class Endings:
    """Follows deaths in a thread of its own; `subscribe` makes the subscription."""

    def __init__(self, desk: Desk, *, subscribe: Callable[[], Subscription]) -> None:
        self._desk, self._subscribe = desk, subscribe

    def run(self, stop: threading.Event) -> None:
        """Follow until asked to stop; whatever fails is tried again, and nothing is passed over."""
        while not stop.is_set():
            try:
                with self._subscribe() as subscription:
                    while not stop.is_set():
                        self._take(subscription, stop)
            except (Refused, Retryable) as error:
                log.warning("deaths are not followed", why=type(error).__name__)
                stop.wait(RETRY_S)

    def _take(self, subscription: Subscription, stop: threading.Event) -> None:
        for delivery in subscription.deliveries(idle_s=IDLE_S):
            if isinstance(delivery, Delivery) and delivery.type == DEATH:
                death: Any = delivery.event
                if not self._end(Pin(death.deceased.pin), stop):
                    return
            delivery.acknowledge()

    def _end(self, pin: Pin, stop: threading.Event) -> bool:
        """Whether it is done; tried until it is, or the process ends."""
        while not stop.is_set():
            try:
                ended = self._desk.submit(pin).result(PATIENCE_S)
            except (Refused, Retryable, TimeoutError) as error:
                log.warning("a death waits", why=type(error).__name__)
                stop.wait(RETRY_S)
            else:
                log.info("a life has ended", consents=ended)
                return True
        return False

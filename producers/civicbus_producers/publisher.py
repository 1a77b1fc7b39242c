"""Publishing: the agency's side of the bus.

An event is accepted or refused at once, acknowledged or reported later; nothing is dropped
silently. A publisher may be shared between threads.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, Refused, Unavailable
from civicbus_schemas.event import Event
from civicbus_schemas.ids import EventId, Pin
from civicbus_schemas.topics import MAX_EVENT_BYTES
from confluent_kafka import KafkaError, Message, Producer
from opentelemetry.trace import Span, Status, StatusCode

from civicbus_producers.kafka import (
    ConnectionErrors,
    flush,
    kafka_errors_translated,
    producer_config,
    reach_broker,
)
from civicbus_producers.outgoing import Composer, Outgoing
from civicbus_producers.receipt import NotAcknowledged, Receipt
from civicbus_producers.registry import Registry
from civicbus_producers.settings import Connection
from civicbus_producers.tracing import begin_publish

QUEUED_EVENTS = 20_000
QUEUED_KIB = 64 * 1024
_SLICE_S = 0.1


Acknowledge = Callable[[KafkaError | None, Message], None]


class EventProducer(Protocol):
    """The part of librdkafka's producer that publishing needs."""

    def produce(
        self, topic: str, value: bytes, *, key: bytes, headers: Any, on_delivery: Acknowledge
    ) -> None:
        """Queue a message; raises `BufferError` when the queue is full."""

    def poll(self, timeout: float = -1) -> int:
        """Serve acknowledgements."""

    def flush(self, timeout: float = -1) -> int:
        """Wait until the queue is empty; say how many are left."""

    def purge(self) -> None:
        """Give up what is queued or in flight."""


class Publisher:
    """Publishes one agency's events. Close it, or use it as a context manager."""

    def __init__(self, *, producer: EventProducer, composer: Composer) -> None:
        """For tests and special transports; agencies call `connect`."""
        self._producer = producer
        self._composer = composer
        self._unacknowledged: dict[EventId, Receipt] = {}
        self._closed = False

    @classmethod
    def connect(
        cls,
        agency: str,
        settings: Connection | None = None,
        *,
        connect_timeout_s: float = 10,
        delivery_timeout_s: float = 30,
    ) -> Self:
        """A publisher for this agency; settings default to its file (`Connection.load`).

        `delivery_timeout_s` is how long the broker may take for one event. Raises
        `InvalidSettings`, `Forbidden` when the login is refused, `Unavailable` when no broker
        answers within `connect_timeout_s`.
        """
        connection = settings or Connection.load(agency)
        if connection.agency != agency:
            raise Refused("settings of another agency", got=connection.agency, expected=agency)
        composer = Composer(
            connection.agency,
            families=connection.families_published,
            topic_key=connection.topic_key(),
            schema_ids=Registry(connection.registry_url),
        )
        errors = ConnectionErrors(client_id=f"{agency}-publisher")
        config = producer_config(
            connection,
            client_id=errors.client_id,
            errors=errors,
            delivery_timeout_s=delivery_timeout_s,
            max_message_bytes=MAX_EVENT_BYTES + 64 * 1024,
        )
        limits = {
            "queue.buffering.max.messages": QUEUED_EVENTS,
            "queue.buffering.max.kbytes": QUEUED_KIB,
        }
        with kafka_errors_translated("making a producer", errors=errors):
            producer = Producer(config | limits)
        reach_broker(producer, errors=errors, timeout_s=connect_timeout_s)
        return cls(producer=producer, composer=composer)

    def publish(
        self,
        event: Event,
        *,
        subject: Pin,
        time: datetime | None = None,
        deadline_s: float = 10,
        event_id: EventId | None = None,
    ) -> Receipt:
        """Check the event and hand it to the broker; the receipt says when it is stored.

        `subject` is the person whom the event is first about; `time` is when the fact occurred
        (default now). While the queue is full this blocks, and raises `Unavailable` after
        `deadline_s`: then nothing was accepted. Give `event_id` only to publish again an event
        that was not acknowledged. What `Composer.compose` raises, it raises; and `Forbidden` where
        the broker has said already that this agency may not write there, else the receipt does.
        """
        if self._closed:
            raise Refused("this publisher is closed", next_step="connect again")
        span, traceparent = begin_publish()
        try:
            message = self._composer.compose(
                event, subject=subject, time=time, event_id=event_id, traceparent=traceparent
            )
            return self._enqueue(message, span=span, deadline_s=deadline_s)
        except BusError as error:
            if span is not None:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                span.end()
            raise

    def _enqueue(self, message: Outgoing, *, span: Span | None, deadline_s: float) -> Receipt:
        receipt = Receipt(
            event_id=message.event_id,
            topic=message.topic,
            source=self._producer,
            on_acknowledged=self._forget,
            span=span,
        )
        if span is not None:
            span.set_attribute(telemetry.EVENT_ID, message.event_id)
            span.set_attribute(telemetry.EVENT_TYPE, message.event_type)
            span.set_attribute(telemetry.TOPIC, message.topic)
        earlier = self._unacknowledged.get(message.event_id)
        self._unacknowledged[message.event_id] = receipt
        try:
            self._produce(message, receipt, deadline_s=deadline_s)
        except BusError:
            self._forget(message.event_id)
            if earlier is not None:
                self._unacknowledged[message.event_id] = earlier
            raise
        return receipt

    def _produce(self, message: Outgoing, receipt: Receipt, *, deadline_s: float) -> None:
        deadline = clock.monotonic() + deadline_s
        while True:
            try:
                with kafka_errors_translated(f"publishing to {message.topic}"):
                    self._producer.produce(
                        message.topic,
                        message.value,
                        key=message.key,
                        headers=message.headers,
                        on_delivery=receipt.settle,
                    )
            except Unavailable as full:
                remaining = deadline - clock.monotonic()
                if remaining <= 0:
                    raise Unavailable(
                        f"{message.event_type} was not accepted",
                        got=f"a full queue for {deadline_s} s",
                        next_step="publish it again when the broker answers",
                    ) from full
                self._serve(min(remaining, _SLICE_S))
            else:
                self._serve(0)
                return

    def flush(self, timeout_s: float) -> None:
        """Wait until every event is acknowledged; raises `NotAcknowledged`, naming the others."""
        fatal: BusError | None = None
        try:
            with kafka_errors_translated("publishing"):
                flush(self._producer, timeout_s)
        except BusError as error:
            fatal = error
        receipts = list(self._unacknowledged.values())
        if receipts:
            cause = next((r.failure for r in receipts if r.failure is not None), fatal)
            raise NotAcknowledged([r.event_id for r in receipts]) from cause
        if fatal is not None:
            raise fatal

    def close(self, timeout_s: float = 30) -> None:
        """Flush, then let go of the broker; raises `NotAcknowledged` as `flush` does."""
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(timeout_s)
        finally:
            self._producer.purge()
            self._serve(0)

    def _serve(self, timeout_s: float) -> None:
        with kafka_errors_translated("publishing"):
            self._producer.poll(timeout_s)

    def _forget(self, event_id: EventId) -> None:
        self._unacknowledged.pop(event_id, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except NotAcknowledged as unacknowledged:
            if error is None:
                raise
            error.add_note(f"Closing the publisher: {unacknowledged}")

"""What a publisher holds of each event until the broker has acknowledged it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, Overdue, Unavailable
from civicbus_schemas.ids import EventId
from confluent_kafka import KafkaError, Message
from opentelemetry.trace import Span, Status, StatusCode

from civicbus_producers.kafka import kafka_errors_translated, translate

_SLICE_S = 0.05  # another thread may serve our acknowledgement while we wait for it


class NotAcknowledged(Overdue):
    """Events whose storage is unknown or failed; `event_ids` says which.

    Publish each again with the same `event_id`: the bus and its recipients know it by that.
    """

    def __init__(self, event_ids: Sequence[EventId]) -> None:
        self.event_ids = tuple(event_ids)
        super().__init__(
            "events were not acknowledged",
            got=f"{len(self.event_ids)} of them",
            next_step="publish them again with the same event_id",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where an acknowledged event lies: on all replicas, to stay."""

    event_id: EventId
    topic: str
    partition: int
    offset: int


class AcknowledgementSource(Protocol):
    """Whoever serves acknowledgements when it is polled."""

    def poll(self, timeout: float = -1) -> int:
        """Serve what has arrived within the timeout in seconds."""


class Receipt:
    """The promise of one publish: ask it, or wait for it."""

    __slots__ = ("_on_acknowledged", "_outcome", "_source", "_span", "event_id", "topic")

    def __init__(
        self,
        *,
        event_id: EventId,
        topic: str,
        source: AcknowledgementSource,
        on_acknowledged: Callable[[EventId], None],
        span: Span | None = None,
    ) -> None:
        self.event_id = event_id
        self.topic = topic
        self._source = source
        self._on_acknowledged = on_acknowledged
        self._span = span
        self._outcome: Published | BusError | None = None

    @property
    def failure(self) -> BusError | None:
        """Why the event was not acknowledged, once that is known."""
        return self._outcome if isinstance(self._outcome, BusError) else None

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has the event on all replicas."""
        return isinstance(self._outcome, Published)

    def wait(self, timeout_s: float) -> Published:
        """Wait until the event is acknowledged, and say where it lies.

        Raises `Overdue` after the timeout (the event may still arrive, so publish again only with
        the same `event_id`), or what went wrong.
        """
        deadline = time.monotonic() + timeout_s
        while self._outcome is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Overdue(
                    f"event {self.event_id} is not acknowledged",
                    got=f"nothing within {timeout_s} s",
                    next_step="wait longer, or publish again with the same event_id",
                )
            with kafka_errors_translated(f"publishing event {self.event_id}"):
                self._source.poll(min(remaining, _SLICE_S))
        if isinstance(self._outcome, BusError):
            raise self._outcome
        return self._outcome

    def settle(self, error: KafkaError | None, message: Message) -> None:
        """Note the broker's answer: librdkafka's delivery report of this event."""
        outcome: Published | BusError
        partition, offset = message.partition(), message.offset()
        if error is not None:
            outcome = translate(error, doing=f"publishing event {self.event_id}")
        elif partition is None or offset is None:  # a duplicate that the broker had long forgotten
            outcome = Unavailable(
                f"event {self.event_id} is stored, but nobody says where",
                next_step="publish it again with the same event_id",
            )
        else:
            outcome = Published(
                event_id=self.event_id, topic=self.topic, partition=partition, offset=offset
            )
        self._outcome = outcome
        if isinstance(outcome, Published):
            self._on_acknowledged(self.event_id)
        if self._span is not None:
            self._end(self._span, outcome)

    def _end(self, span: Span, outcome: Published | BusError) -> None:
        if isinstance(outcome, Published):
            span.set_attribute(telemetry.PARTITION, str(outcome.partition))
            span.set_attribute(telemetry.OFFSET, outcome.offset)
        else:
            span.set_status(Status(StatusCode.ERROR, type(outcome).__name__))
        span.end()

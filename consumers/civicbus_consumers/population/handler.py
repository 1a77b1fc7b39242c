"""From messages to the view: drop what was applied, fold the rest, write it, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from civicbus_producers.registry import NotRegistered
from civicbus_schemas import telemetry
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.errors import InvalidBytes, InvalidEnvelope, InvalidEvent, Refused
from civicbus_schemas.vocabulary import Reason
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Status, StatusCode

from civicbus_consumers.population import metrics
from civicbus_consumers.population.incoming import Decoder, Incoming, Partition
from civicbus_consumers.population.rules import NoRule, NotTheOwner, Persons, fold
from civicbus_consumers.population.store import Batch, Quarantined
from civicbus_consumers.population.tables import CONTRACT
from civicbus_consumers.runtime.tracing import sampled_context, tracer

OnStep = Callable[[str], None]

log = structlog.get_logger("civicbus.population")


def nothing(step: str) -> None:
    """What happens at each step in production; tests end the process there."""
    del step


class View(Protocol):
    """Where the view is kept: `store.ViewStore`, or memory in tests."""

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was ever applied."""

    @property
    def watermark(self) -> int:
        """How many batches were applied."""

    def apply(self, batch: Batch) -> None:
        """Apply a batch: all of it or nothing."""


class ViewHandler:
    """Applies batches of deliveries to the view."""

    def __init__(self, decoder: Decoder, store: View, *, on_step: OnStep = nothing) -> None:
        self._decoder = decoder
        self._store = store
        self._on_step = on_step

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was applied."""
        return self._store.positions

    def handle(self, messages: Sequence[Incoming]) -> None:
        """Apply the messages that the view has not seen; they lie in order per partition.

        1. What lies before the view's positions was applied: dropped without a look at it.
        2. Each delivery is decoded and folded, or set aside with its reason.
        3. Persons, refusals and positions are written in one transaction.

        Raises `Retryable` or `Fatal`; then nothing was applied, or it cannot be known.
        """
        started = time.monotonic()
        known = self._store.positions
        fresh = [m for m in messages if m.offset >= known.get(m.place, 0)]
        if not fresh:
            return
        self._on_step("taken")
        with _traced() as spans:
            batch = self._folded(fresh, spans)
            self._on_step("folded")
            self._store.apply(batch)
        self._on_step("applied")
        _observe(batch, watermark=self._store.watermark, seconds=time.monotonic() - started)

    def _folded(self, messages: Sequence[Incoming], spans: list[Span]) -> Batch:
        persons: Persons = {}
        refused: list[Quarantined] = []
        positions: dict[Partition, int] = {}
        for message in messages:
            positions[message.place] = message.offset + 1
            envelope = None
            try:
                envelope = self._decoder.envelope(message)
                span = _begin_span(message, envelope)
                if span is not None:
                    spans.append(span)
                told = self._decoder.told(message, envelope)
                fold(told, persons, data=CONTRACT.fields)
            except Refused as error:
                refused.append(_set_aside(message, envelope, error))
        return Batch(
            persons=persons, quarantined=refused, positions=positions, deliveries=len(messages)
        )


def _set_aside(message: Incoming, envelope: Envelope | None, error: Refused) -> Quarantined:
    refused = Quarantined(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        reason=_reason(error),
        event_type=envelope.type if envelope else None,
        event_id=envelope.id if envelope else None,
        source=envelope.source if envelope else None,
    )
    log.warning(
        "delivery refused",
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        reason=refused.reason,
        rule=error.what,
    )
    return refused


def _reason(error: Refused) -> str:
    match error:
        case NotTheOwner():
            return "not-the-owner"
        case NoRule():
            return Reason.UNKNOWN_EVENT_TYPE
        case InvalidEnvelope():
            return Reason.MALFORMED_HEADERS
        case NotRegistered():
            return Reason.UNKNOWN_SCHEMA
        case InvalidBytes():
            return Reason.MALFORMED_BYTES
        case InvalidEvent():
            return "invalid-event"
        case _:
            return "refused"


def _begin_span(message: Incoming, envelope: Envelope) -> Span | None:
    """A span in the delivery's own trace, where its publisher asked for one."""
    context = sampled_context(envelope.traceparent)
    if context is None:
        return None
    return tracer().start_span(
        telemetry.APPLY_TO_VIEW,
        context=trace.set_span_in_context(NonRecordingSpan(context)),
        kind=SpanKind.CONSUMER,
        attributes={
            telemetry.EVENT_ID: envelope.id,
            telemetry.EVENT_TYPE: envelope.type,
            telemetry.TOPIC: message.topic,
            telemetry.PARTITION: str(message.partition),
            telemetry.OFFSET: message.offset,
        },
    )


@contextmanager
def _traced() -> Iterator[list[Span]]:
    """The spans of a batch; they end with its commit, or with the failure to commit it."""
    spans: list[Span] = []
    outcome = Status(StatusCode.ERROR)
    try:
        yield spans
        outcome = Status(StatusCode.OK)
    finally:
        for span in spans:
            span.set_status(outcome)
            span.end()


def _observe(batch: Batch, *, watermark: int, seconds: float) -> None:
    metrics.DELIVERIES.inc(batch.deliveries - len(batch.quarantined))
    for refused in batch.quarantined:
        metrics.QUARANTINED.labels(reason=refused.reason).inc()
    metrics.BATCH_SECONDS.observe(seconds)
    metrics.WATERMARK.set(watermark)

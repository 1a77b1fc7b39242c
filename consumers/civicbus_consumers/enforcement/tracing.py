"""The traces of one batch: a span in the publisher's trace for every sampled event, and a new
trace for every delivery of it, which the publisher's links to and which knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_producers.tracing import traceparent
from civicbus_schemas import telemetry
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from civicbus_consumers.enforcement.deliveries import Delivery
from civicbus_consumers.enforcement.rules import Event
from civicbus_consumers.runtime.tracing import links, sampled_context, tracer


class BatchTrace:
    """Spans of the sampled events of one batch; costs nothing where none is."""

    def __init__(self) -> None:
        self._events: list[Span] = []
        self._deliveries: dict[tuple[str, str], Span] = {}

    def begin_event(self, event: Event, deliveries: Sequence[Delivery]) -> None:
        """Begin the span of an event whose publisher sampled it."""
        parent = sampled_context(event.envelope.traceparent)
        if parent is None:
            return
        released = [self._begin_delivery(event, delivery) for delivery in deliveries]
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
        span = tracer().start_span(
            telemetry.ENFORCE_EVENT,
            context=context,
            kind=SpanKind.CONSUMER,
            links=links([s.get_span_context() for s in released]),
            attributes={
                telemetry.EVENT_ID: event.envelope.id,
                telemetry.EVENT_TYPE: event.envelope.type,
                telemetry.TOPIC: event.source.topic,
                telemetry.PARTITION: event.source.partition,
                telemetry.OFFSET: event.source.offset,
            },
        )
        self._events.append(span)

    def _begin_delivery(self, event: Event, delivery: Delivery) -> Span:
        span = tracer().start_span(
            telemetry.RELEASE,
            context=Context(),
            kind=SpanKind.PRODUCER,
            attributes={
                telemetry.SAMPLED_EVENT: True,
                telemetry.EVENT_ID: delivery.envelope.id,
                telemetry.EVENT_TYPE: delivery.event_type,
                telemetry.AGREEMENT: str(delivery.agreement),
                telemetry.TOPIC: delivery.topic,
            },
        )
        self._deliveries[event.envelope.id, delivery.envelope.id] = span
        return span

    def traceparent_for(self, event: Event, delivery: Delivery) -> str | None:
        """The `traceparent` of a delivery: of its own trace, where its event was sampled."""
        span = self._deliveries.get((event.envelope.id, delivery.envelope.id))
        return None if span is None else traceparent(span.get_span_context())

    def page_traceparent(self) -> str | None:
        """The `traceparent` of the page: the first sampled event's, so that sealing joins it."""
        return traceparent(self._events[0].get_span_context()) if self._events else None

    def end(self) -> None:
        """The batch is released."""
        for span in (*self._deliveries.values(), *self._events):
            span.end()

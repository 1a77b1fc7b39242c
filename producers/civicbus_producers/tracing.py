"""The publisher's part of a trace: a span per publish, and only where a trace is sampled."""

from __future__ import annotations

from civicbus_schemas import telemetry
from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind

_tracer = trace.get_tracer(telemetry.SCOPE)


def begin_publish() -> tuple[Span | None, str | None]:
    """A span where the trace is sampled, and the `traceparent` to send along, if there is one.

    An event published inside an unsampled trace costs no span.
    """
    parent = trace.get_current_span().get_span_context()
    if parent.is_valid and not parent.trace_flags.sampled:
        return None, traceparent(parent)
    span = _tracer.start_span(telemetry.PUBLISH, kind=SpanKind.PRODUCER)
    context = span.get_span_context()
    return (
        span if span.is_recording() else None,
        traceparent(context) if context.is_valid else None,
    )


def traceparent(context: SpanContext) -> str:
    """The header of a span context (W3C Trace Context section 3.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

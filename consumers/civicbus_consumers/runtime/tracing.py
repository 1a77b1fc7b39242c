"""OpenTelemetry's SDK at the edge of a process; packages only use its API.

Exported over OTLP/HTTP. Spans are made per batch, and per event only when its publisher sampled it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from civicbus_schemas import telemetry
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_SAMPLED = frozenset("13579bdf")  # last digits of flags whose lowest bit is set


class PublisherDecides(Sampler):
    """Roots are sampled by ratio, or when the event that caused them was (`SAMPLED_EVENT`).

    A delivery begins a trace of its own, so that recipients cannot be joined through traces; it is
    recorded if and only if the publisher asked for its event to be traced.
    """

    def __init__(self, ratio: float) -> None:
        self._by_ratio = TraceIdRatioBased(ratio)

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """As the class says."""
        attributes = kwargs.get("attributes") or {}
        sampler = ALWAYS_ON if attributes.get(telemetry.SAMPLED_EVENT) else self._by_ratio
        return sampler.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        """How the SDK names this sampler."""
        return f"PublisherDecides({self._by_ratio.rate})"


def configure_tracing(service: str, *, endpoint: str | None, ratio: float) -> None:
    """Export spans of this process; without an endpoint nothing is recorded."""
    if endpoint is None:
        return
    provider = TracerProvider(
        sampler=ParentBased(PublisherDecides(ratio)),
        resource=Resource.create({SERVICE_NAME: service}),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)


def tracer() -> trace.Tracer:
    """The tracer of CivicBus."""
    return trace.get_tracer(telemetry.SCOPE)


def sampled_context(traceparent: str | None) -> SpanContext | None:
    """The publisher's span context, if it asked for this event to be traced.

    `sampled` is one bit of the flags, and others may stand beside it (W3C Trace Context level 2:
    `random`). Only what may be sampled is parsed in full: most events are not.
    """
    if traceparent is None or traceparent[-1:] not in _SAMPLED:
        return None
    found = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent}))
    context = found.get_span_context()
    return context if context.trace_flags.sampled else None


def links(contexts: Sequence[SpanContext]) -> list[Link]:
    """Links to spans of other traces."""
    return [Link(context) for context in contexts]

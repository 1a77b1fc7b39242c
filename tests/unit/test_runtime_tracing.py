"""Whose trace is followed: the flags of `traceparent` are bits (W3C Trace Context, 3.2.2.5)."""

from __future__ import annotations

import pytest
from civicbus_consumers.runtime.tracing import PublisherDecides, sampled_context
from civicbus_producers.tracing import traceparent
from opentelemetry.sdk.trace import TracerProvider

TRACE, SPAN = "ab" * 16, "cd" * 8


@pytest.mark.parametrize("flags", ["01", "03", "0b"])
def test_trace_is_followed_when_the_sampled_bit_is_set_among_others(flags: str) -> None:
    context = sampled_context(f"00-{TRACE}-{SPAN}-{flags}")
    assert context is not None
    assert (f"{context.trace_id:032x}", f"{context.span_id:016x}") == (TRACE, SPAN)


@pytest.mark.parametrize(
    "header", [None, "", "1", f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-02", "00-x-y-01"]
)
def test_trace_is_not_followed_when_it_is_unsampled_or_unreadable(header: str | None) -> None:
    assert sampled_context(header) is None


def test_trace_of_our_own_publisher_is_followed_when_its_sdk_sampled_it() -> None:
    """Whatever else the SDK of today sets in the flags."""
    span = TracerProvider(sampler=PublisherDecides(1.0)).get_tracer("test").start_span("publish")
    sent = span.get_span_context()
    context = sampled_context(traceparent(sent))
    assert context is not None
    assert (context.trace_id, context.span_id) == (sent.trace_id, sent.span_id)

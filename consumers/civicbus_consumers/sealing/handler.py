"""One seal: pages from the topic into the ledger, under one checkpoint.

Nothing here decides what a page becomes (`civicbus_audit.sequencing`) or what makes an append
safe (`civicbus_audit.ledger`): the one order that matters is that the source moves on last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

from civicbus_audit.sealer import Sealed, Sealer
from civicbus_schemas import telemetry
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from civicbus_consumers.runtime.tracing import links, tracer
from civicbus_consumers.sealing.source import PageSource, Taken


class Step(StrEnum):
    """What has just been done."""

    TAKEN = "taken"
    SEALED = "sealed"
    ADVANCED = "advanced"


OnStep = Callable[[Step], None]


def seal_batch(
    source: PageSource,
    sealer: Sealer,
    *,
    wait_s: float = 0.2,
    gather_s: float = 0.2,
    on_step: OnStep = lambda _step: None,
) -> Sealed | None:
    """Seal what is there; None when nothing is.

    1. Take pages. 2. Seal them: leaves, position and checkpoint are durable at once. 3. Tell the
    source. A death after 1 leaves nothing; after 2 the ledger's state says where to go on.
    """
    taken = source.take(wait_s=wait_s, gather_s=gather_s)  # 1
    if not taken:
        return None
    on_step(Step.TAKEN)
    with _spans(taken) as span:
        sealed = sealer.seal([each.page for each in taken])  # 2
        span.set_attribute(telemetry.LEAVES, sealed.leaves)
        span.set_attribute(telemetry.TREE_SIZE, sealed.checkpoint.size)
    on_step(Step.SEALED)
    source.advance(sealer.position)  # 3
    on_step(Step.ADVANCED)
    return sealed


@contextmanager
def _spans(taken: Sequence[Taken]) -> Iterator[Span]:
    """A span for the batch, and one in the trace of every page that its recorder sampled."""
    sampled = [each for each in taken if each.trace is not None]
    with tracer().start_as_current_span(
        telemetry.SEAL_PAGES,
        kind=SpanKind.CONSUMER,
        links=links([each.trace for each in sampled if each.trace]),
        attributes={telemetry.EVENTS: len(taken), telemetry.SAMPLED_EVENT: bool(sampled)},
    ) as batch:
        pages = [_page_span(each, batch) for each in sampled]
        try:
            yield batch
        finally:
            for span in pages:
                span.end()


def _page_span(taken: Taken, batch: Span) -> Span:
    parent = trace.NonRecordingSpan(taken.trace or trace.INVALID_SPAN_CONTEXT)
    return tracer().start_span(
        telemetry.SEAL_PAGE,
        context=trace.set_span_in_context(parent, Context()),
        kind=SpanKind.CONSUMER,
        links=links([batch.get_span_context()]),
        attributes={telemetry.OFFSET: taken.page.offset},
    )

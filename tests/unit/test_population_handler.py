"""A batch on its way into the view: what is dropped, set aside, traced, or stops everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest
from civicbus_consumers.population.handler import ViewHandler
from civicbus_consumers.population.incoming import Decoder, Incoming, Partition
from civicbus_consumers.population.store import Batch
from civicbus_consumers.runtime import tracing
from civicbus_producers.registry import NotRegistered
from civicbus_schemas import telemetry
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.errors import Unavailable
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes.population import (
    BIRTH,
    CHILD,
    MARRIAGE,
    TYPES,
    Sample,
    birth,
    delivered_schema,
    marriage,
)

TOPIC = "dlv.npd.civil-status.v1"
AT = datetime(2026, 11, 22, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"


class MemoryView:
    """Keeps what was applied; `fails` makes the next batch fail and not persist."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.positions: Mapping[Partition, int] = {}
        self.watermark = 0
        self.fails = False

    def apply(self, batch: Batch) -> None:
        if self.fails:
            raise Unavailable("the view does not answer")
        self.batches.append(batch)
        self.positions = {**self.positions, **batch.positions}
        self.watermark += 1


class MemorySchemas:
    """The delivered schemas under ids 0, 1, 2, …; `down` makes it not answer."""

    down = False

    def get_document(self, schema_id: int) -> SchemaDocument:
        if self.down:
            raise Unavailable("the registry does not answer")
        if schema_id >= len(TYPES):
            raise NotRegistered("no such schema")
        return delivered_schema(TYPES[schema_id])


@pytest.fixture
def view() -> MemoryView:
    return MemoryView()


@pytest.fixture
def schemas() -> MemorySchemas:
    return MemorySchemas()


@pytest.fixture
def handler(view: MemoryView, schemas: MemorySchemas) -> ViewHandler:
    return ViewHandler(Decoder(schemas), view)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing.trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def message(sample: Sample, offset: int = 0, *, schema_id: int | None = None) -> Incoming:
    """The sample as it lies on the topic."""
    id_ = TYPES.index(sample.type) if schema_id is None else schema_id
    return Incoming(
        topic=TOPIC,
        partition=3,
        offset=offset,
        at=AT,
        headers=sample.headers(),
        value=sample.value(id_),
    )


def test_batch_is_applied_once_when_it_comes_again(handler: ViewHandler, view: MemoryView) -> None:
    batch = [message(Sample(type=BIRTH, datum=birth()), offset) for offset in (4, 7)]
    handler.handle(batch)
    handler.handle(batch)
    [applied] = view.batches
    assert applied.positions == {(TOPIC, 3): 8}
    assert applied.deliveries == 2


def test_known_part_is_dropped_when_a_batch_overlaps(
    handler: ViewHandler, view: MemoryView
) -> None:
    batch = [message(Sample(type=BIRTH, datum=birth()), offset) for offset in range(4)]
    handler.handle(batch[:3])
    handler.handle(batch)
    assert [applied.deliveries for applied in view.batches] == [3, 1]


def test_nothing_is_applied_when_the_registry_does_not_answer(
    handler: ViewHandler, view: MemoryView, schemas: MemorySchemas
) -> None:
    schemas.down = True
    with pytest.raises(Unavailable):
        handler.handle([message(Sample(type=BIRTH, datum=birth()))])
    assert view.batches == []


def test_others_are_applied_when_one_is_refused(handler: ViewHandler, view: MemoryView) -> None:
    good = Sample(type=BIRTH, datum=birth())
    handler.handle([message(good, 0, schema_id=99), message(good, 1)])
    [applied] = view.batches
    assert [(refused.offset, refused.reason) for refused in applied.quarantined] == [
        (0, "unknown-schema")
    ]
    assert applied.persons[CHILD]["full_name"].value == "Nguyễn Minh An"
    assert applied.positions == {(TOPIC, 3): 2}


def test_delivery_without_ground_is_refused_when_it_is_read(
    handler: ViewHandler, view: MemoryView
) -> None:
    sample = Sample(type=BIRTH, datum=birth())
    bare = [(n, v) for n, v in sample.headers() if not n.startswith(("ce_purpose", "ce_legal"))]
    handler.handle(
        [Incoming(topic=TOPIC, partition=0, offset=0, at=AT, headers=bare, value=sample.value(0))]
    )
    assert [refused.reason for refused in view.batches[0].quarantined] == ["malformed-headers"]


def test_schema_of_another_type_is_refused_when_headers_lie(
    handler: ViewHandler, view: MemoryView
) -> None:
    lie = message(Sample(type=MARRIAGE, datum=marriage()), schema_id=TYPES.index(BIRTH))
    handler.handle([lie])
    assert [refused.reason for refused in view.batches[0].quarantined] == ["malformed-bytes"]


def test_span_continues_the_deliverys_trace_when_it_was_sampled(
    handler: ViewHandler, spans: InMemorySpanExporter
) -> None:
    traced = Sample(type=BIRTH, datum=birth(), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    silent = Sample(type=BIRTH, datum=birth(), traceparent=f"00-{TRACE}-b7ad6b7169203331-00")
    handler.handle([message(traced, 5), message(silent, 6)])
    [span] = spans.get_finished_spans()
    assert span.name == telemetry.APPLY_TO_VIEW
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert dict(span.attributes or {}) == {
        telemetry.EVENT_ID: traced.id,
        telemetry.EVENT_TYPE: BIRTH,
        telemetry.TOPIC: TOPIC,
        telemetry.PARTITION: "3",
        telemetry.OFFSET: 5,
    }
    assert span.status.is_ok


def test_span_tells_of_the_failure_when_the_batch_was_not_applied(
    handler: ViewHandler, view: MemoryView, spans: InMemorySpanExporter
) -> None:
    view.fails = True
    traced = Sample(type=BIRTH, datum=birth(), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    with pytest.raises(Unavailable):
        handler.handle([message(traced)])
    [span] = spans.get_finished_spans()
    assert not span.status.is_ok

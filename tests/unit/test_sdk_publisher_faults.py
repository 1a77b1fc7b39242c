"""Publishing when the broker misbehaves: nothing is dropped silently."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from civicbus_producers import receipt as receipts
from civicbus_producers.receipt import NotAcknowledged
from civicbus_producers.registry import NotRegistered
from civicbus_producers.testing import UnsafeMemoryPublisher
from civicbus_producers.tracing import traceparent
from civicbus_schemas import telemetry
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import InvalidEvent, Overdue, Unavailable
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from tests.contract.sdk_samples import CHILD_PIN, MOTHER_PIN, PERSONAL_VALUES, a_birth
from tests.fakes.publisher import fake_publisher

TOPIC = "src.moj.civil-status.v1"


@pytest.fixture
def publisher() -> UnsafeMemoryPublisher:
    return fake_publisher()


@pytest.mark.parametrize("persisted", [False, True])
def test_failure_surfaces_on_receipt_flush_and_close_when_the_broker_times_out(
    publisher: UnsafeMemoryPublisher, persisted: bool
) -> None:
    publisher.producer.fails_but_persisted = persisted
    publisher.producer.fails_and_did_not_persist = not persisted
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN)
    with pytest.raises(Overdue, match="MSG_TIMED_OUT"):
        receipt.wait(timeout_s=1)
    assert isinstance(receipt.failure, Overdue)
    assert not receipt.acknowledged
    for settle in (lambda: publisher.flush(1), publisher.close):
        with pytest.raises(NotAcknowledged) as error:
            settle()
        assert error.value.event_ids == (receipt.event_id,)
        assert error.value.__cause__ is receipt.failure
    assert len(publisher.log.messages(TOPIC)) == int(persisted)


def test_event_is_not_acknowledged_when_nobody_says_where_it_lies(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.producer.forgets_where = True
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN)
    with pytest.raises(Unavailable, match="nobody says where"):
        receipt.wait(timeout_s=1)
    publisher.producer.forgets_where = False
    again = publisher.publish(a_birth(), subject=CHILD_PIN, event_id=receipt.event_id)
    assert again.wait(timeout_s=1).offset == 1
    publisher.close()


def test_close_is_content_when_a_failed_event_was_published_again(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.producer.fails_but_persisted = True
    first = publisher.publish(a_birth(), subject=CHILD_PIN)
    publisher.producer.fails_but_persisted = False
    publisher.publish(a_birth(), subject=CHILD_PIN, event_id=first.event_id)
    publisher.close()
    ids = [parse_headers(message.headers).id for message in publisher.log.messages(TOPIC)]
    assert ids == [first.event_id] * 2  # the bus and recipients know it by its id


def test_publish_blocks_then_raises_when_the_queue_stays_full(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.producer.queue_full = True
    with pytest.raises(Unavailable, match="full queue"):
        publisher.publish(a_birth(), subject=CHILD_PIN, deadline_s=0.01)
    publisher.close()  # nothing was accepted, so nothing is missing
    assert publisher.log.messages(TOPIC) == []


def test_publish_goes_on_when_the_queue_drains_in_time(publisher: UnsafeMemoryPublisher) -> None:
    publisher.producer.queue_full = True
    poll = publisher.producer.poll

    def drain(timeout: float = -1) -> int:
        publisher.producer.queue_full = False
        return poll(timeout)

    publisher.producer.poll = drain
    assert publisher.publish(a_birth(), subject=CHILD_PIN, deadline_s=5).wait(1).offset == 0


def test_earlier_failure_is_still_reported_when_publishing_again_finds_a_full_queue(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.producer.fails_and_did_not_persist = True
    first = publisher.publish(a_birth(), subject=CHILD_PIN)
    publisher.producer.queue_full = True
    with pytest.raises(Unavailable):
        publisher.publish(a_birth(), subject=CHILD_PIN, event_id=first.event_id, deadline_s=0)
    with pytest.raises(NotAcknowledged) as error:
        publisher.close()
    assert error.value.event_ids == (first.event_id,)


def test_wait_is_overdue_and_close_reports_when_the_broker_is_silent(
    publisher: UnsafeMemoryPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(receipts.time, "monotonic", lambda: float(next(ticks)))
    publisher.producer.silent = True
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN)
    with pytest.raises(Overdue, match="same event_id"):
        receipt.wait(timeout_s=5)
    assert receipt.failure is None
    with pytest.raises(NotAcknowledged):
        publisher.close(timeout_s=0)
    assert receipt.failure is not None  # the closed publisher has given it up


def test_error_of_the_caller_is_kept_when_events_are_unacknowledged_too(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.producer.fails_and_did_not_persist = True
    publisher.publish(a_birth(), subject=CHILD_PIN)
    with pytest.raises(ZeroDivisionError) as error, publisher:
        raise ZeroDivisionError
    assert "not acknowledged" in error.value.__notes__[0]


def test_publish_is_refused_when_the_contract_is_not_registered(
    publisher: UnsafeMemoryPublisher,
) -> None:
    publisher.log.registry.strict = True
    with pytest.raises(NotRegistered):
        publisher.publish(a_birth(), subject=CHILD_PIN)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_ON)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(telemetry.SCOPE)
    monkeypatch.setattr("civicbus_producers.tracing._tracer", tracer)
    yield exporter
    provider.shutdown()


def the_span(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def test_span_covers_publish_to_acknowledgement_when_the_trace_is_sampled(
    publisher: UnsafeMemoryPublisher, spans: InMemorySpanExporter
) -> None:
    publisher.producer.silent = True
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN)
    assert spans.get_finished_spans() == ()
    publisher.producer.silent = False
    published = receipt.wait(1)
    span = the_span(spans)
    assert span.name == telemetry.PUBLISH
    assert dict(span.attributes or {}) == {
        telemetry.EVENT_ID: receipt.event_id,
        telemetry.EVENT_TYPE: "civil-status.BirthRegistered",
        telemetry.TOPIC: TOPIC,
        telemetry.PARTITION: str(published.partition),
        telemetry.OFFSET: published.offset,
    }
    (message,) = publisher.log.messages(TOPIC)
    sent = parse_headers(message.headers).traceparent
    assert sent == traceparent(span.context)


def test_span_says_error_and_shows_no_value_when_an_event_is_refused(
    publisher: UnsafeMemoryPublisher, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(InvalidEvent):
        publisher.publish(a_birth(), subject=MOTHER_PIN)
    span = the_span(spans)
    assert not span.status.is_ok
    assert not [value for value in PERSONAL_VALUES if value in span.to_json()]


def test_trace_goes_along_without_a_span_when_it_is_not_sampled(
    publisher: UnsafeMemoryPublisher, spans: InMemorySpanExporter
) -> None:
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("agency").start_as_current_span("work"):
        current = trace.get_current_span(context.get_current()).get_span_context()
        publisher.publish(a_birth(), subject=CHILD_PIN).wait(1)
    assert spans.get_finished_spans() == ()
    (message,) = publisher.log.messages(TOPIC)
    sent = parse_headers(message.headers).traceparent
    assert sent == traceparent(current)
    assert not current.trace_flags.sampled

"""Pages of the real broker become leaves under a signed checkpoint, and rows of the index."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from civicbus_audit.completeness.commit import IndexCommit
from civicbus_audit.notice import NOTICE, Finding, Notice
from civicbus_audit.sealed import QUARANTINE
from civicbus_consumers.sealing.app import run
from civicbus_consumers.sealing.handler import Step
from civicbus_consumers.sealing.source import SourceRegressed
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas import telemetry
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import Page
from confluent_kafka import Consumer, TopicPartition
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fakes.pages import FakeRecorder, decision, keys_document
from tests.integration.sealing_place import SealingPlace
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = pytest.mark.broker


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> SealingPlace:
    return SealingPlace.create(stack, tmp_path)


def _pages(count: int, *, records: int = 3) -> list[Page]:
    recorder = FakeRecorder(new_recorder_id())
    return [recorder.write(*[decision()] * records) for _ in range(count)]


def _leaves(pages: list[Page]) -> list[bytes]:
    return [leaf for page in pages for leaf in (page.header, *page.records)]


def _sealed(place: SealingPlace, size: int) -> None:
    wait_until(lambda: place.size() >= size, what=f"{size} leaves under a checkpoint")


def test_leaves_and_rows_follow_the_pages_when_they_are_sealed(place: SealingPlace) -> None:
    pages = _pages(5)
    place.send(*pages[:2])
    with place.sealing():
        _sealed(place, 8)
        place.send(*pages[2:])
        _sealed(place, 20)
        assert place.leaves() == _leaves(pages)
        wait_until(lambda: place.indexed() == 20, what="the index")


def test_sealing_goes_on_from_the_ledger_when_the_group_has_other_offsets(
    place: SealingPlace,
) -> None:
    pages = _pages(4)
    place.send(*pages[:3])
    with place.sealing():
        _sealed(place, 12)
    consumer = Consumer(place.stack.client_config(group_id="sealing"))
    consumer.commit(offsets=[TopicPartition(place.topic, 0, 1)], asynchronous=False)
    consumer.close()
    place.send(pages[3])
    with place.sealing():
        _sealed(place, 16)
    assert place.leaves() == _leaves(pages)


def test_page_is_sealed_once_when_it_was_sent_twice(place: SealingPlace) -> None:
    first, second = _pages(2)
    place.send(first, first, second, first)
    with place.sealing():
        _sealed(place, 8)
    assert place.leaves() == _leaves([first, second])


def test_bytes_are_kept_aside_behind_a_notice_when_they_are_no_page(place: SealingPlace) -> None:
    (page,) = _pages(1)
    place.send(b"no page at all", page)
    with place.sealing():
        _sealed(place, 5)
    notice, *others = place.leaves()
    assert others == _leaves([page])
    assert NOTICE.wrote(notice)
    found = Notice.decode(notice)
    assert (found.finding, found.offset) == (Finding.UNREADABLE, 0)
    kept = place.ledger_dir / QUARANTINE / found.content
    assert kept.read_bytes() == b"no page at all"


def test_an_index_commit_closes_the_period_when_the_broker_s_time_passes_its_end(
    place: SealingPlace,
) -> None:
    before, after = _pages(2)
    place.send(before, at=datetime.now(UTC) - timedelta(days=40))
    place.send(after)
    with place.sealing():
        _sealed(place, 9)
    leaves = place.leaves()
    commit = IndexCommit.decode(leaves[4])
    assert (commit.first, commit.end) == (0, 4)
    assert leaves[:4] + leaves[5:] == _leaves([before, after])


def test_sealing_stops_when_the_topic_is_shorter_than_the_ledger(place: SealingPlace) -> None:
    place.send(*_pages(2))
    with place.sealing():
        _sealed(place, 8)
    admin = place.stack.admin()
    admin.delete_topics([place.topic])[place.topic].result(DEADLINE_S)
    wait_until(
        lambda: place.topic not in admin.list_topics(timeout=DEADLINE_S).topics,
        what="the topic to go",
    )
    place.stack.create_topics(place.topic)
    with pytest.raises(SourceRegressed), place.sealing() as ended:
        wait_until(ended, what="sealing to stop")


def test_ledger_grows_when_the_index_cannot_be_reached(place: SealingPlace) -> None:
    dsn = (place.folder / "dsn").read_text()
    (place.folder / "dsn").write_text(dsn.rpartition("/")[0] + "/no_such_database")
    pages = _pages(2)
    place.send(*pages)
    with place.sealing():
        _sealed(place, 8)
        (place.folder / "dsn").write_text(dsn)
        wait_until(lambda: place.indexed() == 8, what="the index to be tried again")


def test_page_of_a_new_process_is_sealed_when_its_key_was_added_since(
    place: SealingPlace,
) -> None:
    keys = place.folder / "recorders.json"
    keys.write_text("{}")
    pages = _pages(1)
    with place.sealing():
        _sealed(place, 0)
        keys.write_text(json.dumps(keys_document()))
        place.send(*pages)
        _sealed(place, 4)
    assert place.leaves() == _leaves(pages)


def test_process_does_not_start_when_the_recorders_keys_are_malformed(place: SealingPlace) -> None:
    body = {"public_key": "11" * 32, "processes": ["enforce-0"]}
    (place.folder / "recorders.json").write_text(json.dumps({"00" * 8: body}))
    with pytest.raises(InvalidSettings, match="malformed"):
        run(place.settings, threading.Event(), topic=place.topic)


def test_nothing_is_sealed_when_the_recorders_keys_were_spoilt_and_all_is_when_they_are_back(
    place: SealingPlace,
) -> None:
    """An honest page must not be set aside because nobody can say who may write it."""
    keys, pages = place.folder / "recorders.json", _pages(1)
    known = keys.read_bytes()

    def spoil(step: Step) -> None:
        if step is Step.TAKEN:
            keys.write_bytes(known[:-1])

    place.send(*pages)
    with pytest.raises(InvalidSettings, match="cannot be read"):
        run(place.settings, threading.Event(), topic=place.topic, on_step=spoil)
    assert place.size() == 0
    keys.write_bytes(known)
    with place.sealing():
        _sealed(place, 4)
    assert place.leaves() == _leaves(pages)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    yield exporter
    provider.shutdown()


def test_sealing_joins_the_trace_of_a_page_when_it_is_sampled(
    place: SealingPlace, spans: InMemorySpanExporter
) -> None:
    first, second = _pages(2)
    place.send(first, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01")
    place.send(second, traceparent=f"00-{'12' * 16}-{'34' * 8}-00")
    with place.sealing():
        _sealed(place, 8)
    found = spans.get_finished_spans()
    (page,) = [span for span in found if span.name == telemetry.SEAL_PAGE]
    assert f"{page.context.trace_id:032x}" == "ab" * 16
    batch = next(span for span in found if span.name == telemetry.SEAL_PAGES and span.links)
    assert [f"{link.context.span_id:016x}" for link in batch.links] == ["cd" * 8]
    assert batch.attributes is not None
    assert batch.attributes[telemetry.TREE_SIZE] in (4, 8)

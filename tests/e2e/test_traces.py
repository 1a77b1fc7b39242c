"""One birth, followed by its event id: publishing, enforcement, each recipient, view and sealing.

What the publisher's trace holds and what it only links to is a promise to recipients: none of them
can see, through a trace, that another one was given the same event.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from civicbus_schemas import telemetry
from civicbus_schemas.topics import AUDIT_PAGE

from tests.agencies import publish_traced
from tests.bus import Bus
from tests.fakes.collector import Collector, Span, collecting
from tests.lives import BIRTH_RECIPIENTS
from tests.reconciliation import header_of

pytestmark = pytest.mark.broker

PROCESSES = ("enforce-0", "enforce-1", "sealing", "population")
RELEASED = telemetry.RELEASE
STORY = f"""\
agencies: {telemetry.PUBLISH}
  enforcement: {telemetry.ENFORCE_EVENT} -> {RELEASED}, {RELEASED}, {RELEASED}
    sealing: {telemetry.SEAL_PAGE} -> {telemetry.SEAL_PAGES}
enforcement: {RELEASED}
enforcement: {RELEASED}
enforcement: {RELEASED}
  population: {telemetry.APPLY_TO_VIEW}
sealing: {telemetry.SEAL_PAGES} -> {telemetry.ENFORCE_EVENT}
"""


@pytest.fixture(scope="module")
def collector(bus: Bus) -> Iterator[Collector]:
    """The traces of one birth, all processes having ended and so exported everything."""
    port = bus.stack.ports["otlp"]
    with collecting(port) as collector, ExitStack() as running:
        workers = [
            running.enter_context(bus.running(name, CIVICBUS_TRACE_RATIO="0")) for name in PROCESSES
        ]
        publish_traced(bus, "births", 1)
        bus.wait(lambda: _has_applied(bus), "the view")
        pages = len(bus.read_all(AUDIT_PAGE))  # the birth's is there, but not the first
        bus.wait(lambda: _has_sealed(bus, pages), "sealing")
        assert [worker.stop() for worker in workers] == [0] * len(workers)
        yield collector


def _metric(bus: Bus, process: str, name: str) -> float:
    try:
        port = bus.stack.ports[f"{process}_health"]
        lines = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text.splitlines()
    except httpx.TransportError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _has_applied(bus: Bus) -> bool:
    return _metric(bus, "population", telemetry.VIEW_DELIVERIES_TOTAL) >= 1


def _has_sealed(bus: Bus, pages: int) -> bool:
    return _metric(bus, "sealing", telemetry.SEALED_PAGES_TOTAL) >= pages


def told(spans: list[Span]) -> str:
    """The spans as a text: children indented below their parents, links behind an arrow."""
    by_id = {span.id: span for span in spans}

    def lines(span: Span, depth: int) -> Iterator[str]:
        room = "enforcement" if span.service.startswith("enforce-") else span.service
        links = ", ".join(by_id[link].name for link in span.links)
        yield f"{'  ' * depth}{room}: {span.name}{' -> ' if links else ''}{links}\n"
        for child in sorted((s for s in spans if s.parent == span.id), key=lambda s: s.name):
            yield from lines(child, depth + 1)

    roots = ["".join(lines(span, 0)) for span in spans if span.parent is None]
    return "".join(sorted(roots, key=lambda text: (text.count("\n") != 3, text)))


def test_birth_is_followed_from_its_publisher_to_the_view_and_the_ledger(
    collector: Collector,
) -> None:
    """Parents and links, by the names in `schemas/telemetry.py`, and nothing besides."""
    assert told(collector.spans) == STORY


def test_event_is_found_by_its_id_when_one_asks_for_the_publishers_trace(
    collector: Collector,
) -> None:
    """The id of the receipt leads to the trace; from there links lead to every recipient's."""
    [publish] = [span for span in collector.spans if span.name == telemetry.PUBLISH]
    event_id = publish.tags[telemetry.EVENT_ID]
    found = [span for span in collector.spans if span.tags.get(telemetry.EVENT_ID) == event_id]
    assert [span.name for span in found] == [telemetry.PUBLISH, telemetry.ENFORCE_EVENT]
    assert {span.trace for span in found} == {publish.trace}
    [enforced] = found[1:]
    linked = [span for span in collector.spans if span.id in enforced.links]
    assert {span.tags[telemetry.TOPIC] for span in linked} == {
        f"dlv.{agency}.civil-status.v1" for agency in BIRTH_RECIPIENTS
    }


def test_recipients_share_no_trace_with_the_publisher_or_each_other(
    bus: Bus, collector: Collector
) -> None:
    """What a delivery carries is the recipient's own trace, and it knows of no other."""
    releases = {s.trace: s for s in collector.spans if s.name == telemetry.RELEASE}
    carried = {
        agency: header_of(message, "traceparent").split("-")
        for agency in BIRTH_RECIPIENTS
        for message in bus.read_all(f"dlv.{agency}.civil-status.v1")
    }
    assert len(carried) == len(releases) == len(BIRTH_RECIPIENTS)
    for agency, (_, trace, span, _) in carried.items():
        release = releases[trace]
        assert (release.id, release.parent, release.links) == (span, None, [])
        assert release.tags[telemetry.TOPIC] == f"dlv.{agency}.civil-status.v1"
    [publish] = [span for span in collector.spans if span.name == telemetry.PUBLISH]
    assert publish.trace not in releases

"""I6 for look-ups: logs, spans, metrics, refusals and errors of a run name no person."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
import structlog
from civicbus_schemas import telemetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import PATH, Office, bearer, post
from tests.unit.lookup_samples import BANK, asked, verifying

TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
STRANGER = "Trần Thị Không Ai"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Every span that the service makes."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(
        "civicbus_consumers.lookup.service.tracer", lambda: provider.get_tracer("test")
    )
    return exporter


async def _all_kinds(client: httpx.AsyncClient, office: Office) -> list[httpx.Response]:
    """Granted, refused, malformed, forged, and failing look-ups."""
    answers = [
        await post(client, traceparent=TRACE),
        await post(client, verifying(), agency=BANK),
        await post(client, asked(full_name=STRANGER)),
        await post(client, asked(pin=samples.NOBODY.number)),
        await post(client, asked(fields=["religion", "nguyen_thi_lan"])),
        await post(client, asked(purpose="nguyen.thi-lan")),
        await post(client, asked(officer=None)),
        await post(client, asked(pin=samples.LAN.number + "7")),
        await post(client, asked() | {samples.NAME: samples.LAN.number}),
        await post(client, json.dumps(asked()).encode() + samples.NAME.encode()),
        await client.post(PATH, content=b"{}", headers={"Authorization": samples.LAN.number}),
        await client.get(f"/v1/people/{samples.LAN.number}", headers=bearer()),
    ]
    office.pages.fails = True
    answers.append(await post(client))
    office.pages.fails, office.view.persons[samples.LAN] = False, samples.person(mother_pin="x")
    answers.append(await post(client))
    return answers


def test_no_person_is_named_sideways_when_look_ups_of_every_kind_are_made(
    spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await _all_kinds(client, office)

    caplog.set_level(logging.WARNING, "httpx")  # the test's own client tells addresses
    with caplog.at_level(logging.DEBUG), structlog.testing.capture_logs() as logged:
        answers = office.ask(steps)
    made = spans.get_finished_spans()
    assert len(made) == len(answers) - 1  # nothing is looked up at an unknown path
    refused = [answer for answer in answers if answer.status_code != 200]
    sideways = "\n".join(
        [
            json.dumps(logged, ensure_ascii=False),
            caplog.text,
            *(span.to_json() for span in made),
            generate_latest().decode(),
            *(answer.text + str(answer.headers) for answer in refused),
        ]
    )
    for value in (*samples.PERSONAL, STRANGER, "nguyen_thi_lan", "nguyen.thi-lan"):
        assert value not in sideways, "a personal value is told sideways"


def test_span_tells_agency_and_rule_when_a_lookup_is_traced(spans: InMemorySpanExporter) -> None:
    office = Office()
    office.look_up(asked(fields=["religion"]), traceparent=TRACE)
    [span] = spans.get_finished_spans()
    attributes: Any = span.attributes
    assert span.name == telemetry.LOOK_UP
    assert dict(attributes) == {
        telemetry.RECIPIENT: "vss",
        telemetry.OUTCOME: "deny",
        telemetry.REASON: "field-not-in-agreement",
        telemetry.AGREEMENT: "vss.population@1",
        telemetry.PURPOSE: "health-insurance.enrol-child",
    }
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == "ab" * 16
    [record] = office.records
    assert record.req is not None
    assert record.req.trace == "ab" * 16

"""The OTLP bridge: what Zipkin must show of a span."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest
from civicbus_deploy.embedded import otlp_bridge
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE, PARENT, SPAN = b"\x01" * 16, b"\x02" * 8, b"\x03" * 8


def _request() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(
        KeyValue(key="service.name", value=AnyValue(string_value="enforce-0"))
    )
    span = resource.scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.parent_span_id = TRACE, SPAN, PARENT
    span.name, span.kind = "enforce batch", Span.SPAN_KIND_CONSUMER
    span.start_time_unix_nano, span.end_time_unix_nano = 5_000_000, 7_000_000
    span.attributes.append(KeyValue(key="civicbus.events", value=AnyValue(int_value=3)))
    span.attributes.append(KeyValue(key="ok", value=AnyValue(bool_value=True)))
    span.events.add(time_unix_nano=6_000_000, name="page acknowledged")
    span.links.add(trace_id=b"\x09" * 16, span_id=b"\x08" * 8)
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "fenced"
    return request


def test_parent_links_events_and_error_are_kept_when_a_span_is_translated() -> None:
    (span,) = otlp_bridge.zipkin_spans(_request())
    assert span == {
        "traceId": "01" * 16,
        "id": "03" * 8,
        "parentId": "02" * 8,
        "name": "enforce batch",
        "kind": "CONSUMER",
        "timestamp": 5000,
        "duration": 2000,
        "localEndpoint": {"serviceName": "enforce-0"},
        "tags": {
            "civicbus.events": "3",
            "ok": "true",
            "link.0": f"{'09' * 16}/{'08' * 8}",
            "error": "fenced",
        },
        "annotations": [{"timestamp": 6000, "value": "page acknowledged"}],
    }


@pytest.fixture
def bridge() -> Iterator[str]:
    """A bridge whose Zipkin is away."""
    server = otlp_bridge.serve(0, "http://127.0.0.1:1")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_exporter_is_told_to_come_again_when_zipkin_is_away(bridge: str) -> None:
    body = gzip.compress(_request().SerializeToString())
    answer = httpx.post(f"{bridge}/v1/traces", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    ("body", "encoding"), [(b"\xff\xff", "identity"), (b"no gzip", "gzip"), (b"", "identity")]
)
def test_export_is_refused_when_it_cannot_be_read(bridge: str, body: bytes, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    answer = httpx.post(f"{bridge}/v1/traces", content=body, headers=headers)
    assert answer.status_code == HTTPStatus.BAD_REQUEST

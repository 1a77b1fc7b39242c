"""OTLP/HTTP in, Zipkin out: a small process of the embedded stack only.

Parents, kinds, attributes, events, errors and links are kept; links become tags that carry the
other trace's id. Nothing is stored: while Zipkin is away the exporter is told to come again.
"""

from __future__ import annotations

import argparse
import gzip
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

HOST = "127.0.0.1"
_MAX_BODY_BYTES = 16 * 1024 * 1024
_KINDS = {
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}


def zipkin_spans(request: ExportTraceServiceRequest) -> Iterator[dict[str, Any]]:
    """The request's spans in the form of Zipkin's `/api/v2/spans`."""
    for resource in request.resource_spans:
        about = _tags(resource.resource.attributes)
        service = about.get("service.name", "unknown")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _zipkin_span(span, service)


def _zipkin_span(span: Span, service: str) -> dict[str, Any]:
    tags = _tags(span.attributes)
    for number, link in enumerate(span.links):
        tags[f"link.{number}"] = f"{link.trace_id.hex()}/{link.span_id.hex()}"
    if span.status.code == Status.STATUS_CODE_ERROR:
        tags["error"] = span.status.message or "true"
    document: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": span.start_time_unix_nano // 1000,
        "duration": max(1, (span.end_time_unix_nano - span.start_time_unix_nano) // 1000),
        "localEndpoint": {"serviceName": service},
        "tags": tags,
        "annotations": [
            {"timestamp": event.time_unix_nano // 1000, "value": event.name}
            for event in span.events
        ],
    }
    if span.parent_span_id:
        document["parentId"] = span.parent_span_id.hex()
    if span.kind in _KINDS:
        document["kind"] = _KINDS[span.kind]
    return document


def _tags(attributes: Any) -> dict[str, str]:
    pairs: Iterator[KeyValue] = iter(attributes)
    return {pair.key: _text(pair.value) for pair in pairs}


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "array_value":
            return ",".join(_text(item) for item in value.array_value.values)
        case "bool_value":
            return str(value.bool_value).lower()
        case None:
            return ""
        case kind:
            return str(getattr(value, kind))


class Bridge(BaseHTTPRequestHandler):
    """`POST /v1/traces`, and `GET /livez`."""

    zipkin: httpx.Client

    def do_GET(self) -> None:
        """Say that the process is alive."""
        self._answer(HTTPStatus.OK if self.path == "/livez" else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Translate one export and hand it on before it is acknowledged."""
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/traces" or not 0 < size <= _MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        body = self.rfile.read(size)
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            spans = list(zipkin_spans(ExportTraceServiceRequest.FromString(body)))
        except (DecodeError, OSError, EOFError, zlib.error):
            self._answer(HTTPStatus.BAD_REQUEST)
            return
        try:
            taken = self.zipkin.post("/api/v2/spans", json=spans).is_success
        except httpx.TransportError:
            taken = False
        self._answer(HTTPStatus.OK if taken else HTTPStatus.SERVICE_UNAVAILABLE)

    def _answer(self, status: HTTPStatus) -> None:
        body = ExportTraceServiceResponse().SerializeToString()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: exports come every few seconds."""


def serve(port: int, zipkin_url: str) -> ThreadingHTTPServer:
    """The bridge, listening on loopback; the caller runs it."""
    handler = type("BoundBridge", (Bridge,), {"zipkin": httpx.Client(base_url=zipkin_url)})
    return ThreadingHTTPServer((HOST, port), handler)


def main() -> None:
    """Run until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--zipkin-port", type=int, required=True)
    arguments = parser.parse_args()
    serve(arguments.port, f"http://{HOST}:{arguments.zipkin_port}").serve_forever()


if __name__ == "__main__":
    main()

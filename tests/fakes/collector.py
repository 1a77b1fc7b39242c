"""A collector of traces for tests: takes what processes export over OTLP/HTTP, and keeps it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from civicbus_deploy.embedded.otlp_bridge import zipkin_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """One span as Zipkin would show it."""

    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["name"])

    @property
    def service(self) -> str:
        """The process that made it."""
        return str(self.document["localEndpoint"]["serviceName"])

    @property
    def trace(self) -> str:
        """The id of its trace."""
        return str(self.document["traceId"])

    @property
    def id(self) -> str:
        """Its own id."""
        return str(self.document["id"])

    @property
    def parent(self) -> str | None:
        """The id of its parent."""
        found: str | None = self.document.get("parentId")
        return found

    @property
    def tags(self) -> dict[str, str]:
        """Its attributes."""
        return dict(self.document["tags"])

    @property
    def links(self) -> list[str]:
        """The ids of spans of other traces that it names."""
        links = (value for name, value in self.tags.items() if name.startswith("link."))
        return [value.partition("/")[2] for value in links]


class Collector:
    """What was exported so far."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Span]:
        """Every span."""
        return [Span(document) for request in self.requests for document in zipkin_spans(request)]

    @property
    def texts(self) -> Iterator[bytes]:
        """All that was said, in whatever field: the bytes of the exports."""
        return (request.SerializeToString() for request in self.requests)


@contextmanager
def collecting(port: int) -> Iterator[Collector]:
    """Collect on 127.0.0.1:`port` while the body runs."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

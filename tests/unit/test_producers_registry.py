"""What the registry's reader makes of answers: only the registry's own words are final."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from civicbus_producers.registry import NotRegistered, Registry
from civicbus_schemas.errors import BusError, Stopped, Unavailable


@contextmanager
def answering(status: int, body: bytes) -> Iterator[Registry]:
    """A reader whose registry's address gives this answer to every question."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Registry(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b'{"error_code": 40403, "message": "Schema 7 not found"}', NotRegistered),
        (404, b'{"error_code": 40401, "message": "Subject not found"}', NotRegistered),
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}', Unavailable),
        (404, b"<html>not found</html>", Unavailable),
        (404, b'{"detail": "Not Found"}', Unavailable),
        (404, b"", Unavailable),
        (200, b'{"status": "starting"}', Unavailable),
        (200, b"", Unavailable),
        (200, b"null", Unavailable),
        (200, b"[]", Unavailable),
        (200, b"<html>welcome</html>", Unavailable),
        (200, b'{"schema": "\\"string\\""}', NotRegistered),
        (401, b"", Stopped),
        (429, b"", Unavailable),
    ],
)
def test_answer_is_final_only_when_the_registry_itself_says_no(
    status: int, body: bytes, expected: type[BusError]
) -> None:
    with answering(status, body) as registry, pytest.raises(BusError) as raised:
        registry.get_document(7)
    assert type(raised.value) is expected

"""`/livez`, `/readyz` and `/metrics` of a process, on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from civicbus_schemas.errors import Unavailable
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_END_S = 0.1  # for so long a process that ends may wait for its probes


class Health:
    """What a process says of itself. Alive while its loop beats; ready when it said so lately."""

    def __init__(self, *, silence_s: float = 60.0) -> None:
        self._silence_s = silence_s
        self._beat = time.monotonic()
        self._reason: str | None = "starting"
        self._beside: list[Health] = []

    def beside(self) -> Health:
        """What another loop of this process says; the process is no better than its worst loop."""
        other = Health(silence_s=self._silence_s)
        self._beside.append(other)
        return other

    def beat(self) -> None:
        """The loop has gone round once more."""
        self._beat = time.monotonic()

    def ready(self) -> None:
        """The process does its work."""
        self._reason = None

    def unready(self, reason: str) -> None:
        """The process cannot do its work; the reason is for operators and names no person."""
        self._reason = reason

    @property
    def alive(self) -> bool:
        """Whether every loop has gone round lately."""
        lately = time.monotonic() - self._beat < self._silence_s
        return lately and all(other.alive for other in self._beside)

    @property
    def trouble(self) -> str | None:
        """Why the process is not ready; whoever is silent is not, whatever he said last."""
        reasons = (self._reason, *(other.trouble for other in self._beside))
        found = next((reason for reason in reasons if reason is not None), None)
        return found or (None if self.alive else "silent")

    def answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for a path."""
        match path:
            case "/livez":
                status = HTTPStatus.OK if self.alive else HTTPStatus.SERVICE_UNAVAILABLE
                return status, "text/plain", b"alive\n" if self.alive else b"silent\n"
            case "/readyz":
                trouble = self.trouble
                status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
                return status, "text/plain", f"{trouble or 'ready'}\n".encode()
            case "/metrics":
                return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()
            case _:
                return HTTPStatus.NOT_FOUND, "text/plain", b"unknown path\n"


@contextmanager
def serving_health(port: int) -> Iterator[Health]:
    """What this process says of itself, told on 127.0.0.1:`port` while the body runs.

    Raises `Unavailable` while another process holds the port, as a paused predecessor does.
    """
    health = Health()
    server = _serve(health, port)
    try:
        yield health
    finally:
        server.shutdown()
        server.server_close()


def _serve(health: Health, port: int) -> ThreadingHTTPServer:

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = health.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: probes come every second."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise Unavailable(
            f"the health port {port} cannot be used",
            got=error.strerror,
            next_step="end the process that holds it; it may be a predecessor",
        ) from None
    serve = threading.Thread(
        target=server.serve_forever, args=(_END_S,), name="health", daemon=True
    )
    serve.start()
    return server

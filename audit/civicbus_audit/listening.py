"""An HTTP server on the standard library: one thread a connection, bounded in number."""

from __future__ import annotations

import sys
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Lock
from traceback import extract_tb
from typing import Any

CONNECTIONS = 64
_TURNING_AWAY_S = 10.0
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedServer(ThreadingHTTPServer):
    """Turns away whoever comes while all slots are taken; counts the answers by their status."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._slots = BoundedSemaphore(CONNECTIONS)
        self._counting, self._counted = Lock(), Counter[int]()
        super().__init__(address, handler)

    def count(self, status: int) -> None:
        """Counts an answer."""
        with self._counting:
            self._counted[status] += 1

    def metrics(self, name: str) -> str:
        """The counted answers under this name, as Prometheus reads them."""
        with self._counting:
            counted = sorted(self._counted.items())
        lines = [f"# TYPE {name} counter", *(f'{name}{{status="{s}"}} {n}' for s, n in counted)]
        return "\n".join(lines) + "\n"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives the connection a thread while there are slots."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        self.count(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            request.settimeout(_TURNING_AWAY_S)
            request.sendall(_BUSY)
        except OSError:
            pass  # who is turned away may be gone
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection, and frees its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Tells an operator of a fault of ours, by kind and place; a broken connection is none."""
        kind, error, trace = sys.exc_info()
        if kind is None or isinstance(error, OSError):
            return
        self.count(HTTPStatus.INTERNAL_SERVER_ERROR)
        place = extract_tb(trace)[-1]
        sys.stderr.write(f"{kind.__name__} in {Path(place.filename).name}:{place.lineno}\n")

"""An HTTP server on the standard library: one thread a connection, bounded in number and time.

A socket's own time limit is for each read, which whoever sends a byte now and then never reaches.
So a request has a time limit as a whole, and a kept connection ends with an answer.
"""

from __future__ import annotations

import io
import socket
import sys
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock
from typing import Any, ClassVar

from civicbus_audit.defects import kind_and_place

CONNECTIONS = 64
LIFE_S = 300.0
_TURNING_AWAY_S = 10.0
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Timely(io.RawIOBase):
    """What a socket receives until `deadline` (monotonic seconds); raises `TimeoutError` then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._sending_s = connection, connection.gettimeout()
        self.deadline = 0.0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._sending_s)


class BoundedHandler(BaseHTTPRequestHandler):
    """One connection: `timeout` seconds to wait for a request and read it, as many to take the
    answer, and no further request once it has lived for `life_s`.
    """

    timeout: ClassVar[float] = 10.0
    life_s = LIFE_S

    def setup(self) -> None:
        """Reads by the deadline."""
        super().setup()
        self._ends = time.monotonic() + self.life_s
        self._timely = Timely(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._timely)

    def handle_one_request(self) -> None:
        """Sets the deadline of a request."""
        self._timely.deadline = time.monotonic() + self.timeout
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Lets this request be the last one if the connection is too old."""
        understood = super().parse_request()
        if time.monotonic() >= self._ends:
            self.close_connection = True
        return understood


class BoundedServer(ThreadingHTTPServer):
    """Turns away whoever comes while all slots are taken; counts the answers by their status."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BoundedHandler]) -> None:
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
        error = sys.exception()
        if error is None or isinstance(error, OSError):
            return
        self.count(HTTPStatus.INTERNAL_SERVER_ERROR)
        sys.stderr.write(f"{kind_and_place(error)}\n")

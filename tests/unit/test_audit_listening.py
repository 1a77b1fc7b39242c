"""A connection has an end, also when its other side sends a byte now and then."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread

import pytest
from civicbus_audit.listening import BoundedHandler, BoundedServer


class Handler(BoundedHandler):
    """Answers with the body that it was sent."""

    protocol_version = "HTTP/1.1"
    timeout = 0.5

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Aged(Handler):
    """Is too old from the start."""

    timeout, life_s = 20.0, 0.0


class Patient(Handler):
    """Waits long."""

    timeout = 20.0


@contextmanager
def connected(handler: type[BoundedHandler]) -> Iterator[socket.socket]:
    with BoundedServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with socket.create_connection(server.server_address[:2], timeout=20) as connection:  # type: ignore[arg-type]
                yield connection
        finally:
            server.shutdown()
            thread.join()


def drip(connection: socket.socket, *, drops: int) -> bool:
    """Sends a byte each 50 ms; whether the other side ended it before all drops had fallen."""
    connection.settimeout(0.05)
    for _ in range(drops):
        try:
            connection.sendall(b"x")
            return connection.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "


@pytest.mark.parametrize("begun", [b"", REQUEST, REQUEST + b"999\r\n\r\n"], ids=len)
def test_a_connection_ends_when_its_request_comes_drop_by_drop(begun: bytes) -> None:
    with connected(Handler) as connection:
        connection.sendall(begun)
        assert drip(connection, drops=200)


def test_a_kept_connection_ends_with_an_answer_when_it_is_too_old() -> None:
    with connected(Aged) as connection:
        connection.sendall((REQUEST + b"2\r\n\r\nok") * 2)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 200") == 1


def test_a_kept_connection_answers_on_when_it_is_young() -> None:
    with connected(Patient) as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(REQUEST + b"2\r\n\r\nok")
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while answers.readline() != b"\r\n":
                pass
            assert answers.read(2) == b"ok"

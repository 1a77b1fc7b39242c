"""A witness over HTTP, on the standard library alone: C2SP tlog-witness, and health.

POST /add-checkpoint · GET /<SHA-256 of the origin>/checkpoint · /livez · /readyz · /metrics
"""

from __future__ import annotations

import logging
import socket
from http import HTTPStatus

from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, EvidenceBroken

from civicbus_audit.listening import BoundedHandler, BoundedServer
from civicbus_audit.witness.request import MAX_REQUEST_BYTES
from civicbus_audit.witness.rules import Refusal, Status
from civicbus_audit.witness.witness import Witness

log = logging.getLogger("civicbus.witness")

IDLE_S = 30.0  # of a kept connection, until the next request has come whole
_TEXT = "text/plain; charset=utf-8"
_SIZE = "text/x.tlog.size"


class WitnessServer(BoundedServer):
    """Serves one witness."""

    def __init__(self, witness: Witness, *, host: str, port: int) -> None:
        self.witness = witness
        super().__init__((host, port), _Handler)


class _Handler(BoundedHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server: WitnessServer

    def setup(self) -> None:
        """An answer of two packets would wait for the other side's acknowledgement."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_POST(self) -> None:  # noqa: N802
        """Handle add-checkpoint."""
        if self.path != "/add-checkpoint":
            self._answer(HTTPStatus.NOT_FOUND, "no such call\n")
            return
        body = self._body()
        if body is None:
            return
        try:
            answer = self.server.witness.add_checkpoint(body)
        except EvidenceBroken as error:  # a mirror found other leaves than the checkpoint says
            log.error("not cosigned: %s", error)
            self._answer(Status.INCONSISTENT, f"{error}\n")
        except BusError as error:
            log.error("no answer: %s", error)
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
        else:
            self._tell(answer)

    def do_GET(self) -> None:  # noqa: N802
        """Health, or what is held of a log."""
        try:
            status, text = self._look()
        except BusError as error:
            log.error("no answer: %s", error)
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, f"{type(error).__name__}\n"
        self._answer(status, text)

    def _look(self) -> tuple[HTTPStatus, str]:
        witness = self.server.witness
        match self.path.strip("/").split("/"):
            case ["livez"]:
                return HTTPStatus.OK, "ok\n"
            case ["readyz"]:
                witness.check()
                return HTTPStatus.OK, "ok\n"
            case ["metrics"]:
                return HTTPStatus.OK, self._metrics()
            case [origin_hash, "checkpoint"]:
                note = witness.find_checkpoint(origin_hash)
                if note is None:
                    return HTTPStatus.NOT_FOUND, "nothing was cosigned of such a log\n"
                return HTTPStatus.OK, note.decode()
            case _:
                return HTTPStatus.NOT_FOUND, "no such page\n"

    def version_string(self) -> str:
        """Say nothing about the machine."""
        return "civicbus-witness"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are counted; refusals are logged where they are decided."""

    def _body(self) -> bytes | None:
        """The request's body, or None when it was refused."""
        length = self.headers.get("Content-Length", "")
        last, self.close_connection = self.close_connection, True  # unless it was read whole
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._answer(HTTPStatus.LENGTH_REQUIRED, "the length must be given\n")
            return None
        if len(length) > 9 or int(length) > MAX_REQUEST_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too long\n")
            return None
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            return None
        self.close_connection = last
        return body

    def _tell(self, answer: str | Refusal) -> None:
        match answer:
            case str():
                self._answer(HTTPStatus.OK, answer)
            case Refusal(status=Status.STALE, size=size):
                self._answer(Status.STALE, f"{size}\n", content_type=_SIZE)
            case Refusal(status=status, why=why):
                log.warning("not cosigned: %s %s", int(status), why)
                self._answer(status, f"{why}\n")

    def _answer(self, status: int, text: str, *, content_type: str = _TEXT) -> None:
        body = text.encode()
        self.server.count(int(status))
        self.send_response(int(status))
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _metrics(self) -> str:
        witness = self.server.witness
        held = {origin: witness.store.held(origin).size for origin in witness.logs}
        sizes = (
            f'{telemetry.WITNESS_HELD_SIZE}{{origin="{origin}"}} {size}\n'
            for origin, size in held.items()
        )
        return self.server.metrics(telemetry.WITNESS_ANSWERS_TOTAL) + "".join(sizes)

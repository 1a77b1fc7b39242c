"""The HTTP server of proofs: one thread a connection, bounded in number, time and size.

It listens on loopback for a proxy that brings TLS. It logs no request, since ids of records and
numbers of leaves stand in their targets.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from typing import Any

from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, EvidenceBroken, InvalidBytes, Refused

from civicbus_audit.listening import BoundedHandler, BoundedServer
from civicbus_audit.serving.answers import Answer, Answering
from civicbus_audit.serving.questions import Code, Problem, parse_target

_PATIENCE_S = 10.0
_MIN_TOKEN = 32


def read_token(file: Path) -> str:
    """The token of a file that nobody but its owner may read; raises `Refused`."""
    try:
        mode, token = file.stat().st_mode, file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read", got=type(error).__name__) from None
    if mode & 0o077:
        raise Refused(f"others may read {file}", got=f"mode {mode & 0o777:o}", expected="mode 600")
    if len(token) < _MIN_TOKEN or not token.isprintable() or " " in token:
        raise Refused(f"{file} holds no token", expected=f"at least {_MIN_TOKEN} characters")
    return token


class ProofServer(BoundedServer):
    """Serves one ledger; without a token, leaves are served to nobody."""

    def __init__(self, address: tuple[str, int], answering: Answering, token: str | None) -> None:
        self.answering, self._token = answering, token
        super().__init__(address, _Handler)

    def trusts(self, headers: list[str]) -> bool:
        """Whether these `Authorization` headers are the token, compared in constant time."""
        if self._token is None or len(headers) != 1:
            return False
        given, wanted = headers[0].encode("utf-8", "replace"), f"Bearer {self._token}".encode()
        return compare_digest(sha256(given).digest(), sha256(wanted).digest())


class _Handler(BoundedHandler):
    """One connection."""

    server: ProofServer
    protocol_version = "HTTP/1.1"
    server_version = "civicbus-audit"
    sys_version = ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:  # noqa: N802
        """Answers; `do_HEAD` without the body."""
        if self._has_body():
            self.close_connection = True
        if not self._tell_of_itself():
            self._answer()

    do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> None:
        trusted = self.server.trusts(self.headers.get_all("Authorization", []))
        try:
            answer = self.server.answering.answer(parse_target(self.path), trusted=trusted)
        except Problem as problem:
            self._refuse(problem)
        except (EvidenceBroken, InvalidBytes) as error:
            self._refuse(Problem(Code.LEDGER_BROKEN, error.what))
        except (BusError, OSError):
            self._refuse(Problem(Code.LEDGER_UNAVAILABLE, "the ledger's files cannot be read"))
        else:
            self._send(HTTPStatus.OK, answer)

    def _tell_of_itself(self) -> bool:
        """Answers `/livez`, `/readyz` and `/metrics`, which monitors ask."""
        match self.path:
            case "/livez":
                self._send_text(HTTPStatus.OK, "ok\n")
            case "/readyz":
                try:
                    self.server.answering.check()
                except (BusError, OSError) as error:
                    self._send_text(HTTPStatus.SERVICE_UNAVAILABLE, f"{type(error).__name__}\n")
                else:
                    self._send_text(HTTPStatus.OK, "ok\n")
            case "/metrics":
                self._send_text(HTTPStatus.OK, self.server.metrics(telemetry.PROOF_ANSWERS_TOTAL))
            case _:
                return False
        return True

    def _has_body(self) -> bool:
        return "Content-Length" in self.headers or "Transfer-Encoding" in self.headers

    def _refuse(self, problem: Problem) -> None:
        headers = {
            Code.TOKEN_REQUIRED: {"WWW-Authenticate": "Bearer"},
            Code.BUSY: {"Retry-After": "1"},
            Code.WRONG_METHOD: {"Allow": "GET, HEAD"},
        }.get(problem.code, {})
        answer = Answer(
            body=json.dumps(problem.document, default=str).encode() + b"\n",
            media_type="application/problem+json",
            caching="no-store",
            headers=headers,
        )
        self._send(problem.status, answer)

    def _send_text(self, status: HTTPStatus, text: str) -> None:
        plain = "text/plain; charset=utf-8"
        self._send(status, Answer(body=text.encode(), media_type=plain, caching="no-store"))

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.server.count(status)
        headers: Mapping[str, str] = {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": answer.caching,
            "X-Content-Type-Options": "nosniff",
            **answer.headers,
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What is not even HTTP, or another method, is a problem document too."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._refuse(Problem(Code.WRONG_METHOD, "only GET and HEAD", expected="GET"))
        else:
            self._refuse(Problem(Code.MALFORMED, message or "not a request"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing: see the module."""


def listen(host: str, port: int, answering: Answering, *, token: str | None) -> ProofServer:
    """A server that listens; raises `Refused` where it cannot."""
    try:
        return ProofServer((host, port), answering, token)
    except (OSError, OverflowError, socket.gaierror) as error:
        raise Refused(f"{host}:{port} cannot be listened on", got=type(error).__name__) from None

"""`POST /v1/unread`, for the one process that holds the token: since when which deliveries lie."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

import structlog
from civicbus_schemas.errors import InvalidBytes, Overdue, Retryable
from civicbus_schemas.ids import RecordId
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.door import JSON, NO_STORE, read_body
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.unread.rules import Asked, answer_document, parse_asked

PATH = "/v1/unread"
MAX_BODY_BYTES = 128 * 1024
MAX_WAITING = 8

log = structlog.get_logger("civicbus.unread")


class FindsUnread(Protocol):
    """The part of `reading.Deliveries` that is needed."""

    def unread(self, asked: Sequence[Asked]) -> dict[RecordId, datetime]:
        """Since when which of these lie unread; raises `Retryable` or `Overdue`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadService:
    """The endpoint. One question is read at a time, and few may wait."""

    deliveries: FindsUnread
    token: str = field(repr=False)
    body_timeout_s: float
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _room: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MAX_WAITING)
    )

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route(PATH, self.ask, methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """Which of the deliveries lie unread; raises `Problem`."""
        self._admit(request.headers.getlist("authorization"))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        try:
            asked = parse_asked(json_object(body))
        except InvalidBytes as error:
            rule = str(error.expected)
            raise Problem(Code.MALFORMED_REQUEST, member="deliveries", rule=rule) from None
        if not self._room.acquire(blocking=False):
            raise Problem(Code.BUSY)
        try:
            found = await asyncio.to_thread(self._read, asked)
        finally:
            self._room.release()
        answer = json.dumps(answer_document(found), separators=(",", ":")).encode()
        return Response(answer, 200, NO_STORE, JSON)

    def _admit(self, values: Sequence[str]) -> None:
        if not values:
            raise Problem(Code.TOKEN_MISSING)
        given, wanted = "\n".join(values).encode(), f"Bearer {self.token}".encode()
        if not compare_digest(sha256(given).digest(), sha256(wanted).digest()):
            raise Problem(Code.TOKEN_FORGED)

    def _read(self, asked: Sequence[Asked]) -> dict[RecordId, datetime]:
        try:
            with self._reading:
                return self.deliveries.unread(asked)
        except (Overdue, Retryable) as error:
            log.warning("not told", error=type(error).__name__)
            raise Problem(Code.CANNOT_DECIDE) from error

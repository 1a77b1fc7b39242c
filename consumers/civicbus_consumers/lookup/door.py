"""The agencies' door: token, size and form of every request, and problem documents.

Each room of the agencies' web process brings its routes and admits through this door; the wiring
(`app`) composes them. What the door logs names types of errors, never a person.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import MEDIA_TYPE, Problem, document, preferred_language
from civicbus_consumers.lookup.request import MAX_BODY_BYTES
from civicbus_consumers.lookup.token import Keyring, Token, UsedTokens
from civicbus_consumers.recording.naming import NameAllowance

log = structlog.get_logger("civicbus.door")

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
REQUEST_ID = "X-Request-ID"

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Who may come in, and how large and how slow a request may be."""

    keyring: Keyring
    used: UsedTokens
    body_timeout_s: float
    names: NameAllowance = field(default_factory=NameAllowance)

    def admit(self, request: Request) -> Token:
        """The token: whose it is, and that it is used for the first time; raises `Problem`."""
        values = request.headers.getlist("authorization")
        if len(values) > 1:
            raise Problem(Code.TOKEN_MALFORMED)
        now = time.time()
        token = self.keyring.verify(values[0] if values else None, now=now)
        self.used.take(token, now=now)
        if not self.names.permits(token.agency):
            raise Problem(Code.TOO_MANY_NAMES)
        return token

    async def body(self, request: Request, *, limit_bytes: int = MAX_BODY_BYTES) -> bytes:
        """The request's JSON, unread; raises `Problem` when it is none, too large or too slow."""
        return await read_body(request, limit_bytes=limit_bytes, timeout_s=self.body_timeout_s)


async def read_body(
    request: Request, *, limit_bytes: int, timeout_s: float, media_type: str = JSON
) -> bytes:
    """The bytes of a request of this type; raises `Problem`."""
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != media_type:
        raise Problem(Code.WRONG_MEDIA_TYPE)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit_bytes:
                    raise Problem(Code.TOO_LARGE, limit_bytes=limit_bytes)
    except TimeoutError:
        raise Problem(Code.TOO_SLOW) from None
    return bytes(body)


def compose(*routes: BaseRoute) -> ASGIApp:
    """The agencies' web application: the rooms' routes, and problem documents for all else."""
    rooms = Starlette(
        routes=routes,
        exception_handlers={
            Problem: _problem,
            HTTPException: _http_problem,
            ClientDisconnect: _nobody_there,
            Exception: _unexpected,
        },
    )
    return _telling_request_ids(rooms)


def _telling_request_ids(rooms: ASGIApp) -> ASGIApp:
    """Send a request's id back with every answer, errors too, as AuthZEN asks over HTTP."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        id_ = Headers(scope=scope).get(REQUEST_ID, "") if scope["type"] == "http" else ""

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = id_
            await send(message)

        await rooms(scope, receive, send_with_id if _REQUEST_ID.fullmatch(id_) else send)

    return app


def problem_response(problem: Problem, request: Request) -> Response:
    """The problem document in the language that the caller prefers."""
    language = preferred_language(request.headers.get("accept-language", ""))
    status = problem.texts[0]
    headers = {"Content-Language": language, "Vary": "Accept-Language", **NO_STORE}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "1"
    return Response(document(problem, language), status, headers, MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return problem_response(error, request)
    return await _unexpected(request, error)


async def _http_problem(request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == 405
    response = problem_response(
        Problem(Code.WRONG_METHOD if wrong_method else Code.UNKNOWN_PATH), request
    )
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})  # which methods are allowed
    return response


async def _nobody_there(request: Request, error: Exception) -> Response:
    del request, error
    return Response(status_code=400)  # the caller hung up while it was sending


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected", error=type(error).__name__)
    return problem_response(Problem(Code.CANNOT_DECIDE), request)

"""The web service: `POST /v1/lookups`.

It admits at the door (token, size), waits for the worker, and lets an answer out only while its
lease holds. What it logs, counts and traces names agencies, codes and agreements, never a person.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from civicbus_schemas import telemetry
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanKind,
    set_span_in_context,
)
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from civicbus_consumers.lookup.bench import Lookup
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.door import NO_STORE, Door, problem_response
from civicbus_consumers.lookup.flight import Departure, Flight, Waiting
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.replies import Reply
from civicbus_consumers.lookup.request import parse_request
from civicbus_consumers.lookup.rules import Refusal
from civicbus_consumers.lookup.token import Token
from civicbus_consumers.runtime.tracing import sampled_context, tracer

log = structlog.get_logger("civicbus.lookup")

_lookups = Counter(telemetry.LOOKUPS_TOTAL, "Look-ups by what they came to", ["code"])


class Desk(Protocol):
    """Where look-ups are handed in (`worker.Worker`)."""

    def submit(self, waiting: Waiting) -> None:
        """Queue a look-up; raises `Problem` when too many wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupService:
    """The endpoint and what it stands on."""

    desk: Desk
    door: Door
    answer_timeout_s: float

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [Route("/v1/lookups", self.look_up, methods=["POST"])]

    async def look_up(self, request: Request) -> Response:
        """Answer one look-up."""
        begun = time.monotonic()
        span = _begin_span(request.headers.get("traceparent"))
        agency = None
        try:
            token = self.door.admit(request)  # 1. the token
            agency = token.agency
            span.set_attribute(telemetry.RECIPIENT, agency)
            departure = await self._wait(token, await self.door.body(request), span)
            response: Response = _departing(departure, request, span)
            outcome = str(departure.reply.code or departure.reply.outcome)
        except Problem as problem:
            response, outcome = problem_response(problem, request), str(problem.code)
        finally:
            span.end()
        _lookups.labels(outcome).inc()
        spent_ms = round(1000 * (time.monotonic() - begun), 1)
        log.info("look-up", status=response.status_code, code=outcome, agency=agency, ms=spent_ms)
        return response

    async def _wait(self, token: Token, body: bytes, span: Span) -> Departure:
        """2. The request; then the worker's steps 3 to 7."""
        context = span.get_span_context()
        sampled = context if context.trace_flags.sampled else None
        waiting = Waiting(Lookup(token=token, request=parse_request(body), trace=sampled))
        self.desk.submit(waiting)
        try:
            return await asyncio.wait_for(waiting.future, self.answer_timeout_s)
        except TimeoutError:
            raise Problem(Code.OVERDUE) from None


class LeasedResponse(Response):
    """A response that leaves only while the lease of its flight holds."""

    def __init__(self, departing: Response, *, flight: Flight, instead: Response) -> None:
        self.status_code = departing.status_code
        self._departing, self._flight, self._instead = departing, flight, instead

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the lease, then send; there is no step between."""
        left = False
        try:
            if self._flight.may_leave():
                left = True
                await self._departing(scope, receive, send)
            else:
                await self._instead(scope, receive, send)
        finally:
            self._flight.settle(left=left)


def _departing(departure: Departure, request: Request, span: Span) -> LeasedResponse:
    reply = departure.reply
    _describe(span, reply)
    if reply.result is None:
        response = problem_response(_refusal(reply), request)
    else:
        body = b'{"result":' + reply.result + b',"receipt":' + _json(_receipt(reply)) + b"}"
        response = Response(body, media_type="application/json", headers=NO_STORE)
    instead = problem_response(Problem(Code.NO_LEASE), request)
    return LeasedResponse(response, flight=departure.flight, instead=instead)


def _refusal(reply: Reply) -> Problem:
    members: dict[str, Any] = {}
    if isinstance(reply.verdict, Refusal):
        if reply.verdict.fields:
            members["fields"] = list(reply.verdict.fields)
        if reply.verdict.rule:
            members["rule"] = reply.verdict.rule
    if reply.receipt is not None:
        members["receipt"] = _receipt(reply)
    return Problem(reply.code or Code.CANNOT_DECIDE, **members)


def _receipt(reply: Reply) -> Mapping[str, Any] | None:
    receipt = reply.receipt
    if receipt is None:
        return None
    return {
        "record_id": receipt.record_id,
        "leaf_hash": receipt.leaf_hash,
        "policy_version": receipt.policy,
        "recorded_at": receipt.recorded_at.isoformat(),
        "others": [{"record_id": id_, "leaf_hash": hash_} for id_, hash_ in receipt.others],
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _begin_span(traceparent: str | None) -> Span:
    """A span in the caller's trace where that is sampled, otherwise in one of our own."""
    parent = sampled_context(traceparent)
    context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent))
    return tracer().start_span(telemetry.LOOK_UP, context=context, kind=SpanKind.SERVER)


def _describe(span: Span, reply: Reply) -> None:
    verdict = reply.verdict
    span.set_attribute(telemetry.OUTCOME, reply.outcome.value)
    if isinstance(verdict, Refusal):
        span.set_attribute(telemetry.REASON, verdict.reason.value)
    if verdict.agreement is not None:
        span.set_attribute(telemetry.AGREEMENT, str(verdict.agreement.ref))
        span.set_attribute(telemetry.PURPOSE, verdict.agreement.purpose)

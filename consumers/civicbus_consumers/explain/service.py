"""The web routes: `POST /access/v1/evaluation` and `/access/v1/evaluations` (AuthZEN 1.0).

An agency asks about itself. No person is named, so that nothing is disclosed and nothing recorded;
what is logged names agencies and reasons.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import structlog
from civicbus_schemas.agreement import local_day
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.explain.answers import answer_document, error_document
from civicbus_consumers.explain.request import Batch, parse_batch, parse_question
from civicbus_consumers.explain.rules import Law, Question, compile_law, explain
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.door import NO_STORE, Door
from civicbus_consumers.lookup.problems import Problem

MAX_BODY_BYTES = 64 * 1024

log = structlog.get_logger("civicbus.explain")


@dataclass(slots=True)
class LawBook:
    """The newest policy set, compiled once; `policy` tells which is the newest."""

    policy: Callable[[], PolicySet]
    _law: Law | None = field(default=None, init=False)

    async def current(self) -> Law:
        """The law as of now. Compiling takes a moment and does not hold up other requests."""
        policy = self.policy()
        if self._law is None or self._law.policy.version != policy.version:
            self._law = await asyncio.to_thread(compile_law, policy)
        return self._law


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainService:
    """The two endpoints and what they stand on."""

    door: Door
    book: LawBook

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [
            Route("/access/v1/evaluation", self.evaluate, methods=["POST"]),
            Route("/access/v1/evaluations", self.evaluate_all, methods=["POST"]),
        ]

    async def evaluate(self, request: Request) -> Response:
        """One question, answered; raises `Problem`."""
        agency, body = await self._admit(request)
        question = parse_question(body, today=_today())
        return _json(_answer(question, agency, law=await self.book.current()))

    async def evaluate_all(self, request: Request) -> Response:
        """The questions of a batch, answered in order as far as its semantic goes."""
        agency, body = await self._admit(request)
        batch, law = parse_batch(body), await self.book.current()
        if not batch.items:
            question = batch.question({}, today=_today())
            return _json(_answer(question, agency, law=law))
        return _json({"evaluations": _answers(batch, agency, law=law)})

    async def _admit(self, request: Request) -> tuple[AgencyId, bytes]:
        token = self.door.admit(request)
        return token.agency, await self.door.body(request, limit_bytes=MAX_BODY_BYTES)


def _answers(batch: Batch, agency: AgencyId, *, law: Law) -> list[dict[str, Any]]:
    today, answers = _today(), []
    for item in batch.items:
        try:
            answers.append(_answer(batch.question(item, today=today), agency, law=law))
        except Problem as problem:
            answers.append(error_document(problem))
        if batch.semantic.ends_with(permitted=answers[-1]["decision"]):
            break
    return answers


def _answer(question: Question, agency: AgencyId, *, law: Law) -> dict[str, Any]:
    if question.recipient != agency:
        raise Problem(Code.NOT_YOURSELF)
    explanation = explain(question, law)
    log.info("explained", agency=agency, reason=explanation.verdict.reason)
    return answer_document(explanation, law)


def _json(document: dict[str, Any]) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, media_type="application/json", headers=NO_STORE)


def _today() -> date:
    return local_day(datetime.now(UTC))

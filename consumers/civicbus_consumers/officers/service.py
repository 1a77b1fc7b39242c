"""The JSON API: `POST /v1/audit/queries`, and the proofs of a row and of a whole answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import JSON, NO_STORE, read_body
from civicbus_consumers.officers.answers import answer_document
from civicbus_consumers.officers.counter import PROOF_PATH, Counter
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.request import MAX_BODY_BYTES, parse_asked

PROOF_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryService:
    """The endpoints and what they stand on."""

    counter: Counter
    body_timeout_s: float

    def routes(self) -> list[Route]:
        """What this room answers."""
        return [
            Route("/v1/audit/queries", self.ask, methods=["POST"]),
            Route("/v1/audit/completeness", self.prove_complete, methods=["POST"]),
            Route(PROOF_PATH, self.prove, methods=["GET"]),
        ]

    async def ask(self, request: Request) -> Response:
        """Answer one question, or the next page of one; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        asked = parse_asked(body)
        answer = await self.counter.ask(holder, asked, trace=request.headers.get("traceparent"))
        return json_response(
            answer_document(
                answer,
                proof_of=lambda entry: self.counter.proof_path(holder, entry),
                cursor=self.counter.cursor(holder, asked.question, answer),
                complete=self.counter.complete_ticket(holder, asked.question, answer),
            )
        )

    async def prove_complete(self, request: Request) -> Response:
        """The proof that an answer left nothing out; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        return complete_response(await self.counter.prove_complete(holder, parse_asked(body)))

    async def prove(self, request: Request) -> Response:
        """The `.tlog-proof` of a row; raises `Problem`."""
        holder = self.counter.admit(authorization_of(request))
        record, ticket = request.path_params["id"], request.query_params.get("shown", "")
        return proof_response(record, await self.counter.prove(holder, record, ticket))


def authorization_of(request: Request) -> str | None:
    """The one `Authorization` header; raises `OfficersProblem` where there are several."""
    values = request.headers.getlist("authorization")
    if len(values) > 1:
        raise OfficersProblem(OfficersCode.TOKEN_MALFORMED)
    return values[0] if values else None


def json_response(document: dict[str, Any]) -> Response:
    """An answer that no cache keeps."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, media_type=JSON, headers=NO_STORE)


def complete_response(proof: bytes) -> Response:
    """A proof of completeness as a file."""
    headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="readings.complete"'}
    return Response(proof, media_type=JSON, headers=headers)


def proof_response(record: str, proof: bytes) -> Response:
    """A proof as a file; `record` was checked with its ticket, so it is hex or a number."""
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="{record}.tlog-proof"'}
    return Response(proof, media_type=PROOF_TYPE, headers=headers)

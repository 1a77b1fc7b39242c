"""`POST /v1/audit/saved/{save,list,run,drop}`: `run` is answered as any question is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.lookup.door import read_body
from civicbus_consumers.officers.answers import answer_document
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.request import MAX_BODY_BYTES
from civicbus_consumers.officers.rules import SavedRef
from civicbus_consumers.officers.saved.acts import Act, Saved
from civicbus_consumers.officers.saved.desk import SavedDesk
from civicbus_consumers.officers.saved.request import parse_demand, parse_run
from civicbus_consumers.officers.service import authorization_of, json_response
from civicbus_consumers.officers.token import Pass

PATH = "/v1/audit/saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedService:
    """The endpoints and what they stand on."""

    counter: Counter
    desk: SavedDesk
    body_timeout_s: float

    def routes(self) -> list[Route]:
        """What this room answers."""
        acts = [act for act in Act if act is not Act.RUN]
        return [
            *(Route(f"{PATH}/{act}", self.act, methods=["POST"], name=act) for act in acts),
            Route(f"{PATH}/{Act.RUN}", self.run, methods=["POST"]),
        ]

    async def act(self, request: Request) -> Response:
        """Save, list or drop; raises `Problem`."""
        act = Act(request.url.path.rpartition("/")[2])
        holder, body = await self._read(request)
        demand = parse_demand(act, body)
        done = await self.counter.off_loop(lambda: self.desk.act(holder, demand))
        told: dict[str, Any] = {"receipt": done.receipt.document()}
        if act is Act.LIST:
            told["saved"] = [_saved(one) for one in done.listed]
        elif done.ref is not None:
            told |= _ref(done.ref)
        return json_response(told)

    async def run(self, request: Request) -> Response:
        """Answer the question that a saved query makes now, or its next page; raises `Problem`."""
        holder, body = await self._read(request)
        demand, asked = parse_run(body)
        saved = await self.counter.off_loop(lambda: self.desk.get(holder, demand))
        question = replace(asked.question, find=saved.find, saved=saved.kept.ref)
        asked = replace(asked, question=question)
        answer = await self.counter.ask(holder, asked, trace=request.headers.get("traceparent"))
        told = answer_document(
            answer,
            proof_of=lambda entry: self.counter.proof_path(holder, entry),
            cursor=self.counter.cursor(holder, question, answer),
            complete=None,  # it is about nobody in particular
        )
        return json_response(_ref(saved.kept.ref) | told)

    async def _read(self, request: Request) -> tuple[Pass, bytes]:
        holder = self.counter.admit(authorization_of(request))
        body = await read_body(request, limit_bytes=MAX_BODY_BYTES, timeout_s=self.body_timeout_s)
        return holder, body


def _ref(ref: SavedRef) -> dict[str, Any]:
    return {"saved": ref.id, "version": ref.version}


def _saved(one: Saved) -> dict[str, Any]:
    told = {"title": one.title, "find": one.find.document(), "at": one.kept.at.isoformat()}
    return _ref(one.kept.ref) | told | {"owner": one.kept.owner}

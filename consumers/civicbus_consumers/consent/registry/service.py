"""The web routes of the registry, beside look-ups: `/v1/consents/…`.

    POST request                                       a recipient asks
    POST give refuse renew pause resume withdraw       the citizen's side, for the citizen
    POST list verify receipt                           how consents stand
    GET  data-agreements data-agreements/{id}          what can be consented to, with its revisions

No number stands in a path: a person is named in a body only. What is logged names agencies, acts
and codes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from civicbus_schemas import telemetry
from civicbus_schemas.errors import Overdue, Retryable
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.vocabulary import ConsentAct, Reason
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from civicbus_consumers.consent.fence import Passed
from civicbus_consumers.consent.registry.acts import Held, Refused, Standing
from civicbus_consumers.consent.registry.handler import Asked, Bench, Settled
from civicbus_consumers.consent.registry.receipt import (
    describe,
    describe_place,
    describe_proof,
    describe_revision,
    receipt,
)
from civicbus_consumers.consent.registry.request import (
    parse_consent_of,
    parse_demand,
    parse_question,
    wants_fence,
)
from civicbus_consumers.consent.registry.rows import Place, Proof
from civicbus_consumers.consent.registry.worker import RegistryWorker
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.door import NO_STORE, Door
from civicbus_consumers.lookup.problems import Problem, preferred_language
from civicbus_consumers.lookup.token import Token

FENCE_TIMEOUT_S = 10.0

log = structlog.get_logger("civicbus.consent-registry")

_acts = Counter(
    telemetry.CONSENT_ACTS_TOTAL, "Acts upon consents by what they came to", ["act", "code"]
)


class WaitsForFence(Protocol):
    """The part of `consent.fence.Fence` that is needed; one caller at a time."""

    def wait(self, topic: str, partition: int, offset: int, *, timeout_s: float) -> Passed:
        """How the fence was passed; raises `Overdue`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentService:
    """The endpoints and what they stand on."""

    door: Door
    worker: RegistryWorker
    bench: Bench
    fence: WaitsForFence
    answer_timeout_s: float
    _fencing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        """What this room answers."""
        acts = [
            Route(f"/v1/consents/{act}", self._acting(act), methods=["POST"]) for act in ConsentAct
        ]
        return [
            *acts,
            Route("/v1/consents/list", self.list_all, methods=["POST"]),
            Route("/v1/consents/verify", self.verify, methods=["POST"]),
            Route("/v1/consents/receipt", self.receipt, methods=["POST"]),
            Route("/v1/consents/data-agreements", self.agreements, methods=["GET"]),
            Route("/v1/consents/data-agreements/{id}", self.agreements, methods=["GET"]),
        ]

    def _acting(self, act: ConsentAct) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await self.act(act, request)

        return endpoint

    async def act(self, act: ConsentAct, request: Request) -> Response:
        """Do one act; raises `Problem`. 202 where it is done, but not yet told to the bus."""
        code, agency = "done", None
        try:
            token, body = await self._admit(request)
            agency = token.agency
            demand = parse_demand(act, body, asker=agency, at=datetime.now(UTC))
            waits = act is ConsentAct.WITHDRAW and wants_fence(body)
            settled = await self._settle(Asked(demand=demand, asker=agency, jti=token.jti))
            if isinstance(settled.verdict, Refused):
                raise _problem(settled.verdict, settled.proof, act)
            return await self._answer(demand.id, waits=waits)
        except Problem as problem:
            code = str(problem.code)
            raise
        finally:
            _acts.labels(act.value, code).inc()
            log.info("consent", act=act.value, code=code, agency=agency)

    async def list_all(self, request: Request) -> Response:
        """The consents of a person: all for the citizen's side, a recipient's own for others."""
        token, body = await self._admit(request)
        question = parse_question(body)
        if question.purpose is not None:
            raise Problem(Code.MALFORMED_REQUEST, member="body", rule="no members but pin")
        found = await self._visible(question.pin, token.agency)
        return _json({"consents": [describe(held, at=datetime.now(UTC)) for held in found]})

    async def verify(self, request: Request) -> Response:
        """Whether the asking agency has a consent that covers these fields now; no use is spent."""
        token, body = await self._admit(request)
        question, at = parse_question(body), datetime.now(UTC)
        if question.purpose is None:
            raise Problem(Code.MALFORMED_REQUEST, member="purpose", rule="is needed")
        found = await self._visible(question.pin, token.agency, recipient=token.agency)
        covering = [
            held
            for held in found
            if held.terms.purpose == question.purpose
            and question.fields <= held.terms.fields
            and held.standing_at(at) is Standing.GIVEN
        ]
        consent = str(covering[0]) if covering else None
        return _json({"covered": bool(covering), "consent": consent})

    async def receipt(self, request: Request) -> Response:
        """The receipt of one consent, for the citizen's side and the recipient."""
        token, body = await self._admit(request)
        id_, pin = parse_consent_of(body)
        held = next((h for h in await self._visible(pin, token.agency) if h.id == id_), None)
        if held is None:
            raise Problem(Reason.CONSENT_NOT_FOUND)
        language = preferred_language(request.headers.get("accept-language", ""))
        return _json(await asyncio.to_thread(self._receipt, held, language))

    async def agreements(self, request: Request) -> Response:
        """What can be consented to; of one data agreement all revisions."""
        self.door.admit(request)
        id_ = request.path_params.get("id")
        try:
            _, current = await asyncio.to_thread(self.bench.catalog.current)
            revisions = await asyncio.to_thread(self.bench.store.revisions, id_)
        except Retryable:
            raise Problem(Code.CANNOT_DECIDE) from None
        hashes = {agreement.hash for agreement in current.values()}
        shown = [r for r in revisions if id_ is not None or r.hash in hashes]
        if not shown and id_ is not None:
            raise Problem(Code.UNKNOWN_PATH)
        told = [describe_revision(r) | {"current": r.hash in hashes} for r in shown]
        return _json({"data_agreements": told})

    async def _admit(self, request: Request) -> tuple[Token, bytes]:
        token = self.door.admit(request)
        return token, await self.door.body(request)

    async def _settle(self, asked: Asked) -> Settled:
        done = asyncio.wrap_future(self.worker.submit(asked))
        try:
            settled = await asyncio.wait_for(done, self.answer_timeout_s)
        except TimeoutError:
            raise Problem(Code.OVERDUE) from None
        if not isinstance(settled, Settled):
            raise Problem(Code.CANNOT_DECIDE)
        return settled

    async def _answer(self, id_: str, *, waits: bool) -> Response:
        try:
            held = await asyncio.to_thread(self.bench.store.find, id_)
            done = await asyncio.to_thread(self.bench.store.done, id_)
        except Retryable:
            raise Problem(Code.CANNOT_DECIDE) from None
        if held is None or not done:
            raise Problem(Code.CANNOT_DECIDE)
        last = done[-1]
        told: dict[str, Any] = {
            "consent": describe(held, at=datetime.now(UTC)),
            "event": describe_place(last.place),
            "receipt": describe_proof(last.proof),
        }
        if waits:
            told["fence"] = await self._wait_for_fence(last.place)
        return _json(told, status=202 if last.pending else 200)

    async def _wait_for_fence(self, place: Place | None) -> Mapping[str, Any]:
        """`passed` true: nothing more is released on the consent, by stream or by look-up.

        With partition and position the ledger can later be held against it (`fences`).
        """
        if place is None:
            return {"passed": False}
        async with self._fencing:
            try:
                passed = await asyncio.to_thread(
                    self.fence.wait,
                    place.topic,
                    place.partition,
                    place.offset,
                    timeout_s=FENCE_TIMEOUT_S,
                )
            except (Overdue, Retryable):
                return {"passed": False}
        return {
            "passed": True,
            "partition": passed.partition,
            "position": passed.position,
            "seconds": round(passed.seconds, 3),
        }

    async def _visible(
        self, pin: Pin, asker: AgencyId, *, recipient: AgencyId | None = None
    ) -> list[Held]:
        name = topic_pseudonym(self.bench.topic_key, pin)
        try:
            found = await asyncio.to_thread(self.bench.store.of_subject, name)
        except Retryable:
            raise Problem(Code.CANNOT_DECIDE) from None
        if recipient is None and asker == self.bench.registrar:
            return found
        return [held for held in found if held.terms.recipient == asker]

    def _receipt(self, held: Held, language: str) -> dict[str, Any]:
        policy, _ = self.bench.catalog.current()
        id_ = f"{held.terms.recipient}.{held.terms.purpose}"
        revisions = {r.hash: r for r in self.bench.store.revisions(id_)}
        return receipt(
            held,
            done=self.bench.store.done(held.id),
            revision=revisions.get(held.shown or ""),
            policy=policy,
            registrar=self.bench.registrar,
            language=language,
            at=datetime.now(UTC),
        )


def _problem(refused: Refused, proof: Proof | None, act: ConsentAct) -> Problem:
    """A recipient does not learn whether a number exists, or whose it is."""
    hidden = {Reason.SUBJECT_NOT_FOUND, Reason.SUBJECT_DECEASED}
    is_hidden = act is ConsentAct.REQUEST and refused.reason in hidden
    needed: dict[str, Any] = {}
    if refused.eid_level is not None:
        needed["eid_level"] = refused.eid_level
    if refused.fields:
        needed["fields"] = list(refused.fields)
    told = {"receipt": describe_proof(proof)} if proof else {}
    return Problem(Code.NO_MATCH if is_hidden else refused.reason, **needed, **told)


def _json(document: Mapping[str, Any], *, status: int = 200) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, NO_STORE, "application/json")

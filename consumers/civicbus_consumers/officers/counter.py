"""The counter of this process: who stands there, what is handed over, how it is counted.

JSON, the pages for people and the data tracker's calls all go through it, and through the desk
behind it. What is logged, counted and traced names roles and codes, never a person.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from civicbus_audit.index.searching import Entry
from civicbus_schemas import telemetry
from civicbus_schemas.ids import AgencyId
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, set_span_in_context
from prometheus_client import Counter as Metric

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.officers.desk import Answer, Desk, Slice
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.reading import Extent, Proved
from civicbus_consumers.officers.records import handle_of
from civicbus_consumers.officers.request import Asked, canonical
from civicbus_consumers.officers.rules import Question
from civicbus_consumers.officers.signet import Signet
from civicbus_consumers.officers.token import Issuer, Pass, verify
from civicbus_consumers.runtime.tracing import sampled_context, tracer

MAX_WAITING = 32
PROOF_PATH = "/v1/audit/records/{id}/proof"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")

log = structlog.get_logger("civicbus.officers")

_queries = Metric(
    telemetry.OFFICER_QUERIES_TOTAL, "Questions asked of the ledger", ["role", "code"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """The desk, whose tokens count, and the key of cursors and tickets."""

    desk: Desk
    issuers: Mapping[AgencyId, Issuer]
    signet: Signet
    _room: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MAX_WAITING), init=False, repr=False
    )

    _reading: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def admit(self, authorization: str | None) -> Pass:
        """Who asks; raises `OfficersProblem`."""
        holder = verify(authorization, self.issuers, now=time.time())
        if not self.desk.journal.allowance.permits(holder.asker.agency):
            raise OfficersProblem(Code.TOO_MANY_NAMES)
        return holder

    async def ask(self, holder: Pass, asked: Asked, *, trace: str | None) -> Answer:
        """The next rows of a question, from where its cursor stands; raises `Problem`."""
        before = None
        if asked.cursor is not None:
            before = self.signet.open(asked.cursor, *self._cursor_of(holder, asked.question))
            if before is None:
                raise OfficersProblem(OfficersCode.CURSOR_UNKNOWN)
        return await self.slice(
            holder, asked.question, Slice(limit=asked.limit, before=before), trace=trace
        )

    async def slice(
        self, holder: Pass, question: Question, wanted: Slice, *, trace: str | None
    ) -> Answer:
        """A slice of the answer to a question; raises `Problem`."""
        role, begun, code = holder.asker.role, time.monotonic(), "answered"
        span = _begin_span(trace)
        span.set_attribute(telemetry.ROLE, role)
        span.set_attribute(telemetry.PURPOSE, question.purpose)
        try:
            return await self.off_loop(lambda: self.desk.ask(holder, question, wanted))
        except Problem as problem:
            code = problem.code.value
            span.set_attribute(telemetry.REASON, code)
            raise
        finally:
            span.end()
            _queries.labels(role, code).inc()
            spent_ms = round(1000 * (time.monotonic() - begun), 1)
            log.info("question", role=role, agency=holder.asker.agency, code=code, ms=spent_ms)

    async def prove(self, holder: Pass, record: str, ticket: str) -> bytes:
        """The proof of a row that this asker was shown; raises `OfficersProblem`."""
        index = self._shown(holder, record, ticket)
        return await self.off_loop(lambda: self.desk.prove(index))

    async def check(self, holder: Pass, record: str, ticket: str) -> Proved:
        """The same proof, verified here; raises `OfficersProblem`."""
        index = self._shown(holder, record, ticket)
        return await self.off_loop(lambda: self.desk.check(index))

    async def extent(self) -> Extent:
        """Up to where an answer would look now; raises `OfficersProblem`."""
        return await self.off_loop(self.desk.extent)

    async def begun_at(self) -> datetime | None:
        """When the ledger's first leaf was written; raises `OfficersProblem`."""
        return await self.off_loop(self.desk.begun_at)

    async def prove_complete(self, holder: Pass, asked: Asked) -> bytes:
        """The proof that an answer which this asker was given left nothing out, one at a time.

        `asked` is the question of that answer, with its ticket as cursor: it tells when that was.
        Raises `OfficersProblem`.
        """
        ticket = "" if asked.cursor is None else asked.cursor
        micros = self.signet.open(ticket, *self._complete_of(holder, asked.question))
        if micros is None:
            raise OfficersProblem(OfficersCode.NOT_SHOWN)
        asked_at = _EPOCH + timedelta(microseconds=micros)
        if not self._reading.acquire(blocking=False):
            raise OfficersProblem(Code.BUSY)
        try:
            return await asyncio.to_thread(
                self.desk.prove_complete, holder, asked.question, asked_at=asked_at
            )
        finally:
            self._reading.release()

    def _shown(self, holder: Pass, record: str, ticket: str) -> int:
        index = self.signet.open(ticket, *self._ticket_of(holder, record))
        if index is None:
            raise OfficersProblem(OfficersCode.NOT_SHOWN)
        return index

    def cursor(self, holder: Pass, question: Question, answer: Answer) -> str | None:
        """Where the next slice begins, for this asker and this question; None at the end."""
        if answer.more is None:
            return None
        return self.signet.seal(answer.more, *self._cursor_of(holder, question))

    def complete_ticket(self, holder: Pass, question: Question, answer: Answer) -> str | None:
        """What gets the proof that an answer leaves nothing out; None where there is none."""
        if not answer.provable:
            return None
        micros = (answer.receipt.recorded_at - _EPOCH) // timedelta(microseconds=1)
        return self.signet.seal(micros, *self._complete_of(holder, question))

    def ticket(self, holder: Pass, entry: Entry) -> str:
        """What gets the proof of a row, for this asker."""
        return self.signet.seal(entry.index, *self._ticket_of(holder, name_of(entry)))

    def proof_path(self, holder: Pass, entry: Entry) -> str:
        """Where the proof of a row is."""
        return f"{PROOF_PATH.format(id=name_of(entry))}?shown={self.ticket(holder, entry)}"

    def _complete_of(self, holder: Pass, question: Question) -> tuple[str, ...]:
        return "complete", *self._cursor_of(holder, question)[1:]

    def _cursor_of(self, holder: Pass, question: Question) -> tuple[str, ...]:
        asked = hashlib.sha256(canonical(question)).hexdigest()
        return "cursor", handle_of(holder.asker), asked

    def _ticket_of(self, holder: Pass, record: str) -> tuple[str, ...]:
        return "proof", handle_of(holder.asker), record

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Work at the desk, which waits for broker and database, in a thread; raises `Problem`."""
        if not self._room.acquire(blocking=False):
            raise OfficersProblem(Code.BUSY)
        try:
            return await asyncio.to_thread(work)
        finally:
            self._room.release()


def name_of(entry: Entry) -> str:
    """A record's id; a leaf without one goes by its number."""
    return entry.id or str(entry.index)


def _begin_span(traceparent: str | None) -> Span:
    parent = sampled_context(traceparent)
    context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent))
    return tracer().start_span(telemetry.ASK_LEDGER, context=context, kind=SpanKind.SERVER)

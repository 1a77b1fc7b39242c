"""The desk where questions are put: judged, recorded, and only then answered.

    1. judge   2. record, and wait for the acknowledgement   3. read, and compare with the ledger
    4. the next page may say that this one was released

One question at a time: so the chain of pages says of each what became of it. A process that dies
between 2 and 4 leaves a question in the ledger whose answer nobody is known to have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from civicbus_audit.index.searching import Entry
from civicbus_audit.query import Query
from civicbus_schemas.errors import BusError, EvidenceBroken
from civicbus_schemas.page import Page
from civicbus_schemas.subject import Secrets
from civicbus_schemas.vocabulary import RecordKind

from civicbus_consumers.officers.journal import Journal, Receipt, undone
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.reading import (
    Extent,
    Proved,
    Shelf,
    open_deferred,
    provable_of,
    query_of,
)
from civicbus_consumers.officers.records import (
    record_query,
    secret_of,
    subjects_of,
)
from civicbus_consumers.officers.rules import (
    Denied,
    Find,
    Granted,
    Question,
    Verdict,
    View,
    judge,
)
from civicbus_consumers.officers.token import Pass

OnStep = Callable[[str], None]


def nothing(step: str) -> None:
    """What happens between two steps in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which matches are wanted: before a leaf, or from an offset; and whether to count all."""

    limit: int
    before: int | None = None
    offset: int = 0
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What may be shown. `extent`: up to where was looked at.

    `more`: the leaf before which the next slice begins. `provable`: whether commits can
    prove that it leaves nothing out.
    """

    receipt: Receipt
    find: Find
    extent: Extent
    rows: tuple[Entry, ...]
    hidden: int | None = None
    more: int | None = None
    total: int | None = None
    provable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Answers one question after the other; may be called from several threads."""

    shelf: Shelf
    journal: Journal
    on_step: OnStep = nothing

    def ask(self, holder: Pass, question: Question, wanted: Slice) -> Answer:
        """The answer, which is on record before it is read; raises `OfficersProblem`."""
        with self.journal.held():
            now = datetime.now(UTC)
            verdict = judge(holder.asker, question, now=now)  # 1
            secrets, receipt, page = self._record(holder, question, verdict, at=now)  # 2
            self.on_step("recorded")
            if isinstance(verdict, Denied):
                raise self.journal.refusal(page, verdict.reason, receipt)
            try:
                query = query_of(verdict, holder.asker, secrets=secrets)
                return self.journal.finish(
                    page, lambda: self._read(verdict, query, wanted, receipt=receipt)
                )  # 3, 4
            except BusError as error:
                raise unread(error, receipt) from error

    def prove(self, index: int) -> bytes:
        """The proof of a leaf that was shown; raises `OfficersProblem`."""
        try:
            return self.shelf.prove(index)
        except BusError as error:
            raise unread(error, None) from error

    def prove_complete(self, holder: Pass, question: Question, *, asked_at: datetime) -> bytes:
        """The proof that the answer left nothing out which this question got at that time.

        It reads what the ledger holds by now: so it is on record too, each one, before it is made,
        and its period ends where the answer's did. Raises `OfficersProblem`.
        """
        verdict = judge(holder.asker, question, now=asked_at)
        granted, query, receipt = self.note(holder, question, verdict)
        if (asked := provable_of(granted, query)) is None:
            raise OfficersProblem(OfficersCode.NOT_SHOWN)
        try:
            return self.shelf.prove_complete(asked)
        except BusError as error:
            raise unread(error, receipt) from error

    def note(
        self, holder: Pass, question: Question, verdict: Verdict, *, kind: RecordKind | None = None
    ) -> tuple[Granted, Query, Receipt]:
        """What was granted and what it asks for, once it is on record; raises `OfficersProblem`.

        For work that reads the whole ledger: others need not wait meanwhile, so what may have been
        read counts as read.
        """
        with self.journal.held():
            now = datetime.now(UTC)
            secrets, receipt, page = self._record(holder, question, verdict, at=now, kind=kind)
            self.journal.release(page)
        self.on_step("recorded")
        if isinstance(verdict, Denied):
            raise OfficersProblem(verdict.reason, receipt=receipt.document())
        return verdict, query_of(verdict, holder.asker, secrets=secrets), receipt

    def check(self, index: int) -> Proved:
        """The proof of a leaf that was shown, verified; raises `OfficersProblem`."""
        try:
            return self.shelf.check(index)
        except BusError as error:
            raise unread(error, None) from error

    def extent(self) -> Extent:
        """Up to where an answer would look now; raises `OfficersProblem`."""
        try:
            return self.shelf.extent()
        except BusError as error:
            raise unread(error, None) from error

    def begun_at(self) -> datetime | None:
        """When the ledger's first leaf was written; raises `OfficersProblem`."""
        try:
            return self.shelf.begun_at()
        except BusError as error:
            raise unread(error, None) from error

    def _record(
        self,
        holder: Pass,
        question: Question,
        verdict: Verdict,
        *,
        at: datetime,
        kind: RecordKind | None = None,
    ) -> tuple[Secrets, Receipt, Page]:
        """The question, durable, and what it names somebody by; raises `OfficersProblem`."""
        secrets = self.journal.names(set(subjects_of(holder.asker, question)), asker=holder.asker)
        receipt, page = self.journal.write(
            lambda stamp: record_query(
                holder, question, verdict, secrets=secrets, stamp=stamp, kind=kind
            ),
            secret=secret_of(holder.asker, question),
            secrets=secrets,
            at=at,
        )
        return secrets, receipt, page

    def _read(self, granted: Granted, query: Query, wanted: Slice, *, receipt: Receipt) -> Answer:
        extent, hidden = self.shelf.extent(), None
        if granted.view is View.OWN_DATA:
            leaves, hidden = open_deferred(query, self.shelf)
            query = replace(query, only_deferred=leaves)
        total = self.shelf.count(query) if wanted.counted else None
        query = replace(query, before=wanted.before, offset=wanted.offset, limit=wanted.limit)
        rows = tuple(self.shelf.find(query))
        return Answer(
            receipt=receipt,
            find=granted.find,
            extent=extent,
            rows=rows,
            hidden=hidden,
            more=rows[-1].index if len(rows) == wanted.limit else None,
            total=total,
            provable=provable_of(granted, query) is not None,
        )


def unread(error: BusError, receipt: Receipt | None) -> OfficersProblem:
    """Why a question that was recorded is not answered."""
    broken = isinstance(error, EvidenceBroken)
    code = OfficersCode.EVIDENCE_BROKEN if broken else OfficersCode.INDEX_UNAVAILABLE
    return undone(code, error, receipt)

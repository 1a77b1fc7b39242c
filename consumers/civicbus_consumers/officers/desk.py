"""The desk where questions are put: judged, recorded, and only then answered.

    1. judge   2. record, and wait for the acknowledgement   3. read, and compare with the ledger
    4. the next page may say that this one was released

One question at a time: so the chain of pages says of each what became of it. A process that dies
between 2 and 4 leaves a question in the ledger whose answer nobody is known to have seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from civicbus_audit.index.searching import Entry
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.query import Query
from civicbus_audit.vault.port import Vault
from civicbus_schemas.errors import BusError, EvidenceBroken
from civicbus_schemas.ids import RecordId
from civicbus_schemas.page import Page, PageRef
from civicbus_schemas.record import Record
from civicbus_schemas.subject import Secret, Secrets, Subject
from civicbus_schemas.vocabulary import RecordKind

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.reading import Proved, Shelf, open_deferred, provable_of, query_of
from civicbus_consumers.officers.records import (
    record_query,
    secret_of,
    subjects_of,
)
from civicbus_consumers.officers.rules import (
    Asker,
    Denied,
    Find,
    Granted,
    Question,
    Verdict,
    View,
    judge,
)
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.seal import sealed_under
from civicbus_consumers.recording.wiring import BeginRecorder

QUIET_S = 1.0

T = TypeVar("T")

log = structlog.get_logger("civicbus.officers")

OnStep = Callable[[str], None]


def nothing(step: str) -> None:
    """What happens between two steps in production."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of a question; its leaf hash is what a proof will prove."""

    record_id: RecordId
    leaf_hash: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which matches are wanted: before a leaf, or from an offset; and whether to count all."""

    limit: int
    before: int | None = None
    offset: int = 0
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What may be shown. `more`: the leaf before which the next slice begins.

    `provable`: whether commits can prove that it leaves nothing out.
    """

    receipt: Receipt
    find: Find
    rows: tuple[Entry, ...]
    hidden: int | None = None
    more: int | None = None
    total: int | None = None
    provable: bool = False


class Desk:
    """Answers one question after the other; may be called from several threads."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        begin_recorder: BeginRecorder,
        vault: Vault,
        allowance: NameAllowance | None = None,
        on_step: OnStep = nothing,
    ) -> None:
        self.shelf, self.vault, self._on_step = shelf, vault, on_step
        self.allowance = allowance or NameAllowance()
        self._begin_recorder = begin_recorder
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._released: PageRef | None = None
        self._told: PageRef | None = None
        self._answered_at = float("-inf")

    def ask(self, holder: Pass, question: Question, wanted: Slice) -> Answer:
        """The answer, which is on record before it is read; raises `OfficersProblem`."""
        with self.held():
            now = datetime.now(UTC)
            verdict = judge(holder.asker, question, now=now)  # 1
            secrets, receipt, page = self._record(holder, question, verdict, at=now)  # 2
            self._on_step("recorded")
            if isinstance(verdict, Denied):
                self.release(page)
                raise OfficersProblem(verdict.reason, receipt=receipt_document(receipt))
            try:
                query = query_of(verdict, holder.asker, secrets=secrets)
                return self.finish(
                    page, lambda: self._read(verdict, query, wanted, receipt=receipt)
                )  # 3, 4
            except BusError as error:
                raise unread(error, receipt) from error

    def held(self) -> threading.Lock:
        """The desk for one thing: in a `with`, nobody else is served meanwhile."""
        return self._lock

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
        with self.held():
            now = datetime.now(UTC)
            secrets, receipt, page = self._record(holder, question, verdict, at=now, kind=kind)
            self.release(page)
        self._on_step("recorded")
        if isinstance(verdict, Denied):
            raise OfficersProblem(verdict.reason, receipt=receipt_document(receipt))
        return verdict, query_of(verdict, holder.asker, secrets=secrets), receipt

    def check(self, index: int) -> Proved:
        """The proof of a leaf that was shown, verified; raises `OfficersProblem`."""
        try:
            return self.shelf.check(index)
        except BusError as error:
            raise unread(error, None) from error

    def begun_at(self) -> datetime | None:
        """When the ledger's first leaf was written; raises `OfficersProblem`."""
        try:
            return self.shelf.begun_at()
        except BusError as error:
            raise unread(error, None) from error

    def tend(self) -> None:
        """Say in a page of its own what was released last, once it is quiet; raises `BusError`."""
        with self._lock:
            quiet = time.monotonic() - self._answered_at >= QUIET_S
            if quiet and self._released != self._told:
                self._tell()

    def close(self) -> None:
        """Say it before the process ends; raises `BusError`."""
        with self._lock:
            if self._released != self._told:
                self._tell()

    def names(self, subjects: Collection[Subject], *, asker: Asker) -> Secrets:
        """What a record names these by, and is sealed under; raises `OfficersProblem`."""
        asked_at = datetime.now(UTC)
        try:
            secrets = self.vault.get_or_create(subjects)
        except BusError as error:
            log.error("not recorded", error=type(error).__name__)
            raise OfficersProblem(Code.CANNOT_RECORD) from error
        self.allowance.charge(asker.agency, secrets.values(), since=asked_at)
        return secrets

    def write(
        self,
        make: Callable[[Stamp], Record],
        *,
        secret: bytes,
        secrets: Secrets,
        at: datetime,
    ) -> tuple[Receipt, Page]:
        """A page with this record, durable; its caller holds the desk. Raises `OfficersProblem`."""
        try:
            recorder = self._take_recorder()
            builder = recorder.open_page(at)
            stamp = builder.stamp()
            record = make(stamp)
            named: dict[str | None, Secret] = {s.pseudonym: s for s in secrets.values()}
            leaf = builder.add(
                record, stamp=stamp, secret=secret, under=named[sealed_under(record)]
            )
            page = recorder.write(builder, policy=None, positions=())
        except BusError as error:
            log.error("not recorded", error=type(error).__name__)
            raise OfficersProblem(Code.CANNOT_RECORD) from error
        self._recorder, self._told = recorder, self._released  # its header said so
        receipt = Receipt(record_id=stamp.id, leaf_hash=leaf_hash(leaf).hex(), recorded_at=stamp.at)
        return receipt, page

    def finish(self, page: Page, work: Callable[[], T]) -> T:
        """What the work comes to; only then may the next page say that this one was released."""
        # whatever fails from here on, nobody may say of this page that it was released
        recorder, self._recorder = self._recorder, None
        done = work()
        self._recorder = recorder
        self.release(page)
        return done

    def release(self, page: Page) -> None:
        """The next page may say that this one was released."""
        if self._recorder is not None:
            self._released = self._recorder.mark_released(page)
        self._answered_at = time.monotonic()

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
        secrets = self.names(set(subjects_of(holder.asker, question)), asker=holder.asker)
        receipt, page = self.write(
            lambda stamp: record_query(
                holder, question, verdict, secrets=secrets, stamp=stamp, kind=kind
            ),
            secret=secret_of(holder.asker, question),
            secrets=secrets,
            at=at,
        )
        return secrets, receipt, page

    def _read(self, granted: Granted, query: Query, wanted: Slice, *, receipt: Receipt) -> Answer:
        hidden = None
        if granted.view is View.OWN_DATA:
            leaves, hidden = open_deferred(query, self.shelf)
            query = replace(query, only_deferred=leaves)
        total = self.shelf.count(query) if wanted.counted else None
        query = replace(query, before=wanted.before, offset=wanted.offset, limit=wanted.limit)
        rows = tuple(self.shelf.find(query))
        return Answer(
            receipt=receipt,
            find=granted.find,
            rows=rows,
            hidden=hidden,
            more=rows[-1].index if len(rows) == wanted.limit else None,
            total=total,
            provable=provable_of(granted, query) is not None,
        )

    def _take_recorder(self) -> Recorder:
        """The recorder, which its user puts back once its page is durable."""
        recorder = self._recorder = self._recorder or self._begin_recorder(self._released)
        recorder.check()  # what it refuses leaves it as it was
        self._recorder = None
        return recorder

    def _tell(self) -> None:
        recorder = self._take_recorder()
        recorder.write(recorder.open_page(datetime.now(UTC)), policy=None, positions=())
        self._recorder, self._told = recorder, self._released


def receipt_document(receipt: Receipt) -> dict[str, str]:
    """A receipt as answers and refusals tell it."""
    return {
        "record_id": receipt.record_id,
        "leaf_hash": receipt.leaf_hash,
        "recorded_at": receipt.recorded_at.isoformat(),
    }


def unread(error: BusError, receipt: Receipt | None) -> OfficersProblem:
    """Why a question that was recorded is not answered."""
    log.error("not answered", error=type(error).__name__, why=error.what)
    broken = isinstance(error, EvidenceBroken)
    code = OfficersCode.EVIDENCE_BROKEN if broken else OfficersCode.INDEX_UNAVAILABLE
    return OfficersProblem(code, **({"receipt": receipt_document(receipt)} if receipt else {}))

"""The journal of the desks: what is done there goes on record, one page after the other.

The next page may say that this one was released, once the work that it records is finished. After
a failure nobody says so: the chain ends there, and the next page begins another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.vault.port import Vault
from civicbus_schemas.errors import BusError, Overdue
from civicbus_schemas.ids import RecordId
from civicbus_schemas.page import Page, PageRef
from civicbus_schemas.record import Record
from civicbus_schemas.subject import Secret, Secrets, Subject
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.rules import Asker
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.seal import sealed_under
from civicbus_consumers.recording.wiring import BeginRecorder

QUIET_S = 1.0
HELD_S = 60.0  # longer than any work at a desk, every statement of which has its own time-out

T = TypeVar("T")

log = structlog.get_logger("civicbus.officers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The record of what was asked; its leaf hash is what a proof will prove."""

    record_id: RecordId
    leaf_hash: str
    recorded_at: datetime

    def document(self) -> dict[str, str]:
        """As answers and refusals tell it."""
        return {
            "record_id": self.record_id,
            "leaf_hash": self.leaf_hash,
            "recorded_at": self.recorded_at.isoformat(),
        }


class Journal:
    """Writes one page after the other; may be called from several threads."""

    def __init__(
        self,
        *,
        begin_recorder: BeginRecorder,
        vault: Vault,
        allowance: NameAllowance | None = None,
    ) -> None:
        self.vault = vault
        self.allowance = allowance or NameAllowance()
        self._begin_recorder = begin_recorder
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._released: PageRef | None = None
        self._told: PageRef | None = None
        self._answered_at = self._held_at = float("-inf")

    @contextmanager
    def held(self) -> Iterator[None]:
        """The journal for one thing: in a `with`, nobody else is served meanwhile."""
        with self._lock:
            self._held_at = time.monotonic()
            yield

    def tend(self) -> None:
        """Say in a page of its own what was released last, once it is quiet.

        Raises `BusError`; `Overdue` when one desk has not let go of the journal for a minute.
        """
        if not self._lock.acquire(timeout=QUIET_S):  # then it is not quiet
            if time.monotonic() - self._held_at >= HELD_S:
                raise Overdue("a desk does not let go of the journal")
            return
        try:
            quiet = time.monotonic() - self._answered_at >= QUIET_S
            if quiet and self._released != self._told:
                self._tell()
        finally:
            self._lock.release()

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
        """A page with this record, durable; its caller holds the journal.

        Raises `OfficersProblem`.
        """
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

    def refusal(self, page: Page, reason: Reason, receipt: Receipt) -> OfficersProblem:
        """What to raise where nothing is done but the refusal's own page, which is released."""
        self.release(page)
        return OfficersProblem(reason, receipt=receipt.document())

    def release(self, page: Page) -> None:
        """The next page may say that this one was released."""
        if self._recorder is not None:
            self._released = self._recorder.mark_released(page)
        self._answered_at = time.monotonic()

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


def undone(code: OfficersCode, error: BusError, receipt: Receipt | None) -> OfficersProblem:
    """Why what was asked is not done, though it may be on record."""
    log.error("not done", code=code, error=type(error).__name__, why=error.what)
    return OfficersProblem(code, **({"receipt": receipt.document()} if receipt else {}))

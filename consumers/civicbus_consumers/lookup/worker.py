"""The worker: takes all look-ups that wait, answers them together, keeps the lease.

One thread, one batch at a time. It turns to the next batch only when the answers of the last have
left: so the lease may move forward, and the next page can say that the last one was released.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, Retryable
from civicbus_schemas.page import Page, PageRef, Position
from civicbus_schemas.vocabulary import Outcome
from prometheus_client import Counter

from civicbus_consumers.lookup.bench import Bench
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.flight import Departure, Flight, HeldLease, Waiting
from civicbus_consumers.lookup.handler import Unanswered, answer_batch
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.replies import Reply
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.wiring import BeginRecorder
from civicbus_consumers.runtime.health import Health

MAX_BATCH = 128
MAX_WAITING = 1024
TEND_S = 0.1
RENEW_S = 1.0
SEND_S = 2.0
QUIET_S = 1.0

_broken = Counter(telemetry.BREAK_GLASS_TOTAL, "Answers for an emergency", ["agency"])

log = structlog.get_logger("civicbus.lookup")


class Leases(Protocol):
    """Where leases come from (`leases.Leases`). Every call raises `Unavailable` at a fault."""

    def take(self, positions: Sequence[Position]) -> HeldLease:
        """A new lease, known to every fence from now on."""
        ...

    def remember_released(self, page: PageRef) -> None:
        """Keep the newest page whose answers have all left."""
        ...

    def find_released(self) -> PageRef | None:
        """The newest page that a predecessor is known to have released."""
        ...


class Worker:
    """Answers what is submitted, while `run` runs."""

    def __init__(
        self,
        bench: Bench,
        *,
        leases: Leases,
        begin_recorder: BeginRecorder,
        health: Health,
    ) -> None:
        self._bench, self._leases = bench, leases
        self._begin_recorder, self._health = begin_recorder, health
        self._queue: queue.Queue[Waiting] = queue.Queue(MAX_WAITING)
        self._lease: HeldLease | None = None
        self._recorder: Recorder | None = None
        self._released: PageRef | None = None
        self._told: PageRef | None = None
        self._kept: PageRef | None = None
        self._leased: tuple[Position, ...] = ()
        self._trouble: Code | None = None
        self._tended_at = self._renewed_at = self._answered_at = float("-inf")

    def submit(self, waiting: Waiting) -> None:
        """Queue a look-up; raises `Problem` when too many wait. Called by the serving loop."""
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise Problem(Code.BUSY) from None

    def open(self) -> None:
        """Know the states and hold a lease before the first look-up comes."""
        self._leased = self._bench.states.catch_up()
        self._released = self._told = self._kept = self._leases.find_released()
        self._hold_lease()

    def run(self, stop: threading.Event) -> None:
        """Answer until asked to stop; raises what ends the process."""
        try:
            while not stop.is_set():
                self._health.beat()
                self._go_round(self._take())
        finally:
            for waiting in self._drain():
                waiting.refuse(Problem(Code.CANNOT_DECIDE))
        self._close()

    def _take(self) -> list[Waiting]:
        """All that waits, up to a full batch; an empty list after a short while."""
        try:
            first = self._queue.get(timeout=TEND_S)
        except queue.Empty:
            return []
        return [first, *self._drain(MAX_BATCH - 1)]

    def _drain(self, limit: int = MAX_WAITING) -> list[Waiting]:
        taken: list[Waiting] = []
        while len(taken) < limit:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken

    def _go_round(self, waiting: Sequence[Waiting]) -> None:
        code, answered = Code.NO_LEASE, False
        try:
            lease = self._hold_lease()
            code = Code.CANNOT_DECIDE
            if waiting:
                self._answer(waiting, lease)
                answered = True
            self._tend(lease)
            self._say(None)
        except Retryable as error:
            code = error.code if isinstance(error, Unanswered) else code
            self._say(code, error)
        finally:
            if not answered:
                for one in waiting:
                    one.refuse(Problem(code))

    def _say(self, trouble: Code | None, error: Retryable | None = None) -> None:
        """Be ready or not; log it when it changes."""
        if trouble is None:
            self._health.ready()
        else:
            self._health.unready(trouble.value)
        if trouble is not self._trouble:
            log.info("answering" if trouble is None else "not answering",
                     code=trouble, error=error and type(error).__name__)  # fmt: skip
            self._trouble = trouble

    def _hold_lease(self) -> HeldLease:
        if self._lease is None or not self._lease.holds():
            self._lease = self._leases.take(self._leased)
            self._renewed_at = time.monotonic()
        return self._lease

    def _answer(self, waiting: Sequence[Waiting], lease: HeldLease) -> None:
        recorder = self._current_recorder()
        try:
            answered = answer_batch([w.lookup for w in waiting], self._bench, recorder=recorder)
        except Unanswered:
            if not recorder.usable:
                self._recorder = None  # the next batch begins a new chain
            raise
        for one, reply in zip(waiting, answered.replies, strict=True):
            _flag(one, reply)
        flight = Flight(lease, len(waiting))
        for one, reply in zip(waiting, answered.replies, strict=True):
            one.hand_over(Departure(reply, flight))
        self._land(flight, recorder, answered.page)

    def _land(self, flight: Flight, recorder: Recorder, page: Page | None) -> None:
        """Wait until the answers have left; only then lease and chain go on."""
        if not flight.wait(SEND_S):
            self._lease = None  # never moved forward again: it lapses by itself
        if page is None:
            return
        if flight.complete:
            self._released = recorder.mark_released(page)
        else:
            self._recorder = None  # of this page nobody may say that it was released
        self._answered_at = time.monotonic()

    def _current_recorder(self) -> Recorder:
        if self._recorder is None:
            self._recorder = self._begin_recorder(self._released)
        return self._recorder

    def _tend(self, lease: HeldLease) -> None:
        """Nothing is on its way: move the lease forward, and tell what was released."""
        now = time.monotonic()
        if self._lease is not lease or now - self._tended_at < TEND_S:
            return
        self._tended_at = now
        positions = self._bench.states.catch_up()
        if positions != self._leased or now - self._renewed_at >= RENEW_S:
            self._renew(lease, positions)
        if now - self._answered_at >= QUIET_S:
            self._tell(positions)

    def _renew(self, lease: HeldLease, positions: tuple[Position, ...]) -> None:
        try:
            lease.renew(positions)
        except Retryable:
            if not lease.holds():
                self._lease = None
            raise
        self._leased, self._renewed_at = positions, time.monotonic()
        self._keep_released()

    def _keep_released(self) -> None:
        """For a successor, should this process be killed."""
        if self._released is not None and self._released != self._kept:
            self._leases.remember_released(self._released)
            self._kept = self._released

    def _tell(self, positions: tuple[Position, ...]) -> None:
        """Say in a heartbeat page which page was released last."""
        if self._released == self._told:
            return
        self._keep_released()
        recorder = self._current_recorder()
        self._recorder = None
        try:
            recorder.write(
                recorder.open_page(datetime.now(UTC)),
                policy=self._bench.states.plan.policy,
                positions=positions,
            )
        except BusError as error:
            raise Unanswered(Code.CANNOT_RECORD, error) from error
        self._recorder, self._told = recorder, self._released

    def _close(self) -> None:
        """End in order: nothing waits and nothing is on its way."""
        try:
            self._tell(self._bench.states.catch_up())
            if self._lease is not None and self._lease.holds():
                self._lease.give_back()
        except Retryable as error:
            log.warning("ended untidily", error=type(error).__name__)


def _flag(waiting: Waiting, reply: Reply) -> None:
    """An emergency is told as soon as it is recorded, whether or not its answer can leave."""
    if reply.outcome is Outcome.BREAKGLASS and reply.receipt is not None:
        agency = waiting.lookup.token.agency
        _broken.labels(agency).inc()
        log.warning("the glass was broken", agency=agency, record=reply.receipt.record_id)

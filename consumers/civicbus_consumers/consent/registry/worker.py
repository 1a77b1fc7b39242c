"""The registry's one thread: settles what is asked, publishes it, and only then answers.

It keeps a recorder of its own, so that a fault of the registry stops no look-up, nor the reverse.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, Refused, Retryable
from civicbus_schemas.ids import Pin
from civicbus_schemas.page import PageRef
from prometheus_client import Gauge

from civicbus_consumers.consent.registry.handler import Asked, Bench, NotDone, Settled, settle
from civicbus_consumers.consent.registry.handler import end_life as end_life_of
from civicbus_consumers.consent.registry.outbox import Outbox
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.runtime.health import Health

MAX_WAITING = 256
POLL_S = 0.1
TEND_S = 1.0
FORGET_S = 60.0

_age = Gauge(
    telemetry.CONSENT_OUTBOX_AGE,
    "Seconds since the oldest change that was not published; NaN until the outbox was looked into",
)

log = structlog.get_logger("civicbus.consent-registry")


@dataclass(slots=True)
class _Job:
    """An act, or the end of a life; `done` is settled by the worker."""

    what: Asked | Pin
    done: Future[Settled | int] = field(default_factory=Future)


class RegistryWorker:
    """Does what is submitted, one after another, while `run` runs."""

    def __init__(
        self,
        bench: Bench,
        *,
        outbox: Outbox,
        begin_recorder: Callable[[PageRef | None], Recorder],
        health: Health,
        poll_s: float = POLL_S,
    ) -> None:
        self._bench, self._outbox, self._begin_recorder = bench, outbox, begin_recorder
        self._health, self._poll_s = health, poll_s
        self._queue: queue.Queue[_Job] = queue.Queue(MAX_WAITING)
        self._recorder: Recorder | None = None
        self._told: PageRef | None = None
        self._tended_at = self._forgot_at = float("-inf")

    def submit(self, what: Asked | Pin) -> Future[Settled | int]:
        """Queue an act, or the number of somebody who died; raises `Problem` when too many wait."""
        job = _Job(what)
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise Problem(Code.BUSY) from None
        return job.done

    def run(self, stop: threading.Event) -> None:
        """Work until asked to stop; raises what ends the process.

        Unready while a change that was answered for cannot be published: until it is, the streams
        go by the consents as they were.
        """
        _age.set_function(lambda: self._outbox.age_s(datetime.now(UTC)))
        try:
            while not stop.is_set():
                self._health.beat()
                try:
                    job = self._queue.get(timeout=self._poll_s)
                except queue.Empty:
                    self._tend()
                    continue
                self._do(job)
        finally:
            while not self._queue.empty():
                waiting = self._queue.get_nowait().done
                if waiting.set_running_or_notify_cancel():
                    waiting.set_exception(Problem(Code.CANNOT_DECIDE))
            self._outbox.close()

    def _do(self, job: _Job) -> None:
        if not job.done.set_running_or_notify_cancel():
            return
        result: Settled | int | None = None
        try:
            result = self._settle(job.what)
        except Retryable as error:
            self._recorder = None
            code = error.code if isinstance(error, NotDone) else Code.CANNOT_DECIDE
            log.warning("not done", code=code, why=type(error.__cause__ or error).__name__)
            job.done.set_exception(Problem(code))
            return
        finally:
            if result is None and not job.done.done():
                job.done.set_exception(Problem(Code.CANNOT_DECIDE))
        self._publish()
        job.done.set_result(result)

    def _settle(self, what: Asked | Pin) -> Settled | int:
        recorder = self._current_recorder()
        if isinstance(what, Pin):
            return end_life_of(what, self._bench, recorder=recorder)
        return settle(what, self._bench, recorder=recorder)

    def _current_recorder(self) -> Recorder:
        if self._recorder is None:
            closes = self._told = self._bench.store.find_released(self._bench.process)
            self._recorder = self._begin_recorder(closes)
        return self._recorder

    def _publish(self) -> None:
        """Publish all that waits; what cannot be published now stays in the outbox."""
        try:
            contracts = self._bench.catalog.current()[0].contracts
            while self._outbox.publish(contracts):
                pass
        except (Retryable, Refused) as error:
            self._health.unready("a change of consents cannot be published")
            log.warning("not yet published", error=type(error).__name__, why=str(error))
            return
        self._health.ready()

    def _forget(self, now: float) -> None:
        """Once a minute: what has expired is no other's death to end, and past days are over."""
        if now - self._forgot_at < FORGET_S:
            return
        self._forgot_at = now
        try:
            self._bench.store.forget_numbers(datetime.now(UTC))
            self._bench.store.forget_days(datetime.now(UTC))
        except Retryable as error:
            log.warning("not yet forgotten", why=type(error).__name__)

    def _tend(self) -> None:
        """Nothing is asked: publish what was left, forget, and tell which page was done last."""
        now = time.monotonic()
        if now - self._tended_at < TEND_S:
            return
        self._tended_at = now
        self._publish()
        self._forget(now)
        recorder = self._recorder
        if recorder is None or recorder.chain.released == self._told:
            return
        self._recorder = None
        try:
            policy = self._bench.catalog.current()[0].version
            recorder.write(recorder.open_page(datetime.now(UTC)), policy=policy, positions=())
        except BusError as error:
            log.warning("cannot record", why=type(error).__name__)
            return
        self._recorder, self._told = recorder, recorder.chain.released

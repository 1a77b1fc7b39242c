"""The worker of one enforcement group: settle, then take, release, take, release.

It counts its starts in the committed note. After three crashes at one place it takes events one
by one and names each before it touches it; an event that crashes it then is set aside by the
successor. A batch that grew too old before its commit is taken again, in smaller parts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog
from civicbus_schemas.errors import Retryable, Stopped
from civicbus_schemas.page import Position

from civicbus_consumers.enforcement import metrics
from civicbus_consumers.enforcement.broker import Sources
from civicbus_consumers.enforcement.clock import Abandoned
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.handler import (
    OnStep,
    Released,
    commit_positions,
    nothing,
    release_batch,
)
from civicbus_consumers.enforcement.note import FRESH, Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.telling import tell_endings
from civicbus_consumers.recording.fuse import SealingBehind
from civicbus_consumers.runtime.health import Health

log = structlog.get_logger("civicbus.enforcement")

HEARTBEAT_AFTER_S = 1.0
ATTEMPTS = 16  # in a row: enough to halve a batch to one event, and to try that some more
BLOWN_PAUSE_S = 1.0
MAX_PAUSE_S = 1.0
"""How long a limit may keep a worker from letting fences pass."""


class Worker:
    """Takes batches and releases them, one after the other, in one thread.

    `note` is the predecessor's.
    """

    def __init__(
        self,
        bench: Bench,
        sources: Sources,
        *,
        note: Note,
        health: Health,
        batch_events: int,
        batch_wait_s: float,
        on_step: OnStep = nothing,
    ) -> None:
        self._bench, self._sources, self._health = bench, sources, health
        self._batch_events, self._batch_wait_s = batch_events, batch_wait_s
        self._on_step = on_step
        self._settled = note  # what a successor inherits if this worker ends without a crash
        self._standing = note  # what stands in the last commit
        self._counted = False  # whether this life stands in the committed note
        self._limit, self._abandoned = batch_events, 0
        self._condemned = note.suspect
        self._careful_left = batch_events if note.careful else 0
        self._told = bench.recorder.chain.released
        self._idle_since = time.monotonic()
        self._pause_s = 0.0
        self._blown = False

    def run(self, stop: threading.Event) -> None:
        """Work until asked to stop; raises what stops the group."""
        while not stop.is_set():
            self._health.beat()
            try:
                self._bench.recorder.check()
                self._hold()
                self._go_round(stop)
            except SealingBehind as error:
                self._blow(error)
                stop.wait(BLOWN_PAUSE_S)
        if self._standing != self._settled:
            commit_positions(self._bench, self._bench.committed, note=self._settled)

    def _go_round(self, stop: threading.Event) -> None:
        """Take, tell, release; raises `SealingBehind` with everything as it was."""
        limit = 1 if self._careful_left else self._limit
        taken = self._sources.take(limit, wait_s=self._batch_wait_s)
        if taken:
            self._work(taken)
            self._idle_since = time.monotonic()
        if not taken or self._pause_s:
            self._rest()
            stop.wait(min(self._pause_s, MAX_PAUSE_S))

    def _blow(self, error: SealingBehind) -> None:
        """The ledger does not take our pages: until it does, nothing is taken, no fence passes."""
        if not self._blown:
            log.error("nothing is released", why=str(error))
        self._blown = True
        self._health.unready(str(error))

    def _hold(self) -> None:
        if self._blown:
            log.info("releasing again")
        self._blown = False
        self._health.ready()

    def _work(self, taken: Sequence[Taken]) -> None:
        try:
            self._catch_up()
            self._announce(taken)
            started = time.monotonic()
            released = release_batch(
                taken,
                self._bench,
                note=self._after(taken),
                condemned=self._condemned,
                on_step=self._on_step,
            )
        except Abandoned as error:
            self._take_again(taken, error)
            return
        except SealingBehind:
            self._sources.put_back(taken)
            raise
        except (Retryable, Stopped):
            # The outside failed, not an event: this life shall not count against the events.
            commit_positions(self._bench, self._bench.committed, note=self._settled)
            raise
        self._pause_s = released.wait_s if not released.events else 0.0
        if not released.events:
            self._sources.put_back(released.rest)
            return
        self._settle(taken, released)
        metrics.observe(released, seconds=time.monotonic() - started)

    def _take_again(self, taken: Sequence[Taken], error: Abandoned) -> None:
        """Go on with half as many events; raises the error when that has not helped.

        Only a process that was paused meets this otherwise, and it may have a successor by now:
        the commit fences it, before it writes another page.
        """
        metrics.count_abandoned()
        self._abandoned += 1
        gives_up = self._abandoned >= ATTEMPTS
        note = self._settled if gives_up else self._standing
        commit_positions(self._bench, self._bench.committed, note=note)
        if gives_up:
            raise error
        self._limit = max(1, len(taken) // 2)
        self._bench.recorder = self._bench.recorder.successor()
        self._told = None
        self._sources.put_back(taken)

    def _announce(self, taken: Sequence[Taken]) -> None:
        """Count this life before its first batch; in careful mode name the event before it."""
        suspect = self._condemned or (taken[0].at if self._careful_left else None)
        standing = replace(self._standing, suspect=suspect)
        if not self._counted:
            standing = standing.next_attempt()
        if standing != self._standing:
            commit_positions(self._bench, self._bench.states.catch_up(), note=standing)
            self._standing, self._counted = standing, True

    def _after(self, taken: Sequence[Taken]) -> Note:
        """What the commit of this batch says: all is well, or what is still suspected.

        The attempt is then 1, this life's first at the next place.
        """
        outstanding = self._outstanding(taken)
        if self._careful_left <= 1 and outstanding is None:
            return FRESH.next_attempt()
        return replace(self._standing, suspect=outstanding)

    def _outstanding(self, taken: Sequence[Taken]) -> Coordinates | None:
        found = any(message.at == self._condemned for message in taken)
        return None if found else self._condemned

    def _settle(self, taken: Sequence[Taken], released: Released) -> None:
        self._abandoned = 0
        self._limit = min(self._batch_events, self._limit + 1 + self._batch_events // 50)
        self._standing = self._after(taken)
        self._settled = replace(self._standing, attempt=self._standing.attempt - 1)
        self._condemned = self._outstanding(taken)
        self._careful_left = max(0, self._careful_left - 1)
        if self._condemned is not None:
            self._careful_left = max(1, self._careful_left)
        self._sources.put_back(released.rest)

    def _catch_up(self) -> tuple[Position, ...]:
        """Stand at the newest state, and tell recipients at once which consents it has ended.

        Before a batch and not behind it: a fence then waits for the notice alone. And before the
        batch is counted, for its events are not to blame where telling fails. Returns the positions
        to commit.
        """
        positions = self._bench.states.catch_up()
        if not self._bench.states.untold:
            return positions
        told = tell_endings(self._bench, positions, note=self._standing, on_step=self._on_step)
        metrics.count_notices(told)
        self._idle_since = time.monotonic()
        return self._bench.committed

    def _rest(self) -> None:
        """Idle: let fences pass, and after a while say which page was released last."""
        positions = self._catch_up()
        if positions != self._bench.committed:
            commit_positions(self._bench, positions, note=self._standing)
        released = self._bench.recorder.chain.released
        idle_s = time.monotonic() - self._idle_since
        if released != self._told and idle_s > HEARTBEAT_AFTER_S:
            self._bench.recorder.write(
                self._bench.recorder.open_page(self._bench.clock.now()),
                policy=self._bench.states.ready.plan.policy,
                positions=positions,
            )
            self._told = released

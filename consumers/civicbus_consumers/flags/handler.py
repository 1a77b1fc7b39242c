"""From messages to flags: read, judged by what is remembered, and written, in this order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from civicbus_audit.sequencing import Keys

from civicbus_consumers.flags import metrics
from civicbus_consumers.flags.deadlines import tick
from civicbus_consumers.flags.findings import Folded
from civicbus_consumers.flags.incoming import pages_of
from civicbus_consumers.flags.memory import PENDING, Memory
from civicbus_consumers.flags.reference import Reference
from civicbus_consumers.flags.rules import fold, keys_of
from civicbus_consumers.population.incoming import Incoming, Partition

OnStep = Callable[[str], None]
BEHIND = timedelta(seconds=5)
"""So much later than by the clock time passes where no pages come, since one may be under way."""
FORGETTING_S = 3600.0


def nothing(step: str) -> None:
    """What happens at each step in production; tests end the process there."""
    del step


class Store(Protocol):
    """Where flags are kept: `store.FlagStore`, or memory in tests."""

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was taken in."""

    def load(self, keys: set[str]) -> Memory:
        """What is remembered under these keys, and under those that it leads to."""

    def apply(self, folded: Folded, remembered: Memory, positions: Mapping[Partition, int]) -> None:
        """Write all of it or nothing."""

    def forget(self, now: datetime) -> None:
        """Delete what is too old to be remembered."""


class FlagHandler:
    """Takes in pages, and lets time pass where none come; one thing at a time."""

    def __init__(
        self,
        store: Store,
        *,
        keys: Keys,
        reference: Callable[[], Reference],
        end: Callable[[], int],
        on_step: OnStep = nothing,
    ) -> None:
        self._store, self._keys, self._reference = store, keys, reference
        self._end, self._on_step = end, on_step
        self._lock = threading.Lock()
        self._forgot_at = time.monotonic()

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was taken in."""
        return self._store.positions

    @property
    def position(self) -> int:
        """The next offset of the page topic, which has one partition."""
        return max(self._store.positions.values(), default=0)

    def handle(self, messages: Sequence[Incoming]) -> None:
        """Take in the messages that were not before; they lie in order.

        1. Pages that are authentic are read. 2. Rules judge them by what is remembered. 3. Flags,
        memory and position are written in one transaction. Raises `Retryable` or `Fatal`; then
        nothing was written, or it cannot be known.
        """
        with self._lock:
            known = self._store.positions
            fresh = [m for m in messages if m.offset >= known.get(m.place, 0)]
            if not fresh:
                return
            self._on_step("taken")
            pages = list(pages_of(fresh, self._keys))  # 1
            remembered = self._store.load(keys_of(pages))
            folded = fold(pages, remembered, self._reference())  # 2
            self._on_step("folded")
            last = fresh[-1]
            self._store.apply(folded, remembered, {last.place: last.offset + 1})  # 3
            self._on_step("applied")
            _observe(folded, delay=datetime.now(UTC) - fresh[0].at)

    def pass_time(self) -> None:
        """Raise what has not come in time, once all pages were read; forget what is old."""
        with self._lock:
            if self.position < self._end():
                return
            now, folded = datetime.now(UTC), Folded()
            remembered = self._store.load({PENDING})
            tick(now - BEHIND, remembered, folded, reference=self._reference())
            if folded.raised:
                self._store.apply(folded, remembered, {})
                _observe(folded, delay=timedelta())
            if time.monotonic() - self._forgot_at > FORGETTING_S:
                self._store.forget(now)
                self._forgot_at = time.monotonic()


def _observe(folded: Folded, *, delay: timedelta) -> None:
    metrics.READINGS.inc(folded.readings)
    for found in folded.raised:
        metrics.RAISED.labels(found.flag).inc()
    if folded.readings:
        metrics.DELAY.observe(max(0.0, delay.total_seconds()))

"""Flags as leaves: what was raised or closed is recorded, once, in pages of this process.

The topic itself says what was told: the worker marks a flag as told when it reads the leaf. So
nothing is told before the topic was read to where it ended when this process began, or failed to
write or to mark. Only a page that arrives later than that can tell a flag twice; both leaves say
the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from civicbus_schemas.errors import Retryable
from civicbus_schemas.page import PageRef

from civicbus_consumers.flags.records import record_flag
from civicbus_consumers.flags.store import FlagStore, Untold
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.wiring import BeginRecorder

QUIET_S = 1.0

log = structlog.get_logger("civicbus.flags")


class Teller:
    """Writes the pages; `end` gives the end of the page topic, `position` how far it was read."""

    def __init__(
        self,
        store: FlagStore,
        *,
        begin_recorder: BeginRecorder,
        end: Callable[[], int],
        position: Callable[[], int],
    ) -> None:
        self._store, self._begin = store, begin_recorder
        self._end, self._position = end, position
        self._from: int | None = None
        self._recorder: Recorder | None = None
        self._released: PageRef | None = None
        self._said: PageRef | None = None
        self._wrote_at = 0.0

    def tell(self) -> int:
        """Record what no leaf tells yet; how many it was. What cannot be recorded waits."""
        try:
            if self._from is None:
                self._from = self._end()
            if self._position() < self._from:
                return 0
            untold = self._store.untold()
            if untold:
                self._write(untold)
            elif self._said != self._released and time.monotonic() - self._wrote_at > QUIET_S:
                self._write(())  # says that the page before was released
            return len(untold)
        except Retryable as error:
            log.warning("flags not recorded", error=type(error).__name__)
            self._from = None  # whatever failed, its page may be on the topic and not marked
            if self._recorder is not None and not self._recorder.usable:
                self._recorder = None
            return 0

    def _write(self, untold: Sequence[Untold]) -> None:
        """1. the page is durable, 2. its flags are marked, 3. the next page says so of this."""
        recorder = self._recorder = self._recorder or self._begin(self._released)
        recorder.check()
        page = recorder.open_page(datetime.now(UTC))
        for each in untold:
            stamp = page.stamp()
            record = record_flag(each.finding, each.kind, closing=each.closing, stamp=stamp)
            page.add(record, stamp=stamp)
        said = self._released
        written = recorder.write(page, policy=None, positions=())  # 1
        self._said, self._wrote_at = said, time.monotonic()
        self._store.mark_told([(each.finding.id, each.kind) for each in untold])  # 2
        if untold:
            self._released = recorder.mark_released(written)  # 3

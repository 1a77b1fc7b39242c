"""Scrubs without pause, in a thread that sealing never waits for and that takes little of a core.

The newest hour is compared each minute, everything once a day, and again ten minutes later while
something was found or could not be compared. What was found stays an alarm until a whole pass finds
it no more; what no whole pass has compared yet is unknown, and not nothing.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError
from prometheus_client import Gauge

from civicbus_consumers.scrubbing.passing import Pace, Passed, Sides, scrub
from civicbus_consumers.scrubbing.rhythm import Rhythm, Stopping, Throttle
from civicbus_consumers.scrubbing.rules import Comparison, Fault

log = structlog.get_logger("civicbus.scrubbing")

HOT = timedelta(hours=1)
_SHOWN = 10
_MISSED = 2  # whole passes; as long may a pass take, or fail

_faults = Gauge(
    telemetry.SCRUB_FAULTS,
    "Contradictions of topic, ledger, index and witnesses; NaN before a whole comparison",
    ["comparison"],
)
_age = Gauge(telemetry.SCRUB_AGE, "Seconds since all was compared that a pass compares", ["pass"])


class Scrubber:
    """The thread. `faults` are what it knows of; `sides` is made in it, at its first pass."""

    def __init__(
        self,
        connect: Callable[[], Sides],
        *,
        rhythm: Rhythm,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect, self._rhythm, self._clock = connect, rhythm, clock
        self._sides: Sides | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrubber", daemon=True)
        self._whole_at: float | None = None
        self._missed = False
        self.faults: tuple[Fault, ...] = ()
        self._compared: set[Comparison] = set()
        self._begun_at = self._clock()
        self._done: dict[str, float] = {}  # pass → when all was compared last that it compares
        _age.labels("hot").set_function(lambda: clock() - self._done.get("hot", math.nan))
        _age.labels("whole").set_function(lambda: clock() - self._done.get("whole", math.nan))
        self._tell()

    @property
    def alarm(self) -> str | None:
        """What is wrong, in one sentence for operators; None while nothing is."""
        if self._has_died:
            return "the scrubber has ended by an error, and finds nothing any more; restart sealing"
        if not self.faults:
            return self._overdue
        counted = Counter(fault.comparison.value for fault in self.faults)
        told = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
        return f"the scrubber found contradictions ({told}); run civicbus scrub"

    @property
    def _overdue(self) -> str | None:
        since = self._done.get("whole", self._begun_at)
        longest_s = max(self._rhythm.whole_s, self._rhythm.again_s)
        if self._clock() - since <= _MISSED * longest_s:
            return None
        return (
            "not all could be compared for too long (log: civicbus.scrubbing); run civicbus scrub"
        )

    @property
    def _has_died(self) -> bool:
        begun = self._thread.ident is not None
        return begun and not self._thread.is_alive() and not self._stop.is_set()

    def start(self) -> None:
        """Begin, with a whole pass after the first interval."""
        self._thread.start()

    def close(self, *, timeout_s: float = 10.0) -> None:
        """End within the piece of work under way."""
        self._stop.set()
        self._thread.join(timeout_s)
        if self._sides is not None and not self._thread.is_alive():
            self._sides.pages.close()

    def _run(self) -> None:
        throttle = Throttle(self._rhythm.share, self._stop)
        while not self._stop.wait(self._rhythm.hot_s):
            try:
                self.pass_once(throttle)
            except Stopping:
                return
            except BusError as error:
                log.warning("not scrubbed", error=type(error).__name__, why=str(error))

    def pass_once(self, pace: Pace) -> Passed:
        """The pass that is due now: whole, or of the newest hour."""
        whole = self._whole_at is None or self._clock() - self._whole_at >= self._pause_s
        self._sides = self._sides or self._connect()
        since = None if whole else datetime.now(UTC) - HOT
        passed = scrub(self._sides, since=since, pace=pace)
        self._take(passed, whole=whole)
        if whole:  # counted from its end, so that newest hours are compared between long passes
            self._whole_at, self._missed = self._clock(), bool(passed.troubles)
        if not passed.troubles:
            self._done["hot"] = self._clock()
            self._done |= {"whole": self._clock()} if whole else {}
        return passed

    @property
    def _pause_s(self) -> float:
        """From one whole pass to the next; one that missed a comparison is made up for soon."""
        soon = self.faults or self._missed
        return self._rhythm.again_s if soon else self._rhythm.whole_s

    def _take(self, passed: Passed, *, whole: bool) -> None:
        """A whole pass replaces what was known of what it could compare; a hot one adds to it."""
        if whole:
            self._compared |= set(Comparison) - passed.troubles.keys()
        kept = [fault for fault in self.faults if not whole or fault.comparison in passed.troubles]
        new = [fault for fault in passed.faults if fault not in self.faults]
        self.faults = tuple(dict.fromkeys([*kept, *passed.faults]))
        for fault in new[:_SHOWN]:
            log.error(
                "contradiction",
                comparison=fault.comparison.value,
                kind=str(fault.kind),
                offset=fault.offset,
                leaf=fault.leaf,
                why=fault.why,
            )
        for comparison, why in passed.troubles.items():
            log.warning("not compared", comparison=comparison.value, why=why)
        self._tell()

    def _tell(self) -> None:
        counted = Counter(fault.comparison for fault in self.faults)
        for comparison in Comparison:
            known = comparison in self._compared or counted[comparison]
            _faults.labels(comparison.value).set(counted[comparison] if known else math.nan)

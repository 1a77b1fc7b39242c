"""Keeps the published checkpoint level with the ledger, as far as witnesses cosign it.

Sealing calls `keep_up` after each batch and never waits longer for it than the witnesses' time
limit. What it cannot get cosigned stays committed and signed, and is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog
from civicbus_audit.ledger import Ledger
from civicbus_audit.witnessing import Witnessing
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, EvidenceBroken
from prometheus_client import Counter, Gauge

from civicbus_consumers.sealing.rules import Fuse, Limits, Waiting, is_due, judge, unwitnessed_s

log = structlog.get_logger("civicbus.cosigning")

_failures = Counter(
    telemetry.WITNESS_FAILURES_TOTAL, "Cosignatures not given", ["witness", "failure"]
)
_unwitnessed = Gauge(telemetry.UNWITNESSED_AGE, "Seconds since leaves wait for a quorum")

Clock = Callable[[], float]


class Cosigning:
    """The witnesses of one open ledger; without any, an append publishes by itself."""

    def __init__(
        self,
        ledger: Ledger,
        witnessing: Witnessing | None,
        *,
        limits: Limits,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
    ) -> None:
        self._ledger, self._witnessing, self._limits = ledger, witnessing, limits
        self._clock, self._fuse = clock, Fuse.WHOLE
        now = clock()
        # before a restart nobody counted, so what waits has waited since the last cosignature
        last_s = ledger.witnessed_s
        since = now if last_s is None else now - max(0.0, wall() - last_s)
        waiting = since if self._is_behind() else None
        self._waiting = Waiting(since=waiting, cosigned=since, tried=float("-inf"))
        _unwitnessed.set_function(lambda: unwitnessed_s(self._waiting, now=clock()))

    @property
    def fuse(self) -> Fuse:
        """Whether sealing may go on; a change is logged."""
        fuse = judge(self._waiting, self._limits, now=self._clock())
        if fuse is not self._fuse:
            self._fuse = fuse
            tell = log.info if fuse is Fuse.WHOLE else log.error
            tell("witnesses", fuse=fuse.value, waited_s=round(self.unwitnessed_s, 1))
        return fuse

    @property
    def unwitnessed_s(self) -> float:
        """How long the oldest leaf without a quorum has waited."""
        return unwitnessed_s(self._waiting, now=self._clock())

    def keep_up(self) -> bool:
        """Ask the witnesses if it is time to, and publish what a quorum cosigned; whether it did.

        Raises what makes the ledger unusable; a quorum that is not there is no error.
        """
        if self._witnessing is None:
            return False
        now = self._clock()
        if self._waiting.since is None and self._is_behind():
            self._waiting = replace(self._waiting, since=now)
        if not is_due(self._waiting, self._limits, now=now):
            return False
        gathered = self._witnessing.gather(self._ledger.pending, self._ledger.log)
        self._report(gathered.failures)
        now = self._clock()
        self._waiting = replace(self._waiting, tried=now)
        if not self._witnessing.policy.is_satisfied_by(gathered.lines.keys()):
            return False
        self._ledger.publish(gathered.lines.values())
        self._waiting = Waiting(since=None, cosigned=now, tried=float("-inf"))
        return True

    def _is_behind(self) -> bool:
        return self._witnessing is not None and self._ledger.published != self._ledger.checkpoint

    @staticmethod
    def _report(failures: Mapping[str, BusError]) -> None:
        for name, error in failures.items():
            kind = type(error).__name__
            _failures.labels(name, kind).inc()
            tell = log.error if isinstance(error, EvidenceBroken) else log.warning
            tell("no cosignature", witness=name, error=kind, why=str(error))

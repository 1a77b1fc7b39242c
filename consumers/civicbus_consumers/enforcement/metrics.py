"""What an enforcement process counts, per batch and never per event."""

from __future__ import annotations

from civicbus_schemas import telemetry
from prometheus_client import Counter, Histogram

from civicbus_consumers.enforcement.handler import Released

_EVENTS = Counter(telemetry.EVENTS_TOTAL, "Events taken from source topics and committed")
_DELIVERIES = Counter(telemetry.DELIVERIES_TOTAL, "Deliveries and notices released")
_DEAD_LETTERS = Counter(telemetry.DEAD_LETTERS_TOTAL, "Messages set aside")
_PAGES = Counter(telemetry.PAGES_TOTAL, "Pages recorded before a release")
_NOTICES = Counter(telemetry.NOTICES_TOTAL, "Withdrawals of which a recipient was told")
_ABANDONED = Counter(telemetry.ABANDONED_TOTAL, "Batches too old to be released, taken again")
_SECONDS = Histogram(telemetry.BATCH_SECONDS, "From taking a batch to its commit")


def count_abandoned() -> None:
    """Count one batch that comes again."""
    _ABANDONED.inc()


def count_notices(notices: int) -> None:
    """Count notices of withdrawals."""
    _NOTICES.inc(notices)


def observe(released: Released, *, seconds: float) -> None:
    """Count one batch."""
    _EVENTS.inc(released.events)
    _DELIVERIES.inc(released.delivered)
    _DEAD_LETTERS.inc(released.dead_letters)
    _PAGES.inc(released.page is not None)
    _SECONDS.observe(seconds)

"""What the population process counts."""

from __future__ import annotations

from civicbus_schemas import telemetry
from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter(telemetry.VIEW_DELIVERIES_TOTAL, "Deliveries applied to the view")
QUARANTINED = Counter(
    telemetry.VIEW_QUARANTINED_TOTAL, "Deliveries refused by the view", ["reason"]
)
BATCH_SECONDS = Histogram(telemetry.VIEW_BATCH_SECONDS, "From taking a batch to its commit")
WATERMARK = Gauge(telemetry.VIEW_WATERMARK, "Batches applied to the view")

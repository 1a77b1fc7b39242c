"""What the flags process counts; no label names a person or an agency."""

from __future__ import annotations

from civicbus_schemas import telemetry
from prometheus_client import Counter, Histogram

READINGS = Counter(telemetry.FLAG_READINGS_TOTAL, "Readings that were judged")
RAISED = Counter(telemetry.FLAGS_TOTAL, "Flags raised", ["flag"])
DELAY = Histogram(
    telemetry.FLAG_DELAY_SECONDS,
    "From the broker's time of a batch's oldest page to its flags being there",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 300),
)

"""A record as people and their programs read it: a line of JSON, a row of CSV. Pure.

Both say what the leaf says and nothing else, in one spelling, so that the stand-alone verifier,
which decodes the leaf by other code, can compare them byte by byte.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from civicbus_audit.merkle import leaf_hash

COLUMNS = (
    "index", "at", "kind", "decision", "reason", "recipient", "agency", "system", "officer",
    "subject", "dataset", "fields", "purpose", "basis", "agreement", "consent", "rule", "case",
    "id",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def plain(datum: Mapping[str, Any]) -> dict[str, Any]:
    """A decoded record with its bytes in hex and its times in ISO 8601, in the schema's order."""
    return {name: _plain(value) for name, value in datum.items()}


def as_line(index: int, leaf: bytes, record: Mapping[str, Any]) -> bytes:
    """The line of `records.ndjson`."""
    told = {"index": index, "leaf_hash": leaf_hash(leaf).hex(), "record": record}
    return _encode(told).encode() + b"\n"


def as_row(index: int, record: Mapping[str, Any]) -> bytes:
    """The row of `records.csv`."""
    actor, request = record["actor"], record["req"]
    values = {
        **record,
        "index": index,
        "agency": actor["agency"],
        "system": actor["system"],
        "officer": actor["officer"],
        "fields": " ".join(record["fields"]),
        "case": request["case"] if request else None,
    }
    return csv_row([values[column] for column in COLUMNS])


def csv_row(values: Sequence[object]) -> bytes:
    """One row (RFC 4180); what a spreadsheet would take for a formula gets an apostrophe."""
    texts = ["" if value is None else str(value) for value in values]
    out = io.StringIO()
    csv.writer(out).writerow([f"'{t}" if t.startswith(_FORMULA) else t for t in texts])
    return out.getvalue().encode()


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case datetime():
            return value.isoformat(timespec="microseconds")
        case dict():
            return plain(value)
        case _:
            return value

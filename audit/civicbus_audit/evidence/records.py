"""A record as people and their programs read it: a line of JSON, a row of CSV. Pure.

Both say what the leaf says and nothing else, in one spelling, so that the stand-alone verifier,
which decodes the leaf by other code, can compare them byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from civicbus_audit.merkle import leaf_hash

COLUMNS = (
    "index", "at", "kind", "decision", "reason", "recipient", "agency", "system", "officer",
    "subject", "dataset", "fields", "purpose", "basis", "agreement", "consent", "rule", "case",
    "id",
)  # fmt: skip
_SPECIAL = re.compile('[",\r\n]')
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def plain(datum: Mapping[str, Any]) -> dict[str, Any]:
    """A decoded record with its bytes in hex and its times in ISO 8601, in the schema's order."""
    return {
        name: value if (spell := _PLAIN.get(type(value))) is None else spell(value)
        for name, value in datum.items()
    }


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
    return (",".join([_quoted(value) for value in values]) + "\r\n").encode()


def _quoted(value: object) -> str:
    text = "" if value is None else str(value)
    if text.startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


_PLAIN: dict[type, Callable[[Any], Any]] = {
    bytes: bytes.hex,
    datetime: lambda at: at.isoformat(timespec="microseconds"),
    dict: plain,
}

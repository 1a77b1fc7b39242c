"""Data after any schema we carry, and bytes that someone spoilt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

_WHOLE = {"int": 31, "long": 63}
MOMENTS = st.datetimes(
    datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def data_of(schema: Any) -> st.SearchStrategy[Any]:
    """Data that fit a schema; named types are found where they were defined."""
    return _data(schema, {})


def _data(schema: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema:
        case list():
            return st.one_of([_data(branch, named) for branch in schema])
        case {"logicalType": "date"}:
            return st.dates(date(1, 1, 1), date(9999, 12, 31))
        case {"logicalType": "timestamp-micros"}:
            return MOMENTS
        case {"type": "record", "fields": entries}:
            named[schema["name"]] = schema
            return st.fixed_dictionaries(
                {entry["name"]: _data(entry["type"], named) for entry in entries}
            )
        case {"type": "array", "items": items}:
            return st.lists(_data(items, named), max_size=3)
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": "fixed", "size": int(size)}:
            named[schema["name"]] = schema
            return st.binary(min_size=size, max_size=size)
        case str() if schema in named:
            return _data(named[schema], named)
    return _primitive(schema)


def _primitive(name: str) -> st.SearchStrategy[Any]:
    match name:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "string":
            return TEXT
        case "bytes":
            return st.binary(max_size=12)
        case "int" | "long":
            bits = _WHOLE[name]
            return st.integers(-(1 << bits), (1 << bits) - 1)
        case "float":
            return st.floats(allow_nan=False, width=32)
        case "double":
            return st.floats(allow_nan=False)
    raise AssertionError(f"no data for {name}")


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with a few cut out, put in, or changed; a put-in piece may claim to be huge."""
    body = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(body)))
        piece = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"\xff" * 9 + b"\x01", b"\xfe" + b"\xff" * 8 + b"\x01", b"\x80" * 12]
                ),
            )
        )
        body[place : place + draw(st.integers(0, 4))] = piece
    return bytes(body)


def paths_of(fields: Mapping[str, object]) -> st.SearchStrategy[list[str]]:
    """Some of the paths, at least one, in any order."""
    return st.lists(st.sampled_from(sorted(fields)), min_size=1, unique=True)

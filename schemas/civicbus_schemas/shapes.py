"""Avro schema documents of our own leaves and states, written short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

MICROS: dict[str, Any] = {"type": "long", "logicalType": "timestamp-micros"}
TEXTS: dict[str, Any] = {"type": "array", "items": "string"}
BYTE_STRINGS: dict[str, Any] = {"type": "array", "items": "bytes"}


def nullable(type_: Any) -> list[Any]:
    """Null or the type."""
    return ["null", type_]


def array(type_: Any) -> dict[str, Any]:
    """An array of the type."""
    return {"type": "array", "items": type_}


def fixed(name: str, size: int) -> dict[str, Any]:
    """A named run of `size` bytes; later fields may use the name alone."""
    return {"type": "fixed", "name": name, "size": size}


def struct(name: str, *, namespace: str | None = None, **types: Any) -> dict[str, Any]:
    """A record with these fields, in this order."""
    pairs = [{"name": key, "type": type_} for key, type_ in types.items()]
    scope = {"namespace": namespace} if namespace else {}
    return {"type": "record", "name": name, "fields": pairs} | scope


def to_hex(data: bytes | None) -> str | None:
    """Fixed bytes as hex; None stays None."""
    return None if data is None else data.hex()


def from_hex(text: str | None) -> bytes | None:
    """Hex as bytes; None stays None."""
    return None if text is None else bytes.fromhex(text)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 in UTC; raises `TypeError` without a zone.

    fastavro would read a time without a zone as the machine's own, so that one record had
    different bytes on different machines.
    """
    return (at - _EPOCH) // _MICROSECOND

"""Avro's binary encoding read directly, where it is in its one spelling. Pure.

The ledger's leaves are read by the million, and evidence has one spelling: a reader that takes no
other needs not write again what it has read, to compare. What it does not take, be it another
spelling, no Avro, or a schema with other types than ours, it leaves to fastavro, which says why.
So it decides nothing: what it returns is what fastavro returns (held against it in tests).
Source: Avro 1.12 specification, Binary Encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]
"""A value and where it ends, given the bytes and where it begins; raises one of `NOT_TAKEN`."""

NOT_TAKEN = (IndexError, ValueError, OverflowError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def find_reader(schema: Any) -> Read | None:
    """The reader of a schema of records, arrays, `[null, X]` and simple types; else None."""
    try:
        return _reader(schema, {})
    except LookupError:
        return None


def _reader(schema: Any, named: dict[str, Read]) -> Read:
    """Raises `LookupError` for what is not read here, and where a name has two meanings."""
    match schema:
        case {"name": name} if name in named:
            raise LookupError
        case {"type": "long", "logicalType": "timestamp-micros"}:
            return _time
        case {"type": _, "logicalType": _}:
            raise LookupError
        case str() if schema in named:
            return named[schema]
        case str():
            return _SIMPLE[schema]
        case {"type": "fixed", "name": str(name), "size": int(size)}:
            named[name] = _fixed(size)
            return named[name]
        case ["null", other]:
            return _nullable(_reader(other, named))
        case {"type": "array", "items": items}:
            return _array(_reader(items, named))
        case {"type": "record", "name": str(name), "fields": [*fields]}:
            readers = [(field["name"], _reader(field["type"], named)) for field in fields]
            named[name] = _record(readers)
            return named[name]
    raise LookupError


def _long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), at
    value, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 63:
            raise ValueError
    if not byte or value >> 64:
        raise ValueError
    return value >> 1 ^ -(value & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    value, at = _long(data, at)
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError
    return value, at


def _time(data: bytes, at: int) -> tuple[datetime, int]:
    micros, at = _long(data, at)
    return _EPOCH + timedelta(microseconds=micros), at


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    if size & 0x81:  # long, or negative
        value, end = _bytes(data, at)
        return value.decode(), end
    at += 1
    end = at + (size >> 1)
    if end > len(data):
        raise ValueError
    return data[at:end].decode(), end


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise ValueError
    return data[at] == 1, at + 1


_SIMPLE: Mapping[str, Read] = {
    "int": _int,
    "long": _long,
    "bytes": _bytes,
    "string": _string,
    "boolean": _boolean,
}


def _fixed(size: int) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise ValueError
        return data[at:end], end

    return read


def _nullable(inner: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        branch = data[at]
        if branch == 0:
            return None, at + 1
        if branch != 2:
            raise ValueError
        return inner(data, at + 1)

    return read


def _array(inner: Read) -> Read:
    """All items in one block, as every writer that is not streaming writes them."""

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        count, at = _long(data, at)
        if count == 0:
            return [], at
        if not 0 < count <= len(data):
            raise ValueError
        items = []
        for _ in range(count):
            item, at = inner(data, at)
            items.append(item)
        if data[at] != 0:
            raise ValueError
        return items, at + 1

    return read


def _record(fields: Sequence[tuple[str, Read]]) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values = {}
        for name, read_field in fields:
            values[name], at = read_field(data, at)
        return values, at

    return read

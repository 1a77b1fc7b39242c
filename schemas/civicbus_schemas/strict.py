"""Avro's binary encoding read directly, where it is in its one spelling. Pure.

The ledger's leaves are read by the million, and evidence has one spelling: a reader that takes no
other needs not write again what it has read, to compare. What it does not take, be it another
spelling, no Avro, or a schema with other types than ours, it leaves to fastavro, which says why.
So it decides nothing: what it returns is what fastavro returns (held against it in tests).

A reader is one function: its statements are written for a schema and compiled, as `dataclasses`
does it, since a call for each field takes three times as long. Of a schema's texts only the names
of fields stand in it, as literals.
Source: Avro 1.12 specification, Binary Encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]
"""A value and where it ends, given the bytes and where it begins; raises one of `NOT_TAKEN`.

A value that is cut off may be read short, and then ends beyond the bytes: the caller compares.
"""

NOT_TAKEN = (IndexError, ValueError, OverflowError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEEPEST = 8  # arrays in each other: Python takes no more than 20 blocks
_MOST = 1_000  # variables: a record that is named again is read by its own statements again


def find_reader(schema: Any) -> Read | None:
    """The reader of a schema of records, arrays, `[null, X]` and simple types; else None."""
    try:
        statements = [*_Statements().reading("value", schema)]
    except LookupError:
        return None
    source = "\n".join(["def read(data, at):", *_indented(statements), "    return value, at"])
    made: dict[str, Read] = {}
    exec(compile(source, f"<{__name__}>", "exec"), globals(), made)  # noqa: S102
    return made["read"]


class _Statements:
    """Those that read a value at `data[at]` into a variable and set `at` behind it."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._variables = (f"v{number}" for number in range(_MOST))
        self._depth = 0

    def reading(self, into: str, schema: Any) -> Iterator[str]:
        """Raises `LookupError` for what is not read here, and where a name has two meanings."""
        match schema:
            case {"name": name} if name in self._named:
                raise LookupError
            case {"type": "long", "logicalType": "timestamp-micros"}:
                yield f"{into}, at = _time(data, at)"
            case {"type": _, "logicalType": _}:
                raise LookupError
            case str() if schema in self._named:
                yield from self.reading(into, self._named.pop(schema))
            case "string":
                yield from _string_or_short(into)
            case "long":
                yield from _long_or_short(into)
            case "int" | "bytes" | "boolean":
                yield f"{into}, at = _{schema}(data, at)"
            case {"type": "fixed", "name": str(name), "size": int(size)}:
                yield f"{into} = data[at : at + {size}]"
                yield f"at += {size}"
                self._named[name] = schema
            case ["null", other]:
                yield from self._nullable(into, other)
            case {"type": "array", "items": items}:
                yield from self._array(into, items)
            case {"type": "record", "name": str(name), "fields": [*fields]}:
                yield from self._record(into, fields)
                self._named[name] = schema
            case _:
                raise LookupError

    def _nullable(self, into: str, other: Any) -> Iterator[str]:
        yield "if data[at] == 0:"
        yield f"    {into} = None"
        yield "    at += 1"
        yield "elif data[at] == 2:"
        yield "    at += 1"
        yield from _indented(self.reading(into, other))
        yield "else:"
        yield "    raise ValueError"

    def _array(self, into: str, items: Any) -> Iterator[str]:
        """All items in one block, as every writer that is not streaming writes them."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise LookupError
        item = self._variable()
        yield f"{into} = []"
        yield f"{item}, at = _long(data, at)"
        yield f"if {item}:"
        yield f"    if not 0 < {item} <= len(data):"
        yield "        raise ValueError"
        yield f"    for _ in range({item}):"
        yield from _indented(_indented(self.reading(item, items)))
        yield f"        {into}.append({item})"
        yield "    if data[at] != 0:"
        yield "        raise ValueError"
        yield "    at += 1"
        self._depth -= 1

    def _record(self, into: str, fields: list[Any]) -> Iterator[str]:
        variables = [self._variable() for _ in fields]
        for field, variable in zip(fields, variables, strict=True):
            yield from self.reading(variable, field["type"])
        named = zip(fields, variables, strict=True)
        items = ", ".join(f"{field['name']!r}: {variable}" for field, variable in named)
        yield f"{into} = {{{items}}}"

    def _variable(self) -> str:
        if (name := next(self._variables, None)) is None:
            raise LookupError
        return name


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _string_or_short(into: str) -> Iterator[str]:
    yield "if data[at] & 0x81:  # long, or negative"
    yield f"    {into}, at = _string(data, at)"
    yield "else:"
    yield "    end = at + 1 + (data[at] >> 1)"
    yield f"    {into} = data[at + 1 : end].decode()"
    yield "    at = end"


def _long_or_short(into: str) -> Iterator[str]:
    yield f"{into} = data[at]"
    yield f"if {into} < 0x80:"
    yield f"    {into} = {into} >> 1 ^ -({into} & 1)"
    yield "    at += 1"
    yield "else:"
    yield f"    {into}, at = _long(data, at)"


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
    return _moment(micros), at


@lru_cache(maxsize=64)  # the same for a whole batch
def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    value, at = _bytes(data, at)
    return value.decode(), at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise ValueError
    return data[at] == 1, at + 1

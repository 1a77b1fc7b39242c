"""Avro's binary encoding of the few types that records are made of, written directly.

A batch makes thousands of records, and a general writer spends most of its time on choosing the
branches of unions. Reading (`strict`, or fastavro) refuses any other spelling; so a leaf that can
be read proves that these bytes are the ones fastavro would have written.
Source: Avro 1.12 specification, Binary Encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from civicbus_schemas.errors import InvalidEvent

NULL, PRESENT = b"\x00", b"\x02"
_SHORT = tuple(bytes([n]) for n in range(0x80))
_LIMIT = 1 << 63


def whole(value: int) -> bytes:
    """An `int` or `long`: zig-zag, then seven bits a byte, the lowest first."""
    if not -_LIMIT <= value < _LIMIT:
        raise InvalidEvent("a number does not fit 64 bits")
    rest = value << 1 if value >= 0 else ~(value << 1)
    if rest < 0x80:
        return _SHORT[rest]
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def text(value: str) -> bytes:
    """A `string`; raises `InvalidEvent` for a lone surrogate, which names no value."""
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent("a text is not Unicode") from None
    return whole(len(data)) + data


word = lru_cache(maxsize=4096)(text)
"""A `string` that comes again and again: a name of the nation's files or of our vocabularies."""


def fixed(data: bytes, size: int) -> bytes:
    """A `fixed` of that size; raises `InvalidEvent`."""
    if len(data) != size:
        raise InvalidEvent("fixed bytes have another size", got=len(data), expected=size)
    return data


def hexed(digits: str, size: int) -> bytes:
    """A `fixed` that is written in hex elsewhere."""
    return fixed(bytes.fromhex(digits), size)


def maybe_hexed(digits: str | None, size: int) -> bytes:
    """Null, or a `fixed` that is written in hex elsewhere."""
    return NULL if digits is None else PRESENT + hexed(digits, size)


def maybe_word(value: str | None) -> bytes:
    """Null, or a `string` that comes again and again."""
    return NULL if value is None else PRESENT + word(value)


def maybe_text(value: str | None) -> bytes:
    """Null, or a `string`."""
    return NULL if value is None else PRESENT + text(value)


def maybe_whole(value: int | None) -> bytes:
    """Null, or a number."""
    return NULL if value is None else PRESENT + whole(value)


def words(values: Sequence[str]) -> bytes:
    """An array of `string`s that come again and again."""
    if not values:
        return NULL
    return whole(len(values)) + b"".join(map(word, values)) + NULL

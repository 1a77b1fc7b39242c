"""The one spelling of base64 and decimals that evidence may use. Pure.

Python's own parsers are lax (` 10`, `+10`, `1_0`, `010`, padding bits that are not zero), and two
spellings of one value are room for two documents that say the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Never

from civicbus_schemas.errors import InvalidBytes

HASH_BYTES = 32

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_INTEGER = (1 << 63) - 1


def malformed(what: str, *, got: object = None, expected: object = None) -> Never:
    """Refuses evidence that does not follow its format."""
    raise InvalidBytes(what, got=got, expected=expected)


def parse_decimal(text: str, *, what: str) -> int:
    """The integer, 0 to 2^63 - 1, written without sign, space or leading zero."""
    if not _DECIMAL.fullmatch(text) or (value := int(text)) > _MAX_INTEGER:
        malformed(f"{what} is not a canonical decimal", got=ascii(text[:32]), expected="0 or 1-9…")
    return value


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def parse_base64(text: str, *, what: str) -> bytes:
    """The bytes of standard base64 in its only canonical spelling."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        malformed(f"{what} is not base64")
    if to_base64(data) != text:
        malformed(f"{what} is not canonical base64", expected="padding bits that are zero")
    return data


def parse_hash(text: str, *, what: str) -> bytes:
    """A 32-byte hash in canonical base64."""
    data = parse_base64(text, what=what)
    if len(data) != HASH_BYTES:
        malformed(f"{what} is not a hash", got=f"{len(data)} bytes", expected=f"{HASH_BYTES} bytes")
    return data

"""Cursors and tickets: what an answer hands out and takes back unchanged, bound to its asker.

A cursor goes on with one question, a ticket gets the proof of a row that was shown. Both are texts
with a MAC under a key that lives as long as the process; a successor's refuses them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

MAC_BYTES = 16


class Signet:
    """Seals numbers for an asker and a purpose, and opens what it sealed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, number: int, *bound: str) -> str:
        """The text for a number; `bound` must be the same when it is opened."""
        return _text(number.to_bytes(8) + self._mac(number, bound))

    def open(self, text: str, *bound: str) -> int | None:
        """The number in a text that was sealed so; else None."""
        try:
            data = base64.urlsafe_b64decode(text.encode("ascii"))
        except ValueError:
            return None
        if len(data) != 8 + MAC_BYTES or _text(data) != text:
            return None
        number = int.from_bytes(data[:8])
        return number if hmac.compare_digest(data[8:], self._mac(number, bound)) else None

    def _mac(self, number: int, bound: Sequence[str]) -> bytes:
        message = b"".join(len(part).to_bytes(4) + part for part in map(str.encode, bound))
        message += number.to_bytes(8)
        return hmac.digest(self._key, message, hashlib.sha256)[:MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()

"""The registry's own seal: what lies in its database and names a person, under a key it holds.

AES-256-GCM, nonce ‖ ciphertext; what the bytes belong to (an event's or a consent's id) is
authenticated along, so that they open nowhere else.
"""

from __future__ import annotations

import os

from civicbus_schemas.errors import EvidenceBroken
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class RowSeal:
    """Seals and opens with one key of 32 bytes."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, plaintext: bytes, *, of: str) -> bytes:
        """The sealed bytes, which open for the same `of` only."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plaintext, of.encode())

    def open(self, sealed: bytes, *, of: str) -> bytes:
        """What was sealed; raises `EvidenceBroken` if it was changed or moved."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], of.encode())
        except InvalidTag:
            raise EvidenceBroken(
                "a sealed row does not open", expected="the registry's key and its own row"
            ) from None

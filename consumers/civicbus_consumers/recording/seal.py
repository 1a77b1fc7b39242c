"""Sealed parts: what a record commits to and only authorised people may open.

AES-256-GCM under a key of the recorder, derived from the bus's seal key; the plaintext begins with
the record's 16-byte salt, so that the commitment in the record cannot be guessed at. Nonce = page
sequence ‖ index, which no recorder uses twice; the record id is authenticated along.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import RecorderId, RecordId
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 16
_NONCE = struct.Struct(">QI")


class Seal:
    """Seals and opens the parts of one recorder."""

    __slots__ = ("_cipher",)

    def __init__(self, seal_key: bytes, recorder: RecorderId) -> None:
        key = hmac.digest(seal_key, b"recorder\x00" + bytes.fromhex(recorder), hashlib.sha256)
        self._cipher = AESGCM(key)

    def close(
        self, plaintext: bytes, *, page: int, index: int, salt: bytes, id_: RecordId
    ) -> bytes:
        """The sealed part: nonce ‖ ciphertext of (salt ‖ plaintext)."""
        nonce = _NONCE.pack(page, index)
        return nonce + self._cipher.encrypt(nonce, salt + plaintext, bytes.fromhex(id_))

    def open(self, sealed: bytes, *, id_: RecordId) -> tuple[bytes, bytes]:
        """Salt and plaintext of a sealed part; raises `EvidenceBroken` if it was changed."""
        nonce, ciphertext = sealed[: _NONCE.size], sealed[_NONCE.size :]
        try:
            opened = self._cipher.decrypt(nonce, ciphertext, bytes.fromhex(id_))
        except InvalidTag:
            raise EvidenceBroken(
                "a sealed part does not open", expected="the recorder's key"
            ) from None
        return opened[:SALT_BYTES], opened[SALT_BYTES:]

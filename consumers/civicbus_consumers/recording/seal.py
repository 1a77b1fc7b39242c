"""Sealed parts: what a record commits to and only authorised people may open.

AES-256-GCM under the secret of whom the record is about. The plaintext begins with the record's
16-byte salt, so that the commitment in the record cannot be guessed at. Nonce = the first 12 bytes
of the record's id, which no two records share; the id is authenticated along. Once the secret is
destroyed nothing opens the part again, and every proof of the record holds as before.
"""

from __future__ import annotations

from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import RecordId
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import ORDER_KINDS
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT_BYTES = 16
_NONCE_BYTES = 12


def sealed_under(record: Record) -> str | None:
    """In whose name a record's part is sealed: its person, else its case, else its officer.

    Who ordered an erasure or an unsealing, and why, is sealed under the approver: it outlives the
    person's secret. None where a record names nobody: then nothing is secret, and the part is the
    bare salt.
    """
    if record.kind in ORDER_KINDS:
        return record.actor.officer
    case = None if record.req is None else record.req.case
    return record.subject or case or record.actor.officer


def close(plaintext: bytes, *, key: bytes, salt: bytes, id_: RecordId) -> bytes:
    """The sealed part: ciphertext of (salt ‖ plaintext)."""
    name = bytes.fromhex(id_)
    return AESGCM(key).encrypt(name[:_NONCE_BYTES], salt + plaintext, name)


def open_part(sealed: bytes, *, key: bytes, id_: RecordId) -> tuple[bytes, bytes]:
    """Salt and plaintext of a sealed part; raises `EvidenceBroken` if it was changed."""
    name = bytes.fromhex(id_)
    try:
        opened = AESGCM(key).decrypt(name[:_NONCE_BYTES], sealed, name)
    except InvalidTag:
        raise EvidenceBroken(
            "a sealed part does not open", expected="the key that it was sealed under"
        ) from None
    return opened[:SALT_BYTES], opened[SALT_BYTES:]

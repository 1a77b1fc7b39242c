"""C2SP tlog-cosignature: a witness says when it saw a checkpoint. Ed25519 only (type 0x04). Pure.

The signed message does not name the cosigner, so every witness needs a key of its own (`quorum`
refuses policies in which two share one, or in which one is a log's).
"""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_schemas.errors import EvidenceBroken, Refused
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_audit.note import (
    Signature,
    checked_name,
    ed25519_verifies,
    format_vkey,
    key_id_of,
    parse_vkey,
)

COSIGNATURE = b"\x04"
MAX_TIME_S = (1 << 63) - 1

_TIME_BYTES = 8
_LENGTH = _TIME_BYTES + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A known witness: its name and its 32-byte Ed25519 public key."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key), first 4 bytes."""
        return key_id_of(self.name, COSIGNATURE, self.public_key)

    def __str__(self) -> str:
        return format_vkey(self.name, COSIGNATURE, self.public_key)

    @classmethod
    def parse(cls, vkey: str) -> Cosigner:
        """The verifier key `name+hex key id+base64(0x04 ‖ public key)`."""
        name, public_key = parse_vkey(vkey, COSIGNATURE)
        return cls(name=name, public_key=public_key)

    def made(self, line: Signature) -> bool:
        """Whether the line claims to be of this key."""
        return (line.name, line.key_id) == (self.name, self.key_id)

    def time_s(self, text: str, line: Signature) -> int:
        """When this witness cosigned the note's text, in POSIX seconds; raises `EvidenceBroken`."""
        signature = line.signature
        at_s = int.from_bytes(signature[:_TIME_BYTES], "big")
        if (
            len(signature) != _LENGTH
            or at_s > MAX_TIME_S
            or not ed25519_verifies(
                self.public_key, signature[_TIME_BYTES:], _message(text, at_s=at_s)
            )
        ):
            raise EvidenceBroken(f"the cosignature by {self.name!a} is wrong")
        return at_s


class CosignatureSigner:
    """A witness's private key with its name."""

    __slots__ = ("_key", "cosigner")

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes_raw()
        self.cosigner = Cosigner(name=checked_name(name), public_key=public)

    def cosign(self, text: str, *, at_s: int) -> Signature:
        """The cosignature of a checkpoint's text; whoever calls has checked the checkpoint."""
        if not 0 < at_s <= MAX_TIME_S:
            raise Refused("no cosignature can have this time", got=at_s, expected="1 to 2^63 - 1")
        signed = self._key.sign(_message(text, at_s=at_s))
        return Signature(
            name=self.cosigner.name,
            key_id=self.cosigner.key_id,
            signature=at_s.to_bytes(_TIME_BYTES, "big") + signed,
        )


def _message(text: str, *, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()

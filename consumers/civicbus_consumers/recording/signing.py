"""The Ed25519 key with which a process signs its pages."""

from __future__ import annotations

from pathlib import Path

from civicbus_producers.settings import InvalidSettings, read_secret
from civicbus_schemas.page import key_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def read_signing_key(path: Path) -> tuple[Ed25519PrivateKey, str]:
    """The key in a PEM file of mode 0600, and its id; raises `InvalidSettings`."""
    try:
        key = load_pem_private_key(read_secret(path).encode(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSettings(f"no Ed25519 key in {path}", expected="PKCS8 in PEM")
    return key, key_id(key.public_key().public_bytes_raw())

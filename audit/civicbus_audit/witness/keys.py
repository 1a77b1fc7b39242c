"""A witness's private key: a PEM file of its own, for its owner's eyes only."""

from __future__ import annotations

import os
from pathlib import Path

from civicbus_schemas.errors import Refused
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_FORBIDDEN = 0o077


def make_key(file: Path) -> None:
    """Makes a new key; refuses to replace one."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
    except OSError as error:
        raise Refused(
            f"no key can be made in {file}",
            got=type(error).__name__,
            next_step="name a file that does not exist yet",
        ) from None


def read_key(file: Path) -> Ed25519PrivateKey:
    """The key in a file that nobody but its owner may read."""
    try:
        if mode := file.stat().st_mode & _FORBIDDEN:
            raise Refused(
                f"others may read the key in {file}",
                got=f"mode …{mode:03o}",
                expected="mode 600",
                next_step="chmod 600, and think of whether it was read",
            )
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused(f"{file} holds no readable key", got=type(error).__name__) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{file} holds another kind of key", expected="Ed25519")
    return key

"""Secrets of one state folder: made once, mode 0600, never printed or logged.

Each file ends in a newline, which readers strip.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MODE = 0o600


def password() -> bytes:
    """A password of 256 random bits, letters and digits and `-_` only."""
    return secrets.token_urlsafe(32).encode() + b"\n"


def hex_key() -> bytes:
    """32 random bytes as 64 hex characters."""
    return secrets.token_hex(32).encode() + b"\n"


def ed25519_pem() -> bytes:
    """A new Ed25519 private key, PKCS8 PEM, unencrypted."""
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def get_or_create(home: Path, name: str, make: Callable[[], bytes] = password) -> Path:
    """The file `H/secrets/<name>`, made by `make` if absent; of two makers at once one wins."""
    folder = home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    if path.exists():
        return path
    aside = folder / f".{name}.{secrets.token_hex(4)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(make())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(aside, path)  # unlike a rename, never replaces what another made meanwhile
        except FileExistsError:
            return path
    finally:
        aside.unlink()
    return path


def read(home: Path, name: str) -> str:
    """The text of `H/secrets/<name>`, which must exist, without its newline."""
    return (home / "secrets" / name).read_text().rstrip("\n")

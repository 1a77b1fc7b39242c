"""The keyring of pairwise keys in a state folder: completed, rotated, and former keys destroyed.

A key is destroyed when no file holds it any more: the keyring is replaced as a whole, and the
processes that knew the old one start anew. Copies of the folder are their makers' to destroy.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import Misused, Refused
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.keyring import (
    KEY_BYTES,
    Keyring,
    PairwiseKeys,
    encode_keyring,
    parse_keyring,
)

from civicbus_deploy.embedded.state import StateFolder, write_file


def keyring_file(folder: StateFolder) -> Path:
    """Where the keyring lies, mode 0600."""
    return folder.secrets / "pairwise-keys"


def read_keyring(folder: StateFolder) -> Keyring:
    """The keyring; empty before the first recipient was provisioned."""
    path = keyring_file(folder)
    return parse_keyring(read_secret(path)) if path.exists() else {}


def complete(folder: StateFolder, agencies: Iterable[AgencyId]) -> None:
    """Give a key to each of these agencies that has none."""
    keyring = read_keyring(folder)
    missing = {agency: _fresh() for agency in agencies if agency not in keyring}
    if missing:
        _write(folder, {**keyring, **{a: PairwiseKeys(key=key) for a, key in missing.items()}})


def rotate(folder: StateFolder, agency: str, *, overlap: timedelta, at: datetime) -> PairwiseKeys:
    """Give one recipient a new key; for the time of the overlap it is told both pseudonyms.

    Raises `Refused` for an agency without a key, and while another overlap lasts.
    """
    keyring, name = read_keyring(folder), AgencyId(agency)
    if name not in keyring:
        raise Refused(
            "no such recipient", got=agency, expected=sorted(keyring), next_step="civicbus up"
        )
    if overlap <= timedelta(0):
        raise Misused("an overlap of no time", expected="at least a day")
    renewed = keyring[name].rotated(_fresh(), until=at + overlap, at=at)
    _write(folder, {**keyring, name: renewed})
    return renewed


def retire(folder: StateFolder, *, at: datetime, now: str | None = None) -> tuple[AgencyId, ...]:
    """Destroy the former keys whose overlap is over, and the one of the agency `now`; whose."""
    keyring = read_keyring(folder)
    if now is not None and now not in keyring:
        raise Refused("no such recipient", got=now, expected=sorted(keyring))
    due = tuple(
        agency
        for agency, keys in keyring.items()
        if keys.former is not None and (keys.is_over(at) or agency == now)
    )
    if due:
        _write(folder, {a: k.retired() if a in due else k for a, k in keyring.items()})
    return due


def _fresh() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _write(folder: StateFolder, keyring: Keyring) -> None:
    write_file(keyring_file(folder), encode_keyring(keyring))

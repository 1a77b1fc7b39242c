"""Whom a process trusts to announce policy sets and to sign agreements.

The file is read anew at every announcement, so that an officer may be appointed while it runs.
"""

from __future__ import annotations

import json
from pathlib import Path

from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.announcement import open_announcement
from civicbus_schemas.errors import InvalidIdentifier, Refused, Stopped
from civicbus_schemas.ids import agency_id
from civicbus_schemas.page import key_id
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Officer, Party, Role, Trust
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def read_trust(path: Path) -> Trust:
    """The keys in a JSON file `{"announcers": …, "officers": …}`; raises `InvalidSettings`.

    Every key stands under its own id.
    """
    try:
        document = json.loads(path.read_bytes())
        announcers = {id_: bytes.fromhex(key) for id_, key in document["announcers"].items()}
        officers = {
            id_: Officer(
                party=Party(agency_id(body["agency"]), Role(body["role"])),
                public_key=bytes.fromhex(body["public_key"]),
            )
            for id_, body in document["officers"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InvalidIdentifier) as error:
        raise InvalidSettings(
            "the trusted keys cannot be read", got=f"{path}: {type(error).__name__}"
        ) from None
    keys = announcers | {id_: officer.public_key for id_, officer in officers.items()}
    wrong = sorted(id_ for id_, key in keys.items() if len(key) != 32 or key_id(key) != id_)
    if wrong:
        raise InvalidSettings(f"keys in {path} stand under another id", got=wrong)
    return Trust(officers=officers, announcers=announcers, verify=verify)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is Ed25519 of that key over the message (RFC 8032)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def open_policy(announced: bytes, trust_file: Path) -> PolicySet:
    """The announced policy set; raises `Stopped` for one that cannot be trusted (invariant I2)."""
    try:
        return open_announcement(announced, read_trust(trust_file))
    except Refused as error:
        raise Stopped(
            f"the announced policy set is refused: {error.what}",
            got=error.got,
            expected=error.expected,
            next_step=error.next_step or "announce a sound one: `civicbus provision`",
        ) from None

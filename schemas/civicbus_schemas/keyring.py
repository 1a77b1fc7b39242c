"""The recipients' pairwise keys: one for each, and for a while the one before it. Pure.

A key makes all that one recipient gets unlinkable to what others get: message keys, delivery ids,
pseudonymised values. Each recipient's is random and its own, so that one can be replaced, and the
former one destroyed, without touching the others. The keyring is a secret: nothing here is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId

KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseKeys:
    """One recipient's key, and the former one while the recipient is told both pseudonyms.

    `epoch` counts its keys from 1. The former key is to be destroyed at `told_until`.
    """

    epoch: int = 1
    key: bytes = field(repr=False)
    former: bytes | None = field(default=None, repr=False)
    told_until: datetime | None = None

    def former_at(self, at: datetime) -> bytes | None:
        """The former key while its overlap lasts."""
        return None if self.is_over(at) else self.former

    def is_over(self, at: datetime) -> bool:
        """Whether no overlap is under way."""
        return self.told_until is None or at >= self.told_until

    def rotated(self, key: bytes, *, until: datetime, at: datetime) -> PairwiseKeys:
        """With a new key, and this one as the former; refused while another overlap lasts."""
        if not self.is_over(at):
            raise Refused(
                "the former key is still in use",
                got=f"until {self.told_until:%Y-%m-%d %H:%M} UTC",
                next_step="wait, or end it: civicbus pseudonyms retire AGENCY --now",
            )
        return PairwiseKeys(epoch=self.epoch + 1, key=key, former=self.key, told_until=until)

    def retired(self) -> PairwiseKeys:
        """Without the former key."""
        return replace(self, former=None, told_until=None)


Keyring = Mapping[AgencyId, PairwiseKeys]


def encode_keyring(keyring: Keyring) -> bytes:
    """The keyring as its file holds it."""
    document = {agency: _document(keys) for agency, keys in sorted(keyring.items())}
    return json.dumps(document, indent=1).encode() + b"\n"


def _document(keys: PairwiseKeys) -> dict[str, Any]:
    return {
        "epoch": keys.epoch,
        "key": keys.key.hex(),
        "former": keys.former and keys.former.hex(),
        "told_until": keys.told_until and keys.told_until.isoformat(),
    }


def parse_keyring(text: str) -> Keyring:
    """The keyring in its file's text; raises `Refused`, which shows nothing of it."""
    try:
        document = json.loads(text)
        return {AgencyId(agency): _keys(entry) for agency, entry in document.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused(
            "the keyring of pairwise keys is malformed",
            expected="per agency: epoch, key, former, told_until",
            next_step="restore it; without it nobody can link what was delivered before",
        ) from None


def _keys(entry: Mapping[str, Any]) -> PairwiseKeys:
    epoch, former, until = entry["epoch"], entry["former"], entry["told_until"]
    keys = PairwiseKeys(
        epoch=epoch,
        key=bytes.fromhex(entry["key"]),
        former=None if former is None else bytes.fromhex(former),
        told_until=None if until is None else datetime.fromisoformat(until),
    )
    lengths = {len(key) for key in (keys.key, keys.former) if key is not None}
    aware = keys.told_until is None or keys.told_until.tzinfo is not None
    paired = (keys.former is None) == (keys.told_until is None)
    if type(epoch) is not int or lengths != {KEY_BYTES} or not aware or not paired:
        raise ValueError("malformed")
    return keys

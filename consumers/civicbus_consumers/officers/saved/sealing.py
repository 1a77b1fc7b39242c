"""What a saved query holds, sealed under its owner's key for its own id and version. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from civicbus_schemas.codec import canonical_json

from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.officers.request import parse_find
from civicbus_consumers.officers.rules import Find, SavedRef
from civicbus_consumers.officers.saved.acts import Kept, Saved

Keys = Mapping[str, bytes]
"""The sealing keys of those owners whom the vault still has."""


def close(title: str, find: Find, *, key: bytes, ref: SavedRef) -> bytes:
    """The sealed bytes."""
    told = canonical_json({"title": title, "find": find.document()})
    return RowSeal(key).close(told, of=str(ref))


def open_kept(kept: Kept, keys: Keys) -> Saved | None:
    """What was sealed; None where the vault lacks its owner's key. Raises `EvidenceBroken`."""
    if (key := keys.get(kept.owner)) is None:
        return None
    told = json.loads(RowSeal(key).open(kept.sealed, of=str(kept.ref)))
    return Saved(kept=kept, title=told["title"], find=parse_find(told["find"]))

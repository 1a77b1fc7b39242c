"""The file `minimum`: from which entry on a ledger's bundles are there, and which leaf says so.

C2SP tlog-tiles, section Pruning. The file alone allows nothing: `pruning` believes it only so far
as the leaf that it names says the same. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from civicbus_schemas.errors import EvidenceBroken

MINIMUM = "minimum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """The number of the first entry that is kept, and of the leaf by which those before it went."""

    minimum: int
    leaf: int

    def encode(self) -> bytes:
        """The file's bytes."""
        told = {"leaf": self.leaf, "minimum": self.minimum}
        return json.dumps(told, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Minimum:
        """The minimum of a file's bytes; raises `EvidenceBroken`."""
        try:
            told = json.loads(data)
            found = cls(minimum=told["minimum"], leaf=told["leaf"])
            if found.encode() == data and type(found.minimum) is type(found.leaf) is int:
                return found
        except (ValueError, KeyError, TypeError):
            pass
        raise EvidenceBroken(
            f"the file {MINIMUM} cannot be read",
            next_step="restore it from a copy of the ledger",
        )

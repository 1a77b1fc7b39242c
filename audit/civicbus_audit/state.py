"""The one file that says where sealing stands: its replacement is the commit of an append. Pure.

It binds the size and root of the log to the source position that they came from, so that sealing
resumes with exactly the next page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.merkle import EMPTY_ROOT

STATE = "state.json"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """Size and root; the next offset of the source; the append that led here.

    `since` is the size before that append and `stage` the folder of its files, both kept until the
    checkpoint is published. `memory` is the sequencer's own (`memory.Memory`), as JSON.
    """

    origin: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    position: int = 0
    since: int = 0
    stage: str | None = None
    memory: Mapping[str, Any]

    @property
    def checkpoint(self) -> Checkpoint:
        """What is to be signed."""
        return Checkpoint(origin=self.origin, size=self.size, root=self.root)

    def encode(self) -> bytes:
        """The file's bytes."""
        document = {
            "version": _VERSION,
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "position": self.position,
            "since": self.since,
            "stage": self.stage,
            "memory": self.memory,
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> LedgerState:
        """The state of a file's bytes; raises `EvidenceBroken`."""
        try:
            document = json.loads(data)
            if document.pop("version") != _VERSION:
                raise ValueError("version")
            if any(type(document[name]) is not int for name in ("size", "position", "since")):
                raise ValueError("numbers")
            return cls(**document | {"root": bytes.fromhex(document["root"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EvidenceBroken(
                f"{STATE} cannot be read",
                next_step="set it aside and run `civicbus-audit rebuild-state`",
            ) from None

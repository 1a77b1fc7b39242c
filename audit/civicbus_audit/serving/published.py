"""The checkpoints that a serving process has seen published. Nothing else may be asked about.

A log only grows: a checkpoint that is smaller than one seen before, or another one of the same
size, is a fault of the ledger and is not served.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.quorum import Trust, open_trusted, without_witnesses
from civicbus_audit.stored import CHECKPOINT, PENDING, Read

_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A checkpoint and the signed note that carries it."""

    checkpoint: Checkpoint
    note: bytes


class Publications:
    """The newest checkpoint, and the last few thousand that were seen before it."""

    def __init__(self, read: Read, trust: Trust) -> None:
        self._read, self._trust, self._lock = read, trust, Lock()
        self._seen: OrderedDict[int, Published] = OrderedDict()

    def newest(self) -> Published:
        """The checkpoint that is published now; raises `EvidenceBroken` if the log went back."""
        with self._lock:  # around the read, too: who read earlier must not judge later
            note = self._read(CHECKPOINT)
            last = next(reversed(self._seen.values()), None)
            if last is not None and last.note == note:
                return last
            found = Published(checkpoint=open_trusted(note, self._trust), note=note)
            if last is not None:
                _check_growth(last.checkpoint, found.checkpoint)
            self._seen[found.checkpoint.size] = found
            self._seen.move_to_end(found.checkpoint.size)
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
            return found

    def signed_size(self) -> int:
        """How many leaves the log has signed; mirrors hold them before a quorum has cosigned."""
        newest = self.newest().checkpoint.size
        try:
            pending = open_trusted(self._read(PENDING), without_witnesses(self._trust))
        except FileNotFoundError:
            return newest
        return max(newest, pending.size)

    def find(self, size: int) -> Published | None:
        """The checkpoint of this size, if it was seen."""
        with self._lock:
            return self._seen.get(size)


def _check_growth(old: Checkpoint, new: Checkpoint) -> None:
    if new.size < old.size or (new.size == old.size and new.root != old.root):
        raise EvidenceBroken(
            "the published checkpoint is not a later one",
            got=f"size {new.size}",
            expected=f"more than {old.size} leaves, or the same root",
        )

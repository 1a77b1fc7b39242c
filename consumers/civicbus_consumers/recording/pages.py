"""Building one page: stamps, records and sealed parts, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from civicbus_schemas.errors import Fatal
from civicbus_schemas.ids import RecorderId, RecordId
from civicbus_schemas.record import Record, commitment, record_id
from civicbus_schemas.subject import Secret

from civicbus_consumers.recording import seal

NONCE_BYTES = 16


class Marks(TypedDict):
    """The members that every record has of its stamp."""

    id: RecordId
    nonce: bytes
    at: datetime
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What makes one record itself: its id, its nonce, its salt, and the batch's time."""

    id: RecordId
    nonce: bytes
    salt: bytes
    at: datetime

    def marks(self, secret: bytes) -> Marks:
        """What the record has of it, with its commitment to what is sealed beside it."""
        return Marks(id=self.id, nonce=self.nonce, at=self.at, sealed=commitment(self.salt, secret))


class PageBuilder:
    """The records of one page, while they are being made.

    `entropy(n)` gives n random bytes. A page is built once: its records' ids come from its
    sequence, and the nonces of their sealed parts from these.
    """

    def __init__(
        self,
        *,
        recorder: RecorderId,
        sequence: int,
        at: datetime,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.at = at
        self.leaves: list[bytes] = []
        self.sealed: list[bytes] = []
        self._recorder, self._sequence = recorder, sequence
        self._entropy = entropy

    def stamp(self) -> Stamp:
        """The stamp of the next record."""
        random = self._entropy(NONCE_BYTES + seal.SALT_BYTES)
        return Stamp(
            id=record_id(self._recorder, page=self._sequence, index=len(self.leaves)),
            nonce=random[:NONCE_BYTES],
            salt=random[NONCE_BYTES:],
            at=self.at,
        )

    def add(
        self, record: Record, *, stamp: Stamp, secret: bytes = b"", under: Secret | None = None
    ) -> bytes:
        """Take a record and its sealed part; the leaf's bytes. Raises `TooLarge`.

        `under` is the secret of whom the record names; without it nothing can be secret. `Fatal`
        where it is somebody else's: nobody would find the key again.
        """
        name = None if under is None else under.pseudonym
        if name != (seal.sealed_under(record) if secret else name):
            raise Fatal("a sealed part under another name than its record's", got=record.kind)
        leaf = record.encode()
        part = stamp.salt
        if under is not None:
            part = seal.close(secret, key=under.sealing_key, salt=stamp.salt, id_=stamp.id)
        self.leaves.append(leaf)
        self.sealed.append(part)
        return leaf

    def forget_after(self, count: int) -> None:
        """Drop what was added after the first `count` records; nothing of it has left."""
        del self.leaves[count:], self.sealed[count:]

    def size_of(self, first: int) -> int:
        """About how many bytes the records from the first-th on add to the page."""
        return sum(map(len, self.leaves[first:])) + sum(map(len, self.sealed[first:]))

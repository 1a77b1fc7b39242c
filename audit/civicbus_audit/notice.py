"""A leaf of kind `log.gap`: what the sequencer found wrong with a page, and when. Pure.

It stands before the leaves of the page that it is about, or alone for a page that was set aside.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from civicbus_schemas.codec import AvroType
from civicbus_schemas.ids import RecorderId, RecordId
from civicbus_schemas.shapes import MICROS, fixed, from_hex, nullable, struct, to_hex
from civicbus_schemas.vocabulary import RecordKind

VERSION = 1
NOTICE = AvroType(
    struct(
        "Notice",
        namespace="civicbus.audit",
        v="int",
        id=fixed("Id", 16),
        kind="string",
        finding="string",
        at=MICROS,
        offset="long",
        content=fixed("Hash", 32),
        recorder=nullable("Id"),
        sequence=nullable("long"),
        expected=nullable("long"),
    )
)


class Finding(StrEnum):
    """What is wrong with a page. The first three are sequenced, the others set aside."""

    GAP = "gap"
    FORK = "fork"
    LATE = "late"
    UNREADABLE = "unreadable"
    RECORDS_DIFFER = "records-differ"
    UNKNOWN_KEY = "unknown-key"
    WRONG_SIGNATURE = "wrong-signature"
    FOREIGN_PROCESS = "foreign-process"


SET_ASIDE = (
    Finding.UNREADABLE,
    Finding.RECORDS_DIFFER,
    Finding.UNKNOWN_KEY,
    Finding.WRONG_SIGNATURE,
    Finding.FOREIGN_PROCESS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What was found about the message at one offset of the page topic.

    `content` is the page's hash if the page is in the ledger, else SHA-256 of the message's bytes,
    under which they are kept in `quarantine/`. `expected` is the sequence that should have come.
    """

    finding: Finding
    at: datetime
    offset: int
    content: str
    recorder: RecorderId | None = None
    sequence: int | None = None
    expected: int | None = None

    @property
    def id(self) -> RecordId:
        """Derived, so that the same finding twice has the same id."""
        message = f"civicbus.notice\x00{self.offset}\x00{self.finding}\x00{self.content}".encode()
        return RecordId(hashlib.sha256(message).digest()[:16].hex())

    def encode(self) -> bytes:
        """The leaf's exact bytes."""
        return NOTICE.encode_single_object(
            {
                "v": VERSION,
                "id": bytes.fromhex(self.id),
                "kind": RecordKind.LOG_GAP,
                "finding": self.finding,
                "at": self.at,
                "offset": self.offset,
                "content": bytes.fromhex(self.content),
                "recorder": from_hex(self.recorder),
                "sequence": self.sequence,
                "expected": self.expected,
            }
        )

    @classmethod
    def decode(cls, leaf: bytes) -> Notice:
        """The notice of a leaf; raises `InvalidBytes`."""
        datum = NOTICE.decode_single_object(leaf)
        recorder = to_hex(datum["recorder"])
        return cls(
            finding=Finding(datum["finding"]),
            at=datum["at"],
            offset=datum["offset"],
            content=datum["content"].hex(),
            recorder=None if recorder is None else RecorderId(recorder),
            sequence=datum["sequence"],
            expected=datum["expected"],
        )

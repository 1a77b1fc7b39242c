"""The page: the records of one batch as one message of one recorder, chained and signed.

Page hash = SHA-256 of the header leaf's bytes. The header binds its records by their RFC 6962
root, and an Ed25519 signature over the header vouches for everything before it in the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import PolicyVersion, RecorderId
from civicbus_schemas.shapes import BYTE_STRINGS, MICROS, array, fixed, nullable, struct, to_micros

VERSION = 1

HEADER = AvroType(
    struct(
        "PageHeader",
        namespace="civicbus.audit",
        v="int",
        process="string",
        recorder=fixed("Id", 16),
        sequence="long",
        previous=nullable(fixed("Hash", 32)),
        closes=nullable(struct("PageRef", recorder="Id", sequence="long", hash="Hash")),
        released=nullable("PageRef"),
        policy=nullable("Hash"),
        at=MICROS,
        positions=array(struct("Position", topic="string", partition="long", offset="long")),
        records="long",
        root="Hash",
    )
)

HEADER_LEAF = AvroType(
    struct(
        "PageLeaf",
        namespace="civicbus.audit",
        header="bytes",
        key=fixed("KeyId", 8),
        signature=fixed("Signature", 64),
    )
)

PAGE = AvroType(
    struct(
        "Page",
        namespace="civicbus.audit",
        header="bytes",
        records=BYTE_STRINGS,
        sealed=BYTE_STRINGS,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRef:
    """One page of one recorder, by its hash (hex)."""

    recorder: RecorderId
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """The next offset to read of one partition of a state topic."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHeader:
    """What one page says of itself and of its recorder.

    `sequence` counts from 0 without gaps. `released` is the newest page of this recorder whose
    transaction is known to be committed; since a recorder sends a page only after the one before
    was committed, it stands for all before it. `closes` stands in the first page of a recorder: the
    predecessor's last released page, or none was; whatever the predecessor sent after it was
    aborted and may have been seen. A page without records is a heartbeat.
    """

    process: str
    recorder: RecorderId
    sequence: int
    previous: str | None
    closes: PageRef | None
    released: PageRef | None
    policy: PolicyVersion | None
    at: datetime
    positions: tuple[Position, ...]
    records: int
    root: str

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return HEADER.encode_single_object(
            {
                "v": VERSION,
                "process": self.process,
                "recorder": bytes.fromhex(self.recorder),
                "sequence": self.sequence,
                "previous": bytes.fromhex(self.previous) if self.previous else None,
                "closes": _ref_datum(self.closes),
                "released": _ref_datum(self.released),
                "policy": bytes.fromhex(self.policy) if self.policy else None,
                "at": to_micros(self.at),
                "positions": [
                    {"topic": p.topic, "partition": p.partition, "offset": p.offset}
                    for p in self.positions
                ],
                "records": self.records,
                "root": bytes.fromhex(self.root),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> PageHeader:
        """The header of signed bytes; raises `InvalidBytes`."""
        datum = HEADER.decode_single_object(data)
        version = datum.pop("v")
        if version != VERSION:
            raise InvalidBytes("a page of another version", got=version, expected=VERSION)
        return cls(
            **datum
            | {
                "recorder": RecorderId(datum["recorder"].hex()),
                "previous": datum["previous"].hex() if datum["previous"] else None,
                "closes": _ref(datum["closes"]),
                "released": _ref(datum["released"]),
                "policy": PolicyVersion(datum["policy"].hex()) if datum["policy"] else None,
                "positions": tuple(Position(**p) for p in datum["positions"]),
                "root": datum["root"].hex(),
            }
        )


class Signer(Protocol):
    """An Ed25519 key that signs; `cryptography`'s private key is one."""

    def sign(self, data: bytes, /) -> bytes:
        """The 64-byte signature of the data."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page as it travels: header leaf, record leaves, and sealed parts beside them.

    `sealed[i]` belongs to `records[i]` and is empty where there is nothing sealed.
    """

    header: bytes
    records: tuple[bytes, ...]
    sealed: tuple[bytes, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the header leaf, hex."""
        return hashlib.sha256(self.header).hexdigest()

    def encode(self) -> bytes:
        """The Avro body of the message."""
        return PAGE.encode({"header": self.header, "records": self.records, "sealed": self.sealed})

    @classmethod
    def decode(cls, body: bytes) -> Page:
        """The page of an Avro body; raises `InvalidBytes`."""
        datum = PAGE.decode(body)
        if len(datum["records"]) != len(datum["sealed"]):
            raise InvalidBytes(
                "a page whose sealed parts do not match its records",
                got=f"{len(datum['sealed'])} sealed parts",
                expected=f"{len(datum['records'])}",
            )
        return cls(
            header=datum["header"], records=tuple(datum["records"]), sealed=tuple(datum["sealed"])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLeaf:
    """A header with its signature: the first leaf of its page. `key` is from `key_id`."""

    header: PageHeader
    signed: bytes
    key: str
    signature: bytes

    @classmethod
    def decode(cls, leaf: bytes) -> HeaderLeaf:
        """The header leaf of single-object bytes; raises `InvalidBytes`."""
        datum = HEADER_LEAF.decode_single_object(leaf)
        return cls(
            header=PageHeader.decode(datum["header"]),
            signed=datum["header"],
            key=datum["key"].hex(),
            signature=datum["signature"],
        )


def key_id(public_key: bytes) -> str:
    """The id of a process's signing key: first 8 bytes of SHA-256 of its 32 raw bytes, hex."""
    return hashlib.sha256(public_key).digest()[:8].hex()


def sign_page(
    header: PageHeader,
    *,
    records: Sequence[bytes],
    sealed: Sequence[bytes],
    signer: Signer,
    key: str,
) -> Page:
    """The page of these records under this header."""
    signed = header.encode()
    leaf = HEADER_LEAF.encode_single_object(
        {"header": signed, "key": bytes.fromhex(key), "signature": signer.sign(signed)}
    )
    return Page(header=leaf, records=tuple(records), sealed=tuple(sealed))


def _ref_datum(ref: PageRef | None) -> dict[str, Any] | None:
    if ref is None:
        return None
    return {
        "recorder": bytes.fromhex(ref.recorder),
        "sequence": ref.sequence,
        "hash": bytes.fromhex(ref.hash),
    }


def _ref(datum: dict[str, Any] | None) -> PageRef | None:
    if datum is None:
        return None
    return PageRef(
        recorder=RecorderId(datum["recorder"].hex()),
        sequence=datum["sequence"],
        hash=datum["hash"].hex(),
    )

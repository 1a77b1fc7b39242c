"""The sequencer: which leaves a page becomes, in which order, and what was wrong with it. Pure.

Nothing that was on the page topic is dropped except exact repetitions of a sequenced page:
gaps, forks and late pages are sequenced behind a notice; what is not an authentic page is set
aside behind a notice, because forged records must not lie among real ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from civicbus_schemas.codec import unframe
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import RecorderId, RecordId
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf, Page, PageHeader
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.notice import NOTICE, Finding, Notice
from civicbus_audit.pruning import PRUNER, speaks_of_pruning
from civicbus_audit.tiles import MAX_LEAF_BYTES

_NOT_RECORDS = (HEADER_LEAF, NOTICE, INDEX_COMMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderKey:
    """A raw Ed25519 public key, and the names of processes that it may write pages under."""

    public_key: bytes
    processes: frozenset[str]


Keys = Mapping[str, RecorderKey]
"""Who may write pages, by `page.key_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMessage:
    """One message of the page topic; `at` is the broker's time."""

    offset: int
    at: datetime
    value: bytes


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The newest page of one recorder: its sequence, its hash (hex), and whose chain it is.

    `process` is None where a state from before that was kept does not say it.
    """

    sequence: int
    hash: str
    process: str | None = None


@dataclass(frozen=True, slots=True)
class Chains:
    """Where every recorder's chain ends."""

    ends: Mapping[RecorderId, ChainEnd] = field(default_factory=dict)

    def after(self, header: PageHeader, *, page_hash: str) -> Chains:
        """The chains once this page is sequenced; a page from before the end moves nothing."""
        end = self.ends.get(header.recorder)
        if end is not None and header.sequence <= end.sequence:
            return self
        end = ChainEnd(header.sequence, page_hash, header.process)
        return Chains({**self.ends, header.recorder: end})

    def to_json(self) -> dict[str, Any]:
        """As the ledger's state keeps it."""
        return {name: [end.sequence, end.hash, end.process] for name, end in self.ends.items()}

    @classmethod
    def from_json(cls, memory: Mapping[str, Any]) -> Chains:
        """The chains that `to_json` wrote."""
        return cls({RecorderId(name): ChainEnd(*end) for name, end in memory.items()})

    def after_leaf(self, leaf: bytes) -> Chains:
        """The chains behind one more leaf of a ledger, the same that sequencing left."""
        if not HEADER_LEAF.wrote(leaf):
            return self
        header = HeaderLeaf.decode(leaf).header
        return self.after(header, page_hash=hashlib.sha256(leaf).hexdigest())


class Seen(Protocol):
    """What the ledger already holds; asked only about pages that come out of turn."""

    def pages(self, recorder: RecorderId, sequence: int) -> frozenset[str]:
        """The hashes of the pages of that recorder with that sequence."""
        ...

    def notice(self, id_: RecordId) -> bool:
        """Whether there is a notice with this id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequenced:
    """What one message becomes; `leaves[i]` goes with `sealed[i]`, and nothing if `duplicate`."""

    chains: Chains
    leaves: tuple[bytes, ...] = ()
    sealed: tuple[bytes, ...] = ()
    quarantine: Mapping[str, bytes] = field(default_factory=dict)
    finding: Finding | None = None
    page: HeaderLeaf | None = None
    duplicate: bool = False


def sequence(message: PageMessage, chains: Chains, *, keys: Keys, seen: Seen) -> Sequenced:
    """The leaves of one message: a notice where one is due, then the header, then the records."""
    try:
        page, header = _read(message.value)
    except InvalidBytes:
        return _set_aside(message, chains, finding=Finding.UNREADABLE, seen=seen)
    if fault := _authenticity(page, header, keys=keys):
        return _set_aside(message, chains, finding=fault, seen=seen)
    if _speaks_for_another(header.header, chains=chains):
        return _set_aside(message, chains, finding=Finding.FOREIGN_PROCESS, seen=seen)
    if _repeats(page, header.header, chains=chains, seen=seen):
        return Sequenced(chains=chains, duplicate=True, page=header)
    finding, expected = _order(header.header, chains=chains, seen=seen)
    leaves, sealed = [page.header, *page.records], [b"", *page.sealed]
    if finding is not None:
        notice = Notice(
            finding=finding,
            at=message.at,
            offset=message.offset,
            content=page.hash,
            recorder=header.header.recorder,
            sequence=header.header.sequence,
            expected=expected,
        )
        leaves, sealed = [notice.encode(), *leaves], [b"", *sealed]
    return Sequenced(
        chains=chains.after(header.header, page_hash=page.hash),
        leaves=tuple(leaves),
        sealed=tuple(sealed),
        finding=finding,
        page=header,
    )


def _read(value: bytes) -> tuple[Page, HeaderLeaf]:
    page = Page.decode(unframe(value)[1])
    header = HeaderLeaf.decode(page.header)
    if (
        header.header.sequence < 0
        or len(page.sealed) != len(page.records)
        or max(map(len, [page.header, *page.records])) > MAX_LEAF_BYTES
        or any(leaf.wrote(record) for record in page.records for leaf in _NOT_RECORDS)
    ):
        raise InvalidBytes("not a page that a ledger can hold")
    return page, header


def _authenticity(page: Page, header: HeaderLeaf, *, keys: Keys) -> Finding | None:
    """Whether a known key signed the header, under a name of its own, and the header the records;
    and whether they say what that name may say.

    The name comes after the signature: only who holds the key is said to have used a foreign name.
    """
    if (key := keys.get(header.key)) is None:
        return Finding.UNKNOWN_KEY
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(header.signature, header.signed)
    except InvalidSignature:
        return Finding.WRONG_SIGNATURE
    process = header.header.process
    if process not in key.processes:
        return Finding.FOREIGN_PROCESS
    if process != PRUNER and any(map(speaks_of_pruning, page.records)):
        return Finding.FOREIGN_PROCESS
    root = CompactRange().extended(map(leaf_hash, page.records)).root()
    if (len(page.records), root.hex()) != (header.header.records, header.header.root):
        return Finding.RECORDS_DIFFER
    return None


def _speaks_for_another(header: PageHeader, *, chains: Chains) -> bool:
    """Whether it goes on with, closes or tells of a chain that another process has begun."""
    told = (header.closes, header.released)
    chained = {header.recorder, *(page.recorder for page in told if page is not None)}
    begun = (chains.ends[recorder].process for recorder in chained if recorder in chains.ends)
    return any(process not in (None, header.process) for process in begun)


def _repeats(page: Page, header: PageHeader, *, chains: Chains, seen: Seen) -> bool:
    """Whether this very page is in the ledger already."""
    end = chains.ends.get(header.recorder)
    if end is None or header.sequence > end.sequence:
        return False
    return page.hash == end.hash or page.hash in seen.pages(header.recorder, header.sequence)


def _order(header: PageHeader, *, chains: Chains, seen: Seen) -> tuple[Finding | None, int]:
    """What is wrong with the page's place in its chain, and the sequence that was expected."""
    end = chains.ends.get(header.recorder)
    expected = 0 if end is None else end.sequence + 1
    if header.sequence > expected:
        return Finding.GAP, expected
    if header.sequence == expected:
        follows = header.previous == (None if end is None else end.hash)
        return (None if follows else Finding.FORK), expected
    taken = seen.pages(header.recorder, header.sequence)
    return (Finding.FORK if taken else Finding.LATE), expected


def _set_aside(message: PageMessage, chains: Chains, *, finding: Finding, seen: Seen) -> Sequenced:
    content = hashlib.sha256(message.value).hexdigest()
    notice = Notice(finding=finding, at=message.at, offset=message.offset, content=content)
    if seen.notice(notice.id):
        return Sequenced(chains=chains, duplicate=True)
    return Sequenced(
        chains=chains,
        leaves=(notice.encode(),),
        sealed=(b"",),
        quarantine={content: message.value},
        finding=finding,
    )

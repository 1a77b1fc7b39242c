"""Pruning after retention: which entries a ledger may lack, and by whose order.

Entries and sealed parts that lie wholly below a minimum go; every hash tile stays, so that no
proof and no checkpoint becomes void. The minimum is believed only where a leaf of kind
`retention.prune` says it, which two officials ordered (C2SP tlog-tiles, section Pruning).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.edge import Edge
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.minimum import MINIMUM, Minimum
from civicbus_audit.stored import Read, StoredLog
from civicbus_audit.tiles import WIDTH

PRUNER = "oversight"
"""The process whose pages may say what is pruned: the one that carries orders of two out."""
APPROVER = "supervisor"
_KIND = RecordKind.RETENTION_PRUNE.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What a leaf of kind `retention.prune` says; `root` is that of the leaves before `first`.

    At `first` stands an index commit, so that all commits behind it can be made again. What lies
    between `minimum` and it is kept for its bundle's sake, and nobody reads it.
    """

    first: int
    root: str
    leaf: int
    at: datetime
    rule: str | None

    @property
    def minimum(self) -> int:
        """The first entry that is kept: `first`, rounded down to a whole bundle."""
        return minimum_of(self.first)


def minimum_of(first: int) -> int:
    """The number of the first entry of the bundle that holds this one."""
    return first - first % WIDTH


def speaks_of_pruning(leaf: bytes) -> bool:
    """Whether it is a record of kind `retention.prune`: only `PRUNER`'s pages may hold one."""
    return _record_of_pruning(leaf) is not None


def pruning_of(leaf: bytes, index: int) -> Pruning | None:
    """What the leaf of this number prunes; None for a leaf that prunes nothing."""
    record = _record_of_pruning(leaf)
    if record is None or record.decision is not Outcome.PERMIT:
        return None
    if record.payload_hash is None or not 0 < record.rows < index:
        return None
    if record.actor.role != APPROVER:
        return None
    return Pruning(
        first=record.rows, root=record.payload_hash, leaf=index, at=record.at, rule=record.rule
    )


def _record_of_pruning(leaf: bytes) -> Record | None:
    if _KIND not in leaf or not RECORD.wrote(leaf):
        return None
    try:
        record = Record.decode(leaf)
    except InvalidBytes:
        return None
    return record if record.kind is RecordKind.RETENTION_PRUNE else None


def open_log(read: Read, size: int) -> StoredLog:
    """The first `size` leaves of a ledger, from the first that is kept on; see `find_pruning`."""
    pruning = find_pruning(read, size)
    return StoredLog(read, size, first=pruning.first if pruning else 0)


def find_pruning(read: Read, size: int) -> Pruning | None:
    """What is pruned of a ledger, as a leaf of it says; None of a whole one.

    Raises `EvidenceBroken` for a file `minimum` that no leaf of these bears out.
    """
    try:
        told = Minimum.decode(read(MINIMUM))
    except FileNotFoundError:
        return None
    if not told.minimum < told.leaf < size:
        raise _unfounded(told, f"a log of {size} leaves")
    pruning = prove_pruned(StoredLog(read, size, first=told.minimum), told.leaf)
    if pruning.minimum != told.minimum:
        raise _unfounded(told, f"leaf {told.leaf} says {pruning.minimum}")
    return pruning


def prove_pruned(log: StoredLog, index: int) -> Pruning:
    """What the leaf of this number prunes; raises `EvidenceBroken` unless it may say so.

    1. It prunes what may be missing, and no less. 2. A page of the process that carries orders out
    brought it. 3. It names the root of what it prunes. 4. An index commit stands where it says that
    the ledger begins now. That it is in the tree at all is for `verify` to count.
    """
    pruning = pruning_of(log.leaf(index), index)
    if pruning is None:  # 1
        raise EvidenceBroken(f"leaf {index} does not prune the ledger")
    if pruning.first < log.first:
        raise EvidenceBroken(f"leaf {index} prunes less than is missing", got=f"{log.first} leaves")
    if _process_of(log, index, since=pruning.first) != PRUNER:  # 2
        raise EvidenceBroken(f"leaf {index} prunes the ledger, and was not written by {PRUNER}")
    if _root_before(log, pruning.first).hex() != pruning.root:  # 3
        raise EvidenceBroken(f"leaf {index} prunes another ledger")
    if not INDEX_COMMIT.wrote(log.leaf(pruning.first)):  # 4
        raise EvidenceBroken(f"leaf {index} prunes the ledger up to no index commit")
    return pruning


def widest_pruning(log: StoredLog) -> Pruning | None:
    """What the leaf says that prunes most, proved; None where no leaf prunes."""
    said = (pruning_of(leaf, index) for index, leaf in log.containing(_KIND))
    found = [(pruning.first, pruning.leaf) for pruning in said if pruning]
    return prove_pruned(log, max(found)[1]) if found else None


def find_leaf_that_pruned(log: StoredLog) -> int | None:
    """The newest leaf by which the log begins where it begins; None where none says so."""
    leaves = (pruning_of(leaf, index) for index, leaf in log.containing(_KIND))
    places = [pruning.leaf for pruning in leaves if pruning and pruning.first == log.first]
    return places[-1] if places else None


def _root_before(log: StoredLog, first: int) -> bytes:
    """The root of the leaves before this one: of bundles by their hashes, then of entries."""
    whole = minimum_of(first)
    peaks = Edge.load(log.prefix(whole), read=lambda _path: b"").peaks
    return peaks.extended(map(leaf_hash, log.bundle(whole // WIDTH)[: first - whole])).root()


def _process_of(log: StoredLog, index: int, *, since: int) -> str | None:
    """Who wrote the page that a record's leaf is of."""
    for place in reversed(range(since, index)):
        leaf = log.leaf(place)
        if HEADER_LEAF.wrote(leaf):
            header = HeaderLeaf.decode(leaf).header
            return header.process if index - place <= header.records else None
        if not RECORD.wrote(leaf):
            return None
    return None


def _unfounded(told: Minimum, why: str) -> EvidenceBroken:
    return EvidenceBroken(
        f"the file {MINIMUM} claims more than the ledger says",
        got=f"minimum {told.minimum} by leaf {told.leaf}",
        expected=why,
        next_step="restore the entries from a mirror, and find out who deleted them",
    )

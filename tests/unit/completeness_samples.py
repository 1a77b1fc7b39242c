"""A log with index commits, made leaf by leaf, and a signed checkpoint over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from civicbus_audit.checkpoint import Checkpoint, sign_checkpoint
from civicbus_audit.completeness.commit import Tally
from civicbus_audit.edge import Edge
from civicbus_audit.merkle import CompactRange
from civicbus_audit.note import Signer
from civicbus_audit.stored import StoredLog
from civicbus_schemas.record import Record, Request
from civicbus_schemas.vocabulary import Outcome, RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.pages import AT, decision

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
COMMIT = None
"""Stands in a list of records for an index commit of what is before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLog:
    """A stored log and the note of its checkpoint."""

    log: StoredLog
    note: bytes
    leaves: tuple[bytes, ...] = field(repr=False)


def sample_log(*records: Record | bytes | None) -> SampleLog:
    """The log of these records, with commits where they are called for."""
    leaves, tally = list[bytes](), Tally(0)
    for record in records:
        if record is COMMIT:
            leaves.append(tally.commit(AT).encode())
            tally = Tally(tally.end)
        else:
            leaves.append(record.encode() if isinstance(record, Record) else record)
        tally.add(leaves[-1])
    return log_of(leaves)


def log_of(leaves: Sequence[bytes]) -> SampleLog:
    """The log of these leaves."""
    edge, files = Edge(peaks=CompactRange()).grown(leaves, [b""] * len(leaves))

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    checkpoint = Checkpoint(origin=ORIGIN, size=edge.size, root=edge.peaks.root())
    return SampleLog(
        log=StoredLog(read, edge.size),
        note=sign_checkpoint(checkpoint, LOG),
        leaves=tuple(leaves),
    )


def person(number: int) -> str:
    """A pseudonym."""
    return f"{number:032x}"


def reading(number: int, *, hours: int = 0, recipient: str = "vss") -> Record:
    """A reading about a person, so many hours after the beginning."""
    return decision(subject=person(number), minutes=60 * hours, recipient=recipient)


def investigation(number: int, *, case: str = "c" * 32, hours: int = 0) -> Record:
    """A reading that the person is told of when the case is closed."""
    record = reading(number, hours=hours, recipient="police")
    return replace(record, kind=RecordKind.ACCESS_DEFERRED, req=Request(case=case))


def closing(case: str = "c" * 32) -> Record:
    """The end of an investigation."""
    record = replace(decision(), kind=RecordKind.CASE_CLOSED, subject=None, recipient=None)
    return replace(record, req=Request(case=case), at=AT + timedelta(hours=9))


def refusal(number: int) -> Record:
    """A refused attempt."""
    return decision(subject=person(number), outcome=Outcome.DENY)

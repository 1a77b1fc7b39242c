"""Pages as recorders write them, for tests of sealing, index and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.pruning import PRUNER
from civicbus_audit.sequencing import PageMessage, RecorderKey
from civicbus_schemas.codec import frame
from civicbus_schemas.ids import AgencyId, AgreementRef, EventId, EventType, RecorderId
from civicbus_schemas.page import Page, PageHeader, PageRef, Position, key_id, sign_page
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Record, Request, Source, record_id
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
PROCESSES = ("enforce-0", "lookup", "lookup-consents", PRUNER)
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def bound(signer: Ed25519PrivateKey, *processes: str) -> dict[str, RecorderKey]:
    """The public half of a key, by its id, with the names that it may write under."""
    public = signer.public_key().public_bytes_raw()
    return {key_id(public): RecorderKey(public_key=public, processes=frozenset(processes))}


PUBLIC_KEYS = bound(KEY, *PROCESSES)
"""One key for whatever tests write; who may write under which name has tests of its own."""


def keys_document(keys: Mapping[str, RecorderKey] = PUBLIC_KEYS) -> dict[str, object]:
    """The same as the file of recorder keys has it."""
    return {
        id_: {"public_key": key.public_key.hex(), "processes": sorted(key.processes)}
        for id_, key in keys.items()
    }


@dataclass(slots=True)
class FakeRecorder:
    """A recorder that signs with a known key; `write` gives the next page of its chain."""

    recorder: RecorderId
    process: str = "enforce-0"
    sequence: int = 0
    previous: str | None = None
    released: PageRef | None = None
    closes: PageRef | None = None
    positions: tuple[Position, ...] = ()
    signer: Ed25519PrivateKey = KEY

    def write(self, *records: Record, at: datetime = AT) -> Page:
        leaves = [
            replace(r, id=record_id(self.recorder, page=self.sequence, index=i)).encode()
            for i, r in enumerate(records)
        ]
        page = self._sign(leaves, at=at)
        self.sequence, self.previous = self.sequence + 1, page.hash
        return page

    def successor(self, recorder: RecorderId) -> FakeRecorder:
        """A recorder that closes this one at the page that it released last."""
        return replace(
            self,
            recorder=recorder,
            sequence=0,
            previous=None,
            released=None,
            closes=self.released or self.closes,
        )

    def release(self, page: Page) -> None:
        """What the next page says of this one, the newest."""
        self.released = PageRef(recorder=self.recorder, sequence=self.sequence - 1, hash=page.hash)

    def _sign(self, leaves: Sequence[bytes], *, at: datetime) -> Page:
        header = PageHeader(
            process=self.process,
            recorder=self.recorder,
            sequence=self.sequence,
            previous=self.previous,
            closes=self.closes if self.sequence == 0 else None,
            released=self.released,
            policy=None,
            at=at,
            positions=self.positions,
            records=len(leaves),
            root=CompactRange().extended(map(leaf_hash, leaves)).root().hex(),
        )
        sealed = [b"sealed"] * len(leaves)
        key = key_id(self.signer.public_key().public_bytes_raw())
        return sign_page(header, records=leaves, sealed=sealed, signer=self.signer, key=key)


def decision(
    *,
    subject: str = "5" * 32,
    recipient: str = "vss",
    outcome: Outcome = Outcome.PERMIT,
    reason: Reason | None = None,
    rule: str | None = None,
    officer: str | None = None,
    minutes: int = 0,
) -> Record:
    """A record of one decision; its id is set when a page is written."""
    return Record(
        id=record_id(RecorderId("0" * 32), page=0, index=0),
        nonce=bytes(16),
        kind=RecordKind.ACCESS_DECISION,
        at=AT + timedelta(minutes=minutes),
        actor=Actor(agency=AgencyId(recipient), system="stream", officer=officer),
        decision=outcome,
        reason=reason,
        rule=rule,
        recipient=AgencyId(recipient),
        subject=LedgerPseudonym(subject),
        agreement=AgreementRef("vss.child-health-insurance", 3),
        event=Source(topic="src.moj.civil-status.v1", partition=1, offset=2, id=EventId("e-1")),
        dataset=EventType("civil-status.BirthRegistered"),
        fields=("child.pin", "child.full_name"),
        purpose="health-insurance.enrol-child",
        basis="law.state-management",
        req=Request(case="c" * 32) if officer else None,
    )


def messages(*pages: Page, start: int = 0) -> list[PageMessage]:
    """The pages as the page topic has them."""
    return [
        PageMessage(offset=offset, at=AT, value=frame(7, page.encode()))
        for offset, page in enumerate(pages, start)
    ]

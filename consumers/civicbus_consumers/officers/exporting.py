"""Evidence bundles for officials, out of the ledger itself.

1. judge   2. record, and wait for the acknowledgement   3. read the ledger, make the bundle
4. the bundle loses its name; what is handed out is an open file, of which nothing stays
"""

from __future__ import annotations

import shutil
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from civicbus_audit.evidence.export import Source, export
from civicbus_audit.evidence.request import Request
from civicbus_audit.note import Signer
from civicbus_audit.places import Places
from civicbus_audit.verify import published
from civicbus_schemas.errors import BusError, EvidenceBroken, Refused, TooLarge, Unavailable
from civicbus_schemas.vocabulary import RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.officers.desk import Desk
from civicbus_consumers.officers.journal import Receipt, undone
from civicbus_consumers.officers.orders import Act, Given, is_same
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.rules import (
    Approval,
    Asker,
    Citizen,
    Question,
    judge_export,
)
from civicbus_consumers.officers.token import Pass


class TakesTwo(TooLarge):
    """More than one official exports alone; with another's approval there is more to be had."""


class Bundles(Protocol):
    """What makes bundles. Calls raise `TooLarge`, `EvidenceBroken` or another `BusError`."""

    def make(self, request: Request, *, at: datetime, alone: bool) -> BinaryIO:
        """The bundle of a request that is on record: an open zip without a name.

        `alone`: one official asks for it; then it may raise `TakesTwo`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerBundles:
    """The ledger's own files, and the folder in which a bundle is made.

    At most `max_records` a bundle, `alone_max` for one official, and `deadline_s` to make it.
    """

    places: Places
    key: Ed25519PrivateKey = field(repr=False)
    folder: Path
    max_records: int
    alone_max: int
    deadline_s: float

    def sweep(self) -> None:
        """Make the folder, empty: what lies there is of a process that was killed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700, parents=True)

    def make(self, request: Request, *, at: datetime, alone: bool) -> BinaryIO:
        """As `Bundles` says; raises `Unavailable` where it takes too long."""
        source = Source(directory=self.places.directory(), trust=self.places.trust())
        origin = published(source.directory, source.trust)[0].origin
        ends_at = time.monotonic() + self.deadline_s

        def check(_leaves: int) -> None:
            if time.monotonic() > ends_at:
                raise Unavailable("a bundle takes too long", expected=f"≤ {self.deadline_s} s")

        target = self.folder / f"{uuid.uuid4().hex}.zip"
        fewer = alone and self.alone_max < self.max_records
        try:
            export(
                request,
                source,
                target,
                signer=Signer(f"{origin}/exporter", self.key),
                at=at,
                before_reading=lambda _: None,  # its caller has recorded it
                max_records=self.alone_max if fewer else self.max_records,
                on_progress=check,
            )
        except TooLarge as error:
            if fewer:
                raise TakesTwo(
                    "this takes two officials", expected=f"at most {self.alone_max} alone"
                ) from error
            raise
        bundle = target.open("rb")
        target.unlink()
        return bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A bundle, to be handed out and closed, and the record of its export."""

    receipt: Receipt
    bundle: BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDesk:
    """Makes bundles; which of them may run at a time is its caller's to say."""

    desk: Desk
    bundles: Bundles

    def export(self, holder: Pass, question: Question) -> Exported:
        """The bundle, which is on record before it is made; raises `OfficersProblem`.

        Whoever asks without a second official's approval is given a small one, or none.
        """
        now, alone = datetime.now(UTC), question.approval is None
        verdict = judge_export(holder.asker, question, now=now)  # 1
        _, query, receipt = self.desk.note(  # 2
            holder, question, verdict, kind=RecordKind.OFFICER_EXPORT
        )
        try:
            request = Request(
                query=query,
                agency=holder.asker.agency,
                officer=_name_of(holder.asker),
                purpose=question.purpose,
                case=question.case,
            )
            bundle = self.bundles.make(request, at=now, alone=alone)  # 3, 4
        except TakesTwo as error:
            told = {"receipt": receipt.document(), "expected": error.expected}
            raise OfficersProblem(OfficersCode.EXPORT_TAKES_TWO, **told) from error
        except BusError as error:
            raise _unmade(error, receipt) from error
        return Exported(receipt=receipt, bundle=bundle)

    def export_ordered(self, holder: Pass, given: Given) -> Exported:
        """The bundle that two officials have ordered, for the first of them and for nobody else."""
        if given.order.act is not Act.EXPORT or not is_same(holder.asker, given.asked_by):
            raise OfficersProblem(OfficersCode.ORDER_REFUSED)
        approval = Approval(by=given.approved_by, reason=given.order.reason)
        return self.export(holder, replace(given.order.question, approval=approval))


def _name_of(asker: Asker) -> str:
    if isinstance(asker, Citizen):
        raise Refused("a citizen exports nothing")  # he was denied before
    return asker.name


def _unmade(error: BusError, receipt: Receipt) -> OfficersProblem:
    match error:
        case TooLarge():
            code = OfficersCode.EXPORT_TOO_LARGE
        case EvidenceBroken():
            code = OfficersCode.EVIDENCE_BROKEN
        case _:
            code = OfficersCode.EXPORT_FAILED
    return undone(code, error, receipt)

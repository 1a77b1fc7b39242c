"""Unsealing one record's sealed part on the order of two: on record before it shows.

    1. find the record   2. the leaf is durable   3. open the part   4. the next page says so

Each is a recorder of its own: nothing is in flight between two.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from civicbus_audit.index.searching import confirm, search
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.places import Places
from civicbus_audit.query import Query
from civicbus_audit.vault.port import Vault
from civicbus_schemas.errors import BusError, EvidenceBroken, Refused
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.subject import Secret, officer
from civicbus_schemas.vocabulary import Outcome, RecordKind
from sqlalchemy import Engine

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.officers.erasing import secret_of
from civicbus_consumers.officers.journal import Receipt
from civicbus_consumers.officers.orders import Act, Given
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.records import SYSTEM
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.seal import SALT_BYTES, open_part, sealed_under
from civicbus_consumers.recording.wiring import BeginRecorder

log = structlog.get_logger("civicbus.officers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A record and the part that is sealed beside it."""

    record: Record
    part: bytes


class Parts(Protocol):
    """Where sealed parts lie. Raises `Unavailable`, `Fatal` or `EvidenceBroken`."""

    def find(self, record_id: str) -> Sealed | None:
        """The record of this id and its part."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerParts:
    """The index, to find a record by its id, and the ledger's own files."""

    engine: Engine
    places: Places

    def find(self, record_id: str) -> Sealed | None:
        """As `Parts` says; what the index tells is compared with the leaf."""
        found = search(self.engine, Query(id=record_id, limit=1))
        ledger = self.places.log()
        confirm(found, ledger)
        for entry in found:
            record, part = Record.decode(ledger.leaf(entry.index)), ledger.sealed(entry.index)
            return Sealed(record=record, part=part)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What a part said, and the record of its unsealing."""

    receipt: Receipt
    contents: Any

    def document(self) -> dict[str, Any]:
        """As it is answered."""
        return {"receipt": self.receipt.document(), "contents": self.contents}


class Unsealer:
    """Opens one part after the other; may be called from several threads."""

    def __init__(self, parts: Parts, *, begin_recorder: BeginRecorder, vault: Vault) -> None:
        self._parts, self._begin_recorder, self._vault = parts, begin_recorder, vault
        self._lock = threading.Lock()

    def unseal(self, given: Given) -> Unsealed:
        """What was sealed beside the record of the order; raises `OfficersProblem`."""
        if given.order.act is not Act.UNSEAL:
            raise OfficersProblem(OfficersCode.ORDER_REFUSED)
        with self._lock:
            sealed, secret = self._found(given.order.about)  # 1
            try:
                return self._opened(given, sealed, secret)
            except EvidenceBroken as error:
                raise OfficersProblem(OfficersCode.EVIDENCE_BROKEN) from error
            except BusError as error:
                log.error("not recorded", error=type(error).__name__)
                raise OfficersProblem(Code.CANNOT_RECORD) from error

    def _found(self, record_id: str) -> tuple[Sealed, Secret]:
        try:
            sealed = self._parts.find(record_id)
            name = None if sealed is None else sealed_under(sealed.record)
            found = self._vault.named([LedgerPseudonym(name)]) if name else {}
        except EvidenceBroken as error:
            raise OfficersProblem(OfficersCode.EVIDENCE_BROKEN) from error
        except BusError as error:
            raise OfficersProblem(OfficersCode.INDEX_UNAVAILABLE) from error
        if sealed is not None and sealed.record.sealed is not None and not sealed.part:
            raise OfficersProblem(OfficersCode.EVIDENCE_BROKEN)
        # a bare salt is the part of a record that keeps nothing secret
        if sealed is None or len(sealed.part) <= SALT_BYTES or not found:
            raise OfficersProblem(OfficersCode.NOTHING_SEALED)
        return sealed, next(iter(found.values()))

    def _opened(self, given: Given, sealed: Sealed, secret: Secret) -> Unsealed:
        now, by = datetime.now(UTC), officer(given.approved_by.agency, given.approved_by.name)
        approver = self._vault.get_or_create([by])[by]
        recorder = self._begin_recorder(None)
        page = recorder.open_page(now)
        stamp, why = page.stamp(), secret_of(given)
        record = record_unsealing(given, sealed.record, approver=approver, secret=why, stamp=stamp)
        leaf = page.add(record, stamp=stamp, secret=why, under=approver)
        written = recorder.write(page, policy=None, positions=())  # 2
        contents = _contents(sealed, secret)  # 3
        recorder.mark_released(written)
        recorder.write(recorder.open_page(now), policy=None, positions=())  # 4
        receipt = Receipt(record_id=stamp.id, leaf_hash=leaf_hash(leaf).hex(), recorded_at=now)
        return Unsealed(receipt=receipt, contents=contents)


def record_unsealing(
    given: Given, opened: Record, *, approver: Secret, secret: bytes, stamp: Stamp
) -> Record:
    """The leaf of an unsealing; about the same person; `approver` seals it."""
    by = given.approved_by
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.PART_UNSEALING,
        actor=Actor(agency=by.agency, system=SYSTEM, role=by.role, officer=approver.pseudonym),
        recipient=by.agency,
        subject=opened.subject,
        decision=Outcome.PERMIT,
        req=Request(id=opened.id),
    )


def _contents(sealed: Sealed, secret: Secret) -> Any:
    """What was sealed; raises `EvidenceBroken` if it is not what the record commits to."""
    record = sealed.record
    salt, plaintext = open_part(sealed.part, key=secret.sealing_key, id_=record.id)
    if commitment(salt, plaintext) != record.sealed:
        raise EvidenceBroken("a sealed part is not its record's", expected="the committed bytes")
    try:
        return json.loads(plaintext) if plaintext else {}
    except ValueError:
        raise Refused("a sealed part holds no JSON") from None

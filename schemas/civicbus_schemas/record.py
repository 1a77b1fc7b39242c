"""The record: one decision to disclose, or not, one subject's data to one recipient.

Leaves are Avro in single-object encoding, at most 65,535 bytes (C2SP tlog-tiles: entry bundles).
Fields follow FHIR AuditEvent and ISO/IEC TS 27560; what names an officer or a case in clear is
not here but in the sealed part, to which `sealed` commits. A little longer than our other modules:
shape, value, writer and reader of one leaf are checked against each other side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from civicbus_schemas.binary import (
    NULL,
    PRESENT,
    hexed,
    maybe_hexed,
    maybe_text,
    maybe_whole,
    maybe_word,
    whole,
    word,
    words,
)
from civicbus_schemas.binary import fixed as fixed_bytes
from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes, InvalidIdentifier, TooLarge
from civicbus_schemas.ids import (
    AgencyId,
    AgreementRef,
    EventId,
    EventType,
    Fingerprint,
    PolicyVersion,
    RecorderId,
    RecordId,
)
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.shapes import (
    MICROS,
    TEXTS,
    fixed,
    nullable,
    struct,
    to_hex,
    to_micros,
)
from civicbus_schemas.topics import MAX_RECORD_BYTES
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

VERSION = 1
RECORD = AvroType(
    struct(
        "Record",
        namespace="civicbus.audit",
        v="int",
        id=fixed("Id", 16),
        nonce="Id",
        kind="string",
        at=MICROS,
        actor=struct(
            "Actor",
            agency="string",
            system="string",
            role=nullable("string"),
            officer=nullable("Id"),
        ),
        recipient=nullable("string"),
        subject=nullable("Id"),
        agreement=nullable("string"),
        event=nullable(
            struct(
                "Source",
                topic="string",
                partition="long",
                offset="long",
                id=nullable("string"),
                schema=nullable(fixed("Hash", 32)),
            )
        ),
        positions=struct("Positions", consent=nullable("long"), view=nullable("long")),
        dataset=nullable("string"),
        fields=TEXTS,
        purpose=nullable("string"),
        basis=nullable("string"),
        consent=nullable("string"),
        decision="string",
        reason=nullable("string"),
        rule=nullable("string"),
        policy=nullable("Hash"),
        obligations=TEXTS,
        rows="long",
        size_bytes="long",
        payload_hash=nullable("Hash"),
        req=nullable(
            struct(
                "Request",
                jti=nullable("string"),
                id=nullable("string"),
                trace=nullable("string"),
                case=nullable("Id"),
            )
        ),
        clock=struct("Clock", src="string", err_us=nullable("long")),
        sealed=nullable("Hash"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who got or asked for the data: agency, system, role, and a pseudonym of the officer."""

    agency: AgencyId
    system: str
    role: str | None = None
    officer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The event decided on, by its coordinates; `id` and `schema` where they could be read."""

    topic: str
    partition: int
    offset: int
    id: EventId | None = None
    schema: Fingerprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """The state decided on: next offset of the subject's consent partition, view's watermark."""

    consent: int | None = None
    view: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request of a look-up: token id, request id, trace, and an opaque id of the case."""

    jti: str | None = None
    id: str | None = None
    trace: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where the time came from and its estimated error in µs."""

    src: str = "system"
    err_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One leaf. Hashes are hex; `nonce` keeps leaf hashes of guessable records unguessable."""

    id: RecordId
    nonce: bytes
    kind: RecordKind
    at: datetime
    actor: Actor
    decision: Outcome
    recipient: AgencyId | None = None
    subject: LedgerPseudonym | None = None
    agreement: AgreementRef | None = None
    event: Source | None = None
    positions: Positions = Positions()
    dataset: EventType | None = None
    fields: tuple[str, ...] = ()
    purpose: str | None = None
    basis: str | None = None
    consent: str | None = None
    reason: Reason | None = None
    rule: str | None = None
    policy: PolicyVersion | None = None
    obligations: tuple[str, ...] = ()
    rows: int = 0
    size_bytes: int = 0
    payload_hash: str | None = None
    req: Request | None = None
    clock: Clock = Clock()
    sealed: str | None = None

    def encode(self) -> bytes:
        """The leaf's exact bytes; raises `TooLarge` above 65,535."""
        leaf = _HEAD + _body(self)
        if len(leaf) > MAX_RECORD_BYTES:
            raise TooLarge(
                "a record is too large", got=f"{len(leaf)} bytes", expected=MAX_RECORD_BYTES
            )
        return leaf

    @classmethod
    def decode(cls, leaf: bytes) -> Record:
        """The record of a leaf; raises `InvalidBytes`."""
        datum = RECORD.decode_single_object(leaf)
        if datum["v"] != VERSION:
            raise InvalidBytes("a record of another version", got=datum["v"], expected=VERSION)
        try:
            record = _record(datum)
        except (ValueError, InvalidIdentifier):
            raise InvalidBytes("a record says a word that this version does not know") from None
        if _HEAD + _body(record) != leaf:
            raise RECORD.other_spelling()
        return record


def record_id(recorder: RecorderId, *, page: int, index: int) -> RecordId:
    """The id of a page's index-th record: it can be neither chosen nor used twice."""
    message = f"civicbus.record\x00{recorder}\x00{page}\x00{index}".encode()
    return RecordId(hashlib.sha256(message).digest()[:16].hex())


def commitment(salt: bytes, content: bytes) -> str:
    """SHA-256(salt ‖ content), hex: binds content that may later be erased."""
    return hashlib.sha256(salt + content).hexdigest()


_HEX = ("id", "subject", "policy", "payload_hash", "sealed")
_HEAD = RECORD.single_object_header + whole(VERSION)


def _body(record: Record) -> bytes:
    """The fields in the schema's order, without header and version."""
    r = record
    return b"".join(
        (
            hexed(r.id, 16),
            fixed_bytes(r.nonce, 16),
            word(r.kind),
            _micros(r.at),
            _actor(r.actor),
            maybe_word(r.recipient),
            maybe_hexed(r.subject, 16),
            maybe_word(None if r.agreement is None else str(r.agreement)),
            NULL if r.event is None else _source(r.event),
            maybe_whole(r.positions.consent),
            maybe_whole(r.positions.view),
            maybe_word(r.dataset),
            words(r.fields),
            maybe_word(r.purpose),
            maybe_word(r.basis),
            maybe_text(r.consent),
            word(r.decision),
            maybe_word(r.reason),
            maybe_word(r.rule),
            maybe_hexed(r.policy, 32),
            words(r.obligations),
            whole(r.rows),
            whole(r.size_bytes),
            maybe_hexed(r.payload_hash, 32),
            NULL if r.req is None else _request(r.req),
            word(r.clock.src),
            maybe_whole(r.clock.err_us),
            maybe_hexed(r.sealed, 32),
        )
    )


def _actor(actor: Actor) -> bytes:
    names = word(actor.agency) + word(actor.system) + maybe_word(actor.role)
    return names + maybe_hexed(actor.officer, 16)


@lru_cache(maxsize=64)  # the same for everybody whom an event is about, and for all its recipients
def _source(source: Source) -> bytes:
    place = PRESENT + word(source.topic) + whole(source.partition) + whole(source.offset)
    return place + maybe_text(source.id) + maybe_hexed(source.schema, 32)


def _request(request: Request) -> bytes:
    ids = maybe_text(request.jti) + maybe_text(request.id) + maybe_text(request.trace)
    return PRESENT + ids + maybe_hexed(request.case, 16)


@lru_cache(maxsize=64)
def _micros(at: datetime) -> bytes:
    return whole(to_micros(at))  # the same for a whole batch


def _record(datum: Mapping[str, Any]) -> Record:
    values = {key: value for key, value in datum.items() if key != "v"}
    for name in _HEX:
        values[name] = to_hex(values[name])
    actor, event, req = datum["actor"], datum["event"], datum["req"]
    return Record(
        **values
        | {
            "kind": RecordKind(datum["kind"]),
            "decision": Outcome(datum["decision"]),
            "reason": Reason(datum["reason"]) if datum["reason"] else None,
            "actor": Actor(**actor | {"officer": to_hex(actor["officer"])}),
            "agreement": AgreementRef.parse(datum["agreement"]) if datum["agreement"] else None,
            "event": Source(**event | {"schema": to_hex(event["schema"])}) if event else None,
            "positions": Positions(**datum["positions"]),
            "fields": tuple(datum["fields"]),
            "obligations": tuple(datum["obligations"]),
            "req": Request(**req | {"case": to_hex(req["case"])}) if req else None,
            "clock": Clock(**datum["clock"]),
        }
    )

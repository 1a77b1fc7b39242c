"""The record: every field goes into the leaf and comes back, and nothing else is a leaf."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import pytest
from civicbus_schemas.errors import InvalidBytes, TooLarge
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.record import (
    RECORD,
    Actor,
    Clock,
    Positions,
    Record,
    Request,
    Source,
    commitment,
    record_id,
)
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import AT

SPARE: dict[str, Any] = {
    field.name: field.default for field in fields(Record) if field.name not in {
        "id", "nonce", "kind", "at", "actor", "decision"
    }
}  # fmt: skip


def avro_reads(leaf: bytes) -> dict[str, Any]:
    """The leaf as Apache `avro` reads it."""
    schema = avro.schema.parse(json.dumps(RECORD.document))
    body = BytesIO(leaf[10:])
    datum: dict[str, Any] = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(body))
    assert body.tell() == len(leaf) - 10
    return datum


def test_a_record_is_the_same_when_every_field_holds_something() -> None:
    record = samples.record()
    assert all(getattr(record, field.name) for field in fields(record))
    assert Record.decode(record.encode()) == record


def test_a_record_is_the_same_when_nothing_optional_is_there() -> None:
    record = replace(samples.record(), **SPARE, actor=Actor(agency="vss", system="x"))  # type: ignore[arg-type]
    assert Record.decode(record.encode()) == record


@pytest.mark.parametrize("name", SPARE)
def test_a_record_is_the_same_when_one_field_is_left_out(name: str) -> None:
    record = replace(samples.record(), **{name: SPARE[name]})
    assert Record.decode(record.encode()) == record
    assert record.encode() != samples.record().encode()


@pytest.mark.parametrize("kind", RecordKind)
@pytest.mark.parametrize("outcome", Outcome)
def test_a_record_is_the_same_when_it_tells_of_another_thing(
    kind: RecordKind, outcome: Outcome
) -> None:
    record = samples.record(kind=kind, decision=outcome)
    assert Record.decode(record.encode()) == record


@pytest.mark.parametrize("reason", Reason)
def test_a_record_is_the_same_when_it_has_another_reason(reason: Reason) -> None:
    assert Record.decode(samples.record(reason=reason).encode()).reason is reason


def test_parts_are_the_same_when_only_some_of_them_are_there() -> None:
    record = samples.record(
        event=Source(topic="src.moj.civil-status.v1", partition=0, offset=0),
        positions=Positions(consent=0),
        req=Request(id="r"),
        clock=Clock(),
    )
    assert Record.decode(record.encode()) == record


def test_apache_avro_reads_the_same_when_fastavro_wrote() -> None:
    record = samples.record()
    datum = avro_reads(record.encode())
    assert datum["id"].hex() == record.id
    assert datum["at"] == AT
    assert datum["fields"] == list(record.fields)
    assert datum["event"]["offset"] == 123_456_789_012
    assert (datum["decision"], datum["reason"]) == ("deny", "no-consent")
    assert datum["v"] == 1


def test_bytes_are_the_same_when_the_zone_is_another() -> None:
    hanoi = samples.record(at=AT.astimezone(timezone(timedelta(hours=7))))
    assert hanoi.encode() == samples.record().encode()


def test_a_record_is_refused_when_its_time_has_no_zone() -> None:
    with pytest.raises(TypeError):
        samples.record(at=datetime(2026, 1, 1)).encode()  # noqa: DTZ001


def test_a_record_is_kept_when_it_has_65535_bytes() -> None:
    base = len(samples.record(purpose="p" * 10_000).encode())
    record = samples.record(purpose="p" * (10_000 + 65_535 - base))
    assert len(record.encode()) == 65_535
    assert Record.decode(record.encode()) == record


def test_a_record_is_refused_when_it_has_65536_bytes() -> None:
    base = len(samples.record(purpose="p" * 10_000).encode())
    with pytest.raises(TooLarge, match="65536 bytes"):
        samples.record(purpose="p" * (10_000 + 65_536 - base)).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "gossip"},
        {"decision": "maybe"},
        {"reason": "because"},
        {"agreement": "vss.child-insurance"},
        {"v": 2},
        {"v": 0},
    ],
)
def test_a_leaf_is_refused_when_it_says_an_unknown_word(change: dict[str, Any]) -> None:
    datum = RECORD.decode_single_object(samples.record().encode()) | change
    with pytest.raises(InvalidBytes):
        Record.decode(RECORD.encode_single_object(datum))


def test_ids_are_derived_when_recorder_page_and_index_are_known() -> None:
    recorder = RecorderId("aa" * 16)
    message = f"civicbus.record\0{recorder}\x005\x007".encode()
    assert record_id(recorder, page=5, index=7) == hashlib.sha256(message).hexdigest()[:32]
    ids = {record_id(recorder, page=page, index=index) for page in range(20) for index in range(20)}
    assert len(ids) == 400


def test_a_commitment_is_sha256_of_salt_and_content_when_it_is_computed_by_hand() -> None:
    assert commitment(b"s" * 16, b"body") == hashlib.sha256(b"s" * 16 + b"body").hexdigest()


def test_time_is_utc_when_a_leaf_is_read() -> None:
    assert Record.decode(samples.record().encode()).at.tzinfo is UTC

"""Frames, bodies and single objects; what cannot be read is InvalidBytes and nothing else."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from civicbus_schemas.codec import AvroType, canonical_json, document_fingerprint, frame, unframe
from civicbus_schemas.contract import parse_contract
from civicbus_schemas.errors import InvalidBytes, InvalidContract, InvalidEvent
from civicbus_schemas.shapes import MICROS, TEXTS, array, fixed, nullable, struct, to_micros

from tests.unit import schemas_samples as samples

DATE = {"type": "int", "logicalType": "date"}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}


def of(type_: Any) -> AvroType:
    """A record with one field `f`."""
    return AvroType(struct("One", namespace="test", f=type_))


def test_a_frame_is_zero_and_four_bytes_when_it_is_written() -> None:
    assert frame(258, b"body") == b"\x00\x00\x00\x01\x02body"
    assert unframe(frame(0xFFFF_FFFF, b"")) == (0xFFFF_FFFF, b"")


@pytest.mark.parametrize("message", [None, b"", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01x"])
def test_a_message_is_refused_when_it_has_no_frame(message: bytes | None) -> None:
    with pytest.raises(InvalidBytes):
        unframe(message)


def test_a_datum_is_the_same_when_it_is_written_and_read() -> None:
    avro = samples.birth_contract().avro
    assert avro.decode(avro.encode(samples.birth_datum())) == samples.birth_datum()


@pytest.mark.parametrize("body_end", [0, 1, 20, -1])
def test_a_body_is_refused_when_it_is_truncated(body_end: int) -> None:
    avro = samples.birth_contract().avro
    with pytest.raises(InvalidBytes, match=r"vn\.civil_status\.Birth"):
        avro.decode(avro.encode(samples.birth_datum())[:body_end])


def test_a_body_is_refused_when_bytes_are_left_over() -> None:
    avro = samples.birth_contract().avro
    with pytest.raises(InvalidBytes, match="left over"):
        avro.decode(avro.encode(samples.birth_datum()) + b"\x00")


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("string", b"\x04\xff\xfe"),
        ("string", b"\x01"),
        ("string", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("bytes", b"\xfe\xff\xff\xff\x0f"),
        ("boolean", b""),
        ("double", b"\x00\x00"),
        ("float", b"\x00"),
        (nullable("string"), b"\x04"),
        (COLOUR, b"\x04"),
        (fixed("F", 4), b"abc"),
        (TEXTS, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (TEXTS, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (MICROS, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (DATE, b"\xfe\xff\xff\xff\x0f"),
        ("long", b"\x80" * 300_000),
        (array("long"), b"\x02" * 300_000),
    ],
)
def test_a_body_is_refused_at_once_when_it_claims_too_much(type_: Any, body: bytes) -> None:
    with pytest.raises(InvalidBytes):
        of(type_).decode(body)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", 5), ("string", None), ("string", b"x"), ("string", "\ud800"),
        ("int", "5"), ("long", 2**63), ("bytes", "x"), ("double", object()),
        (TEXTS, None), (TEXTS, [1]), (fixed("F", 4), b"abc"), (COLOUR, "blue"),
        (nullable("string"), 5), (nullable("int"), 2**31), (MICROS, "now"), (DATE, 5.5j),
    ],
)  # fmt: skip
def test_a_value_is_refused_unshown_when_it_does_not_fit(type_: Any, value: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        of(type_).encode({"f": value})
    assert str(caught.value) == "a value does not fit the schema test.One."


@pytest.mark.parametrize("datum", [{}, {"f": "x", "g": "y"}, {"g": "y"}])
def test_a_datum_is_refused_when_its_keys_are_not_the_fields(datum: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        of("string").encode(datum)


@pytest.mark.parametrize(
    "document",
    [
        {"type": "record", "fields": []},
        {"name": "X", "fields": []},
        {"type": "record", "name": "X", "fields": [{"name": "f", "type": "Unknown"}]},
        {"type": "record", "name": "X", "fields": [{"name": "f", "type": "int", "default": "x"}]},
        {"type": "record", "name": "X", "fields": [{"name": "f"}]},
        {"type": "record", "name": "X", "fields": "f"},
        {"type": "enum", "name": "E", "symbols": ["a", "a"]},
        {"type": "fixed", "name": "F"},
    ],
)
def test_a_schema_is_refused_when_it_is_no_avro(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidContract):
        AvroType(document)


def test_a_single_object_names_its_schema_when_it_is_written() -> None:
    """CRC-64-AVRO of `"int"`-like schemas is Avro's own; here the layout is checked."""
    data = of("string").encode_single_object({"f": "a"})
    assert (data[:2], data[10:]) == (b"\xc3\x01", b"\x02a")
    assert of("string").decode_single_object(data) == {"f": "a"}
    assert of("string").wrote(data)
    assert not of("bytes").wrote(data)


@pytest.mark.parametrize("spoil", [lambda d: d[:9], lambda d: b"\xc3\x02" + d[2:], lambda _: b""])
def test_a_single_object_is_refused_when_its_head_is_wrong(spoil: Any) -> None:
    with pytest.raises(InvalidBytes, match="not a single object"):
        of("string").decode_single_object(spoil(of("string").encode_single_object({"f": "a"})))


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("int", b"\x82\x00"),  # one, longer than it need be
        (nullable("string"), b"\x01\x02a"),  # branch -1
        (COLOUR, b"\x01"),  # symbol -1
        (TEXTS, b"\x01\x04\x02a\x00"),  # a block with its size
        (TEXTS, b"\x02\x02a\x02\x02b\x00"),  # two blocks
        ("boolean", b"\x02"),  # neither 0 nor 1
    ],
)
def test_evidence_is_refused_when_it_is_not_in_its_one_spelling(type_: Any, body: bytes) -> None:
    avro = of(type_)
    head = avro.encode_single_object(avro.decode(body))[:10]
    with pytest.raises(InvalidBytes, match="one spelling"):
        avro.decode_single_object(head + body)


def test_a_fingerprint_is_sha256_of_sorted_json_when_it_is_computed_by_hand() -> None:
    document = samples.birth()
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document_fingerprint(document) == hashlib.sha256(text.encode()).hexdigest()


def test_a_fingerprint_changes_when_a_label_changes() -> None:
    changed = samples.birth()
    changed["fields"][2]["sensitivity"] = "sensitive"
    assert parse_contract(changed).fingerprint != samples.birth_contract().fingerprint


def test_canonical_json_is_sorted_and_bare_when_it_is_written() -> None:
    assert (
        canonical_json({"b": [1, True, None], "a": "ế\n"})
        == '{"a":"ế\\n","b":[1,true,null]}'.encode()
    )


def test_a_time_is_utc_micros_when_it_is_lowered() -> None:
    assert to_micros(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)) == 1_000_005
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_time_is_refused_when_it_has_no_zone() -> None:
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_body_is_resolved_when_the_reader_has_an_older_schema() -> None:
    old, new = samples.birth(), samples.birth()
    new["fields"].append(samples.leaf("note", ["null", "string"], default=None))
    writer, reader = AvroType(new), AvroType(old)
    body = writer.encode(samples.birth_datum() | {"note": "later"})
    assert writer.decode_as(body, reader) == samples.birth_datum()


def test_a_body_is_refused_when_the_schemas_do_not_fit() -> None:
    with pytest.raises(InvalidBytes):
        of("string").decode_as(b"\x02a", of("long"))


def test_days_are_days_when_they_are_read() -> None:
    assert of(DATE).decode(of(DATE).encode({"f": date(2026, 1, 1)})) == {"f": date(2026, 1, 1)}


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("int", b"\x80\x80\x80\x80\x10"),  # 2^31
        (nullable("int"), b"\x02\x81\x80\x80\x80\x10"),  # -2^31 - 1
        ({"type": "array", "items": "int"}, b"\x02\x80\x80\x80\x80\x10\x00"),
        ("long", b"\xff" * 9 + b"\x7f"),  # beyond 64 bits
        ("long", b"\x80" * 10 + b"\x01"),
    ],
)
def test_bytes_are_refused_when_a_number_is_wider_than_its_type(type_: Any, body: bytes) -> None:
    avro = of(type_)
    with pytest.raises(InvalidBytes, match="beyond"):
        avro.decode(body)
    with pytest.raises(InvalidBytes, match="beyond"):
        avro.decode_as(body, of(type_ if type_ != "int" else "long"))


@pytest.mark.parametrize("value", [-(1 << 31), (1 << 31) - 1])
def test_an_int_is_read_when_it_has_just_32_bits(value: int) -> None:
    avro = of("int")
    assert avro.decode(avro.encode({"f": value})) == {"f": value}

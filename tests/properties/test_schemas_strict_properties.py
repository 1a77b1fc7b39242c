"""What is read directly is what fastavro reads, and is in its one spelling."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.notice import NOTICE
from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HEADER, HEADER_LEAF, PAGE
from civicbus_schemas.record import RECORD
from civicbus_schemas.shapes import MICROS, fixed, nullable, struct
from civicbus_schemas.strict import NOT_TAKEN, find_reader
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.schemas_strategies import data_of, spoilt

EVERYTHING = AvroType(
    struct(
        "Everything",
        namespace="test",
        number="long",
        small="int",
        text="string",
        blob="bytes",
        yes="boolean",
        at=MICROS,
        id=fixed("Id", 4),
        other=nullable("Id"),
        inner={"type": "array", "items": struct("Inner", words={"type": "array", "items": "int"})},
    )
)


def nested(levels: int, inner: Any) -> Any:
    """Arrays in each other."""
    return inner if levels == 0 else {"type": "array", "items": nested(levels - 1, inner)}


def doubled(levels: int) -> Any:
    """A record of two, each of which is a record of two, and so on."""
    if levels == 0:
        return struct("R0", a="int")
    return struct(f"R{levels}", a=doubled(levels - 1), b=f"R{levels - 1}")


TYPES = {t.name: t for t in (EVERYTHING, RECORD, HEADER, HEADER_LEAF, PAGE, NOTICE, INDEX_COMMIT)}


def directly(type_: AvroType, body: bytes) -> Any:
    """What the direct reader says of a body; None where it leaves it to fastavro."""
    reader = find_reader(type_.document)
    assert reader is not None, "a leaf that is read slowly"
    try:
        datum, end = reader(body, 0)
    except NOT_TAKEN:
        return None
    return datum if end == len(body) else None


def by_fastavro(type_: AvroType, body: bytes) -> Any:
    """What fastavro reads, where it would write the same again; else None."""
    try:
        datum = type_.decode(body)
    except InvalidBytes:
        return None
    return datum if type_.encode(datum) == body else None


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_what_was_written_is_read_directly(name: str, data: st.DataObject) -> None:
    type_ = TYPES[name]
    datum = data.draw(data_of(type_.document))
    assert directly(type_, type_.encode(datum)) == type_.decode(type_.encode(datum))


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_nothing_else_is_read_when_the_bytes_were_spoilt(name: str, data: st.DataObject) -> None:
    type_ = TYPES[name]
    body = data.draw(spoilt(type_.encode(data.draw(data_of(type_.document)))))
    assert directly(type_, body) == by_fastavro(type_, body)


@given(body=st.binary(max_size=60))
def test_nothing_else_is_read_when_the_bytes_are_any(body: bytes) -> None:
    assert directly(EVERYTHING, body) == by_fastavro(EVERYTHING, body)


@pytest.mark.parametrize(
    "schema",
    [
        "double",
        ["int", "string"],
        {"type": "map", "values": "int"},
        {"type": "enum", "name": "E", "symbols": ["a"]},
        {"type": "bytes", "logicalType": "decimal", "precision": 4},
        struct("Twice", a=fixed("X", 1), b=struct("X", c="int")),
        struct("Itself", next=nullable("Itself")),
        nested(9, "int"),
        doubled(20),
    ],
)
def test_other_schemas_are_left_to_fastavro(schema: Any) -> None:
    assert find_reader(schema) is None


@pytest.mark.parametrize(
    "body",
    [
        b"\x80" * 60_000,  # a number without an end
        b"\xff" * 9 + b"\x02",  # one beyond 64 bits
        b"\x80\x00",  # one longer than it need be
    ],
)
def test_a_number_is_left_to_fastavro_when_it_is_not_in_its_one_spelling(body: bytes) -> None:
    reader = find_reader("long")
    assert reader is not None
    with pytest.raises(NOT_TAKEN):
        reader(body, 0)

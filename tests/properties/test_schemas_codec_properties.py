"""Bytes of any kind: written ones come back, others are InvalidBytes and nothing else.

The oracle is Apache `avro`, which shares no code with fastavro.
"""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import pytest
import rfc8785
from civicbus_schemas.codec import AvroType, canonical_json, frame, unframe
from civicbus_schemas.consent import SUBJECT_CONSENTS, SubjectConsents
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.nation import load_contracts
from civicbus_schemas.page import HEADER, HEADER_LEAF, PAGE, HeaderLeaf, Page, PageHeader
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.shapes import array, struct
from civicbus_schemas.topics import MAX_EVENT_BYTES
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.schemas_strategies import data_of, spoilt

OURS = (RECORD, HEADER, HEADER_LEAF, PAGE, SUBJECT_CONSENTS)
TYPES = {type_.name: type_ for type_ in OURS} | {
    contract.avro.name: contract.avro for contract in load_contracts().values()
}
READERS: list[Callable[[bytes], Any]] = [
    Record.decode,
    PageHeader.decode,
    HeaderLeaf.decode,
    Page.decode,
    SubjectConsents.decode,
    unframe,
    *(type_.decode for type_ in TYPES.values()),
]
JSON_TEXT = st.text(st.characters(max_codepoint=0xD7FF), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXT, inner, max_size=4),
    max_leaves=12,
)

quick = settings(max_examples=8, deadline=None)  # for each of twenty types


@pytest.mark.parametrize("name", TYPES)
@quick
@given(st.data())
def test_data_come_back_the_same_when_they_were_written(name: str, data: st.DataObject) -> None:
    type_ = TYPES[name]
    datum = data.draw(data_of(type_.document))
    assert type_.decode(type_.encode(datum)) == datum
    assert type_.decode_single_object(type_.encode_single_object(datum)) == datum


@pytest.mark.parametrize("name", TYPES)
@quick
@given(st.data())
def test_apache_avro_reads_the_same_when_fastavro_wrote(name: str, data: st.DataObject) -> None:
    type_ = TYPES[name]
    datum = data.draw(data_of(type_.document))
    body = type_.encode(datum)
    reader = avro.io.DatumReader(avro.schema.parse(json.dumps(type_.document)))
    source = BytesIO(body)
    assert reader.read(avro.io.BinaryDecoder(source)) == datum
    assert source.tell() == len(body)


@pytest.mark.parametrize("name", TYPES)
@quick
@given(st.data())
def test_only_invalid_bytes_comes_out_when_a_body_is_spoilt(name: str, data: st.DataObject) -> None:
    type_ = TYPES[name]
    datum = data.draw(data_of(type_.document))
    for write, read in (
        (type_.encode, type_.decode),
        (type_.encode_single_object, type_.decode_single_object),
    ):
        changed = data.draw(spoilt(write(datum)))
        with contextlib.suppress(InvalidBytes):
            read(changed)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(READERS), st.binary(max_size=200))
def test_only_invalid_bytes_comes_out_when_bytes_are_random(
    read: Callable[[bytes], Any], body: bytes
) -> None:
    with contextlib.suppress(InvalidBytes):
        read(body)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_leaf_has_one_spelling_when_it_can_be_read(data: st.DataObject) -> None:
    leaf = RECORD.encode_single_object(data.draw(data_of(RECORD.document)))
    changed = data.draw(spoilt(leaf))
    try:
        datum = RECORD.decode_single_object(changed)
    except InvalidBytes:
        return
    assert RECORD.encode_single_object(datum) == changed


@given(st.integers(0, 2**32 - 1), st.binary(max_size=64))
def test_a_frame_comes_back_the_same_when_it_was_written(schema_id: int, body: bytes) -> None:
    assert unframe(frame(schema_id, body)) == (schema_id, body)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_canonical_json_is_rfc_8785_when_another_implementation_writes_it(document: Any) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("name", ["vn.health.VisitRecorded", "vn.civil_status.BirthRegistered"])
@pytest.mark.parametrize("byte", [b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80", b"\xfe", b"\xff"])
def test_memory_and_time_are_bounded_when_the_largest_event_is_hostile(
    name: str, byte: bytes
) -> None:
    """A body may not make much more of itself than it is: here at most 400 times its bytes."""
    body = byte * MAX_EVENT_BYTES
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(InvalidBytes):
            TYPES[name].decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * len(body)
    assert time.perf_counter() - start < 20


def test_memory_is_bounded_when_a_list_is_as_long_as_its_bytes_allow() -> None:
    """The most that bytes can claim: a list of records, each of one empty text."""
    parent = {"type": "record", "name": "Parent", "fields": [{"name": "pin", "type": "string"}]}
    type_ = AvroType(struct("Many", parents=array(parent)))
    count = MAX_EVENT_BYTES // 16
    body = type_.encode({"parents": [{"pin": ""}] * count})
    tracemalloc.start()
    try:
        assert len(type_.decode(body)["parents"]) == count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * len(body)

"""Whatever event class, whatever values: bytes and back is the same event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_schemas.contract import nested_record, without_null
from civicbus_schemas.event import Event
from civicbus_schemas.vietnam.events import EVENT_CLASSES
from hypothesis import given, settings
from hypothesis import strategies as st

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(-(2**50), 2**52).map(lambda n: EPOCH + timedelta(microseconds=n))
LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=20),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "date": st.dates(),
    "timestamp-micros": MOMENTS,
}
PINS = st.from_regex(r"[0-9]{12}", fullmatch=True)


def data_of(record: Mapping[str, Any], pins: set[str], prefix: str = "") -> Any:
    return st.fixed_dictionaries(
        {entry["name"]: values_of(entry, pins, prefix) for entry in record["fields"]}
    )


def values_of(entry: Mapping[str, Any], pins: set[str], prefix: str) -> Any:
    type_, nullable = without_null(entry["type"])
    path = prefix + entry["name"]
    many = isinstance(type_, dict) and type_["type"] == "array"
    nested = nested_record(type_)
    if nested is not None:
        values = data_of(nested, pins, path + ("[]." if many else "."))
    else:
        leaf = type_["items"] if many else type_
        name = leaf if isinstance(leaf, str) else leaf["logicalType"]
        values = PINS if path in pins else LEAVES[name]
    values = st.lists(values, max_size=3) if many else values
    return st.none() | values if nullable else values


@pytest.mark.parametrize("cls", EVENT_CLASSES.values(), ids=lambda cls: cls.__name__)
@settings(max_examples=30)  # of each of fifteen types
@given(data=st.data())
def test_an_event_is_the_same_when_it_returns_from_its_bytes(
    cls: type[Event], data: st.DataObject
) -> None:
    pins = {subject.path for subject in cls.contract.subjects}
    datum = data.draw(data_of(cls.contract.document, pins))
    event = cls.from_datum(datum)
    avro = cls.contract.avro
    returned = cls.from_datum(avro.decode(avro.encode(event.to_datum())))
    assert returned == event
    assert returned.to_datum() == datum

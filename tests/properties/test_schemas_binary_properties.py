"""What is written directly is what fastavro writes, and what no schema holds is refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro
import pytest
from civicbus_schemas import binary
from civicbus_schemas.errors import InvalidEvent
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.schemas_strategies import TEXT

LONGS = st.integers(-(2**63), 2**63 - 1)


def by_fastavro(schema: Any, datum: Any) -> bytes:
    """The bytes that fastavro writes."""
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), datum)
    return out.getvalue()


@given(value=LONGS)
def test_a_number_is_fastavros_when_it_is_written(value: int) -> None:
    assert binary.whole(value) == by_fastavro("long", value)
    assert binary.maybe_whole(value) == by_fastavro(["null", "long"], value)


@given(value=TEXT)
def test_a_text_is_fastavros_when_it_is_written(value: str) -> None:
    assert binary.text(value) == binary.word(value) == by_fastavro("string", value)
    assert binary.maybe_text(value) == by_fastavro(["null", "string"], value)
    assert binary.maybe_word(value) == binary.maybe_text(value)


@given(values=st.lists(TEXT, max_size=200).map(tuple))
def test_texts_are_fastavros_when_they_are_written(values: tuple[str, ...]) -> None:
    schema = {"type": "array", "items": "string"}
    assert binary.words(values) == by_fastavro(schema, list(values))


@given(data=st.binary(min_size=16, max_size=16))
def test_fixed_bytes_are_fastavros_when_they_come_in_hex(data: bytes) -> None:
    schema = {"type": "fixed", "name": "Id", "size": 16}
    assert binary.hexed(data.hex(), 16) == binary.fixed(data, 16) == by_fastavro(schema, data)
    assert binary.maybe_hexed(data.hex(), 16) == by_fastavro(["null", schema], data)


def test_nothing_is_fastavros_null_when_a_value_is_missing() -> None:
    nothing = by_fastavro(["null", "string"], None)
    written = (binary.maybe_text(None), binary.maybe_word(None), binary.maybe_whole(None))
    assert {*written, binary.maybe_hexed(None, 16)} == {nothing}


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_number_is_refused_when_it_does_not_fit(value: int) -> None:
    with pytest.raises(InvalidEvent):
        binary.whole(value)


@pytest.mark.parametrize("digits", ["", "ab" * 15, "ab" * 17])
def test_fixed_bytes_are_refused_when_their_size_is_another(digits: str) -> None:
    with pytest.raises(InvalidEvent):
        binary.hexed(digits, 16)


def test_a_text_is_refused_without_its_value_when_it_is_not_unicode() -> None:
    with pytest.raises(InvalidEvent) as raised:
        binary.text("nguyen\ud800")
    assert "nguyen" not in str(raised.value)
    assert raised.value.__cause__ is None

"""Every form of every kind of field is cut as the slow oracle says, which knows nothing of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from civicbus_consumers.access.project import compile_cut, open_event, project
from civicbus_deploy.demo.oracle import Oracle
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.codec import AvroType
from civicbus_schemas.contract import values_at
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.event import delivered_class
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import forms
from tests.properties.schemas_strategies import data_of
from tests.unit import schemas_samples as samples

KEY = b"p" * 32
CONTRACT = forms.contract()
DAYS = st.dates(date(2000, 1, 1), date(2050, 1, 1))
AGES = st.integers(1, 150)
Written = str | dict[str, Any]


def expressible(values: list[Any]) -> Iterator[Any]:
    """Values that an agreement can name, so that equality and bounds are met exactly."""
    for value in values:
        match value:
            case date():
                yield value.isoformat()
            case bool():
                yield value
            # JSON escapes what YAML has not, but for DEL
            case str() if (value.isascii() and "\x7f" not in value) or value.isalnum():
                yield value
            case int() if abs(value) < 2**53:
                yield value


@st.composite
def written_forms(draw: st.DrawFn, path: str, datum: dict[str, Any]) -> Written:
    """A form that the field can have, often about one of the values that are there."""
    leaf = CONTRACT.fields[path]
    words: list[Written] = ["as-is", "exists"]
    if path == "person.pin":
        words.append("pairwise-pseudonym")
    elif kind := _kind(leaf.type):
        there = list(expressible(list(values_at(datum, path))))
        fresh = list(expressible([draw(data_of(leaf.type))]))
        known = draw(st.sampled_from(there + fresh)) if there + fresh else None
        if known is not None and kind in _EQUAL:
            words.append({"equal": known})
        if kind in _ORDERED:
            known = draw(st.integers(-9, 9)) if not isinstance(known, str | int) else known
            words += [{"at-least": known}, {"under": known}]
    if path.endswith("day"):
        bounds = sorted(draw(st.sets(AGES, min_size=1, max_size=16)))
        words += [{"age-at-least": bounds[0]}, {"age-under": bounds[0]}, {"age-band": bounds}]
    return draw(st.sampled_from(words))


_EQUAL = {"boolean", "int", "long", "string", "enum", "date", "timestamp-micros"}
_ORDERED = {"int", "long", "float", "double", "date", "timestamp-micros"}


def _kind(type_: Any) -> str | None:
    if isinstance(type_, str):
        return type_
    return str(type_.get("logicalType", type_["type"]))


@st.composite
def releases(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], date]:
    """An agreement as it is written, an event, and a day; births lie around that day."""
    datum, on = draw(data_of(CONTRACT.document)), draw(DAYS)
    for record in [datum["maybe"], *datum["many"]]:
        if record is not None:
            years, days = draw(st.integers(-2, 120)), draw(st.integers(-1, 1))
            record["day"] = _earlier(on, years) + timedelta(days=days)
    paths = draw(st.lists(st.sampled_from(sorted(CONTRACT.fields)), min_size=1, unique=True))
    agreement = samples.agreement() | {
        "releases": {
            CONTRACT.event_type: {
                "fields": [{path: draw(written_forms(path, datum))} for path in paths]
            }
        }
    }
    return agreement, datum, on


def _earlier(day: date, years: int) -> date:
    """The day so many years before; of 29 February the day after it where there is none."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return date(day.year - years, 3, 1)


def oracle(folder: Path, agreement: dict[str, Any]) -> Oracle:
    """The oracle of a nation of one contract and one agreement, read from files."""
    for name, document in {
        "contracts/everything/Everything.avsc": forms.document(),
        "agreements/a.yaml": agreement,
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return Oracle(folder, pairwise_key_of=lambda _: KEY)


@settings(max_examples=25, deadline=None)
@given(releases())
def test_oracle_and_product_agree_when_fields_are_released_in_any_form(
    case: tuple[dict[str, Any], dict[str, Any], date],
) -> None:
    document, datum, on = case
    agreement = parse_agreement(document, source="a.yaml")
    release = agreement.releases[CONTRACT.event_type]
    cut = compile_cut(
        CONTRACT,
        release,
        agreement=agreement.ref,
        pairwise_key=KEY,
    )
    body = CONTRACT.avro.encode(datum)
    made = project(open_event(body, CONTRACT, CONTRACT.avro), cut, on=on)
    asked = {"agreement": str(agreement.ref), "event_type": CONTRACT.event_type}
    with TemporaryDirectory() as folder:
        other = oracle(Path(folder), document)
        assert made == other.expected(
            **asked, source_body=body, writer_schema=json.dumps(forms.document()), on=on
        )
        schema = other.delivered_schema(**asked)
    derived = derive_delivered(CONTRACT, release, agreement=agreement.ref)
    assert to_parsing_canonical_form(schema) == to_parsing_canonical_form(dict(derived))
    delivered_class(derived).from_datum(AvroType(derived).decode(made))

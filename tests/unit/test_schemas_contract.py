"""Contracts: what is carried, and everything that refuses one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from civicbus_schemas.contract import nested_record, parse_contract, values_at
from civicbus_schemas.errors import InvalidContract
from civicbus_schemas.vocabulary import Sensitivity

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import Document, leaf

Spoil = Callable[[Document], Any]


def child(document: Document) -> list[Document]:
    """The fields of the nested record."""
    fields: list[Document] = document["fields"][0]["type"]["fields"]
    return fields


def typed(type_: Any) -> Spoil:
    """Give the remarks another type."""
    return lambda document: document["fields"][2].update(type=type_)


def test_paths_are_names_and_brackets_when_a_contract_is_parsed() -> None:
    contract = samples.birth_contract()
    assert list(contract.fields) == [
        "child.pin", "child.date_of_birth", "child.full_name", "child.ethnicity",
        "parents[].pin", "parents[].full_name", "remarks", "registered_at",
    ]  # fmt: skip


def test_labels_are_kept_when_a_contract_is_parsed() -> None:
    contract = samples.birth_contract()
    ethnicity = contract.fields["child.ethnicity"]
    assert (ethnicity.type, ethnicity.nullable) == ("string", True)
    assert ethnicity.sensitivity is Sensitivity.SENSITIVE
    assert (ethnicity.owner, ethnicity.subject) == ("moj", "child")
    assert contract.event_type == "civil-status.Birth"
    assert (contract.key_subject.name, contract.is_view) == ("child", False)
    assert parse_contract(samples.person()).is_view


def test_numbers_are_found_per_subject_when_an_event_is_read() -> None:
    numbers = samples.birth_contract().subject_numbers(samples.birth_datum())
    assert numbers == {"child": ("001324012345",), "parents": ("001190000001", "001190000002")}


def test_no_number_is_found_when_its_path_is_null() -> None:
    contract = parse_contract(samples.person())
    datum = {"pin": "001190000001", "full_name": None, "mother_pin": None}
    assert contract.subject_numbers(datum) == {"person": ("001190000001",), "mother": ()}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.b", [1]), ("l[].b", [2, None]), ("n.b", [None]), ("e[].b", []), ("p", [[3, 4]])],
)
def test_values_are_found_when_a_path_is_walked(path: str, expected: list[Any]) -> None:
    datum = {"a": {"b": 1}, "l": [{"b": 2}, {"b": None}], "n": None, "e": [], "p": [3, 4]}
    assert list(values_at(datum, path)) == expected


@pytest.mark.parametrize("label", ["owner", "sensitivity", "category", "subject", "doc"])
def test_a_contract_is_refused_by_path_when_a_field_is_unlabelled(label: str) -> None:
    document = samples.birth()
    del child(document)[2][label]
    with pytest.raises(InvalidContract, match=rf"child\.full_name is unlabelled.*{label}"):
        parse_contract(document)


@pytest.mark.parametrize(
    "type_",
    [
        {"type": "map", "values": "string"},
        {"type": "array", "items": {"type": "map", "values": "string"}},
        {"type": "array", "items": {"type": "array", "items": "string"}},
        {"type": "array", "items": ["null", "string"]},
        {"type": "array", "items": "string", "unit": "m"},
        {"type": "array"},
        {"items": "string"},
        ["string", "long"],
        ["null", "string", "long"],
        ["null"],
        ["null", "null"],
        ["null", ["null", "string"]],
        ["null", {"type": "map", "values": "string"}],
        {"type": "string", "logicalType": "uuid"},
        {"type": "bytes", "logicalType": "decimal", "precision": 4},
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "int", "logicalType": "date", "unit": "day"},
        {"type": "fixed", "name": "F", "size": 4},
        {"type": "enum", "name": "E"},
        {"type": "enum", "name": "E", "symbols": ["a", "a"]},
        {"type": "enum", "name": "E", "symbols": "ab"},
        "null",
        "BirthChild",
        "uuid",
        5,
        None,
    ],
)
def test_a_contract_is_refused_when_a_field_has_a_type_we_do_not_carry(type_: Any) -> None:
    document = samples.birth()
    typed(type_)(document)
    with pytest.raises(InvalidContract):
        parse_contract(document)


@pytest.mark.parametrize(
    "type_",
    [
        *("boolean", "int", "long", "float", "double", "string", "bytes"),
        {"type": "enum", "name": "E", "symbols": ["a", "b"]},
        ["null", {"type": "int", "logicalType": "date"}],
        ["string", "null"],
        {"type": "array", "items": "long"},
    ],
)
def test_a_contract_is_accepted_when_a_field_has_a_type_we_carry(type_: Any) -> None:
    document = samples.birth()
    typed(type_)(document)
    assert "remarks" in parse_contract(document).fields


SPOILT: dict[str, Spoil] = {
    "unknown key at the top": lambda d: d.update(retention="P1Y"),
    "unknown key of a field": lambda d: d["fields"][2].update(mask=True),
    "unknown key of a container": lambda d: d["fields"][0].update(owner="moj"),
    "unknown key of a nested record": lambda d: d["fields"][0]["type"].update(family="x"),
    "key that is no text": lambda d: d.update({1: "x"}),
    "no family": lambda d: d.pop("family"),
    "family in capitals": lambda d: d.update(family="Civil"),
    "no name": lambda d: d.pop("name"),
    "name in snake case": lambda d: d.update(name="birth_registered"),
    "view that is no truth value": lambda d: d.update(view="false"),
    "no fields": lambda d: d.pop("fields"),
    "empty fields": lambda d: d.update(fields=[]),
    "fields that are no list": lambda d: d.update(fields={"a": 1}),
    "field that is no object": lambda d: d["fields"].append("remark"),
    "field without a type": lambda d: d["fields"][2].pop("type"),
    "field without a name": lambda d: d["fields"][2].pop("name"),
    "field named twice": lambda d: d["fields"].append(leaf("remarks")),
    "field in camel case": lambda d: d["fields"][2].update(name="reMarks"),
    "field with a dot": lambda d: d["fields"][2].update(name="a.b"),
    "nested record without fields": lambda d: child(d).clear(),
    "nested record named twice": lambda d: d["fields"][1]["type"]["items"].update(
        name="BirthChild"
    ),
    "not a record": lambda d: d.update(type="error"),
    "unknown sensitivity": lambda d: d["fields"][2].update(sensitivity="secret"),
    "empty owner": lambda d: d["fields"][2].update(owner=""),
    "owner that is no text": lambda d: d["fields"][2].update(owner=["moj"]),
    "owner that is null": lambda d: d["fields"][2].update(owner=None),
    "category that is no text": lambda d: d["fields"][2].update(category=["pd:Name"]),
    "empty doc": lambda d: d["fields"][2].update(doc=""),
    "default that does not fit": lambda d: child(d)[2].update(default=5),
    "no subjects": lambda d: d.pop("subjects"),
    "empty subjects": lambda d: d.update(subjects=[]),
    "subjects that are no list": lambda d: d.update(subjects={"name": "child"}),
    "subject without a path": lambda d: d["subjects"][0].pop("path"),
    "subject with an unknown key": lambda d: d["subjects"][0].update(role="key"),
    "subject named twice": lambda d: d["subjects"].append(d["subjects"][0]),
    "subject at no field": lambda d: d["subjects"][0].update(path="child.id"),
    "subject at a container": lambda d: d["subjects"][0].update(path="child"),
    "subject at another's field": lambda d: d["subjects"][0].update(path="parents[].pin"),
    "subject at a field that is no text": lambda d: child(d)[0].update(type="long"),
    "first subject many": lambda d: d["subjects"].reverse(),
    "first subject nullable": lambda d: child(d)[0].update(type=["null", "string"]),
    "field about nobody": lambda d: d["fields"][2].update(subject="witness"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_contract_is_refused_when_one_thing_is_wrong(spoil: Spoil) -> None:
    document = samples.birth()
    spoil(document)
    with pytest.raises(InvalidContract):
        parse_contract(document)


def test_a_nested_record_is_found_when_it_is_one_or_many() -> None:
    record = {"type": "record", "name": "R", "fields": []}
    assert nested_record(record) is record
    assert nested_record({"type": "array", "items": record}) is record
    assert nested_record("string") is None
    assert nested_record({"type": "map", "values": record}) is None

"""The delivered type: what is left is valid Avro, and what was cut is named."""

from __future__ import annotations

import json
from typing import Any

import avro.schema
import pytest
from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.codec import AvroType
from civicbus_schemas.contract import parse_contract
from civicbus_schemas.delivered import delivered_namespace, delivered_words, derive_delivered
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.form import PAIRWISE_PSEUDONYM
from civicbus_schemas.ids import AgreementRef

from tests.unit import schemas_samples as samples

REF = AgreementRef("vss.child-insurance", 3)


def derived(*paths: str, pseudonyms: tuple[str, ...] = ()) -> Any:
    """The delivered schema of these paths."""
    grants = [FieldGrant(path=path) for path in paths]
    grants += [FieldGrant(path=path, form=PAIRWISE_PSEUDONYM) for path in pseudonyms]
    return derive_delivered(samples.birth_contract(), Release(fields=tuple(grants)), agreement=REF)


def names(record: Any) -> list[str]:
    """The names of a record's fields."""
    return [entry["name"] for entry in record["fields"]]


def test_what_is_cut_is_named_when_fields_are_left_out() -> None:
    schema = derived("child.pin", "child.full_name", pseudonyms=("parents[].pin",))
    assert names(schema) == ["child", "parents"]
    assert schema["not_released"] == ["remarks", "registered_at"]
    child, parents = schema["fields"][0]["type"], schema["fields"][1]["type"]["items"]
    assert (names(child), child["not_released"]) == (
        ["pin", "full_name"],
        ["date_of_birth", "ethnicity"],
    )
    assert (names(parents), parents["not_released"]) == (["pin"], ["full_name"])


def test_a_container_is_cut_whole_when_nothing_in_it_is_released() -> None:
    schema = derived("remarks")
    assert names(schema) == ["remarks"]
    assert schema["not_released"] == ["child", "parents", "registered_at"]


def test_order_is_the_contracts_when_the_agreement_names_fields_otherwise() -> None:
    schema = derived("registered_at", "child.full_name", "child.pin")
    assert names(schema["fields"][0]["type"]) == ["pin", "full_name"]


def test_no_default_is_left_when_a_nullable_field_is_released() -> None:
    [entry] = derived("child.ethnicity")["fields"][0]["type"]["fields"]
    assert entry["type"] == ["null", "string"]
    assert "default" not in entry


def test_a_nullable_container_stays_nullable_when_part_of_it_is_released() -> None:
    document = samples.birth()
    document["fields"][1]["type"] = ["null", document["fields"][1]["type"]]
    contract = parse_contract(document)
    release = Release(fields=(FieldGrant(path="parents[].pin"),))
    [entry] = derive_delivered(contract, release, agreement=REF)["fields"]
    assert entry["type"][0] == "null"
    assert names(entry["type"][1]["items"]) == ["pin"]


def test_the_name_holds_agreement_and_version_when_it_is_derived() -> None:
    schema = derived("child.pin")
    assert schema["name"] == "Birth"
    assert schema["namespace"] == "vn.civil_status.vss_child_insurance_v3"
    assert schema["namespace"] == delivered_namespace(samples.birth_contract(), REF)
    assert delivered_words(REF) == "vss_child_insurance_v3"
    assert schema["contract"] == samples.birth_contract().fingerprint


def test_apache_avro_takes_the_schema_when_it_is_derived() -> None:
    schema = derived("child.pin", "child.ethnicity", "registered_at", "remarks")
    parsed = avro.schema.parse(json.dumps(schema))
    assert parsed.fullname == "vn.civil_status.vss_child_insurance_v3.Birth"
    assert AvroType(schema).name == parsed.fullname


@pytest.mark.parametrize("path", ["child.id", "child", "parents.pin", "parents[]", "", "remarks[]"])
def test_an_agreement_is_refused_when_its_path_is_no_leaf(path: str) -> None:
    with pytest.raises(InvalidAgreement, match="has no field"):
        derived(path)


@pytest.mark.parametrize("path", ["child.full_name", "remarks", "registered_at"])
def test_an_agreement_is_refused_when_it_would_pseudonymise_what_is_no_number(path: str) -> None:
    with pytest.raises(InvalidAgreement, match="cannot be pseudonymised"):
        derived(pseudonyms=(path,))

"""Event classes: what they admit, what they show, and what a delivery does not release."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from typing import Any

import pytest
from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.errors import InvalidEvent, NotReleased
from civicbus_schemas.event import delivered_class
from civicbus_schemas.form import PAIRWISE_PSEUDONYM
from civicbus_schemas.ids import AgreementRef, Pin
from civicbus_schemas.vietnam.events import EVENT_CLASSES, BirthRegistered

CHILD_PIN, MOTHER_PIN = "001324012345", "001193054321"


def a_child(**changes: Any) -> BirthRegistered.Child:
    values = {
        "pin": CHILD_PIN, "date_of_birth": date(2024, 3, 1), "full_name": "Nguyễn Minh An",
        "sex": "female", "place_of_birth": "Bệnh viện Bạch Mai", "nationality": "VN",
    } | changes  # fmt: skip
    return BirthRegistered.Child(**values)


def a_mother() -> BirthRegistered.Parent:
    return BirthRegistered.Parent(
        pin=MOTHER_PIN, date_of_birth=date(1993, 5, 6), role="mother",
        full_name="Trần Thu Hà", nationality="VN",
    )  # fmt: skip


def a_birth(**changes: Any) -> BirthRegistered:
    values = {
        "child": a_child(), "parents": [a_mother()], "registration_kind": "on-time",
        "registration_number": "45/2024", "registry_commune_code": "00070",
        "registered_at": datetime(2024, 3, 9, 2, 30, tzinfo=UTC),
    } | changes  # fmt: skip
    return BirthRegistered(**values)


def test_an_event_survives_its_bytes_when_encoded_and_decoded() -> None:
    avro = BirthRegistered.contract.avro
    decoded = BirthRegistered.from_datum(avro.decode(avro.encode(a_birth().to_datum())))
    assert decoded == a_birth()
    assert hash(decoded) == hash(a_birth())


def test_a_list_becomes_immutable_when_given_for_a_sequence() -> None:
    assert a_birth().parents == (a_mother(),)
    with pytest.raises(FrozenInstanceError):
        a_birth().registration_number = "46/2024"  # type: ignore[misc]


def test_the_key_is_the_first_subjects_number_when_two_are_named() -> None:
    assert a_birth().key_pin == Pin(CHILD_PIN)


def test_no_value_is_shown_when_an_event_is_printed() -> None:
    assert repr(a_birth()) == "BirthRegistered(…)"
    assert repr(a_child()) == "BirthRegistered.Child(…)"


def test_an_event_can_be_pickled_when_it_crosses_a_process() -> None:
    assert pickle.loads(pickle.dumps(a_birth())) == a_birth()  # noqa: S301


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"pin": "00132401234"}, "pin", "a PIN of 12 digits"),
        ({"pin": "٠٠١٣٢٤٠١٢٣٤٥"}, "pin", "a PIN of 12 digits"),
        ({"full_name": None}, "full_name", "a text"),
        ({"date_of_birth": datetime(2024, 3, 1, tzinfo=UTC)}, "date_of_birth", "a day"),
        ({"ethnicity": 7}, "ethnicity", "a text, or null"),
    ],
)
def test_field_and_rule_are_named_and_no_value_when_a_value_does_not_fit(
    changes: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        a_child(**changes)
    assert f"BirthRegistered.Child: field {field}" in str(caught.value)
    assert f"expected {rule}." in str(caught.value)
    assert str(next(iter(changes.values()))) not in str(caught.value).replace("NoneType", "")


def test_a_time_is_refused_when_it_has_no_zone() -> None:
    with pytest.raises(InvalidEvent, match="a time with its zone"):
        a_birth(registered_at=datetime(2024, 3, 9))  # noqa: DTZ001


def test_a_record_of_another_class_is_refused_when_given_for_a_nested_one() -> None:
    with pytest.raises(InvalidEvent, match="field child; got Parent"):
        a_birth(child=a_mother())


def test_missing_fields_are_named_when_a_datum_is_too_small() -> None:
    with pytest.raises(InvalidEvent, match="fields are missing"):
        BirthRegistered.Child.from_datum({"pin": CHILD_PIN})


def test_every_contract_has_its_class_when_the_module_is_imported() -> None:
    assert len(EVENT_CLASSES) == 18
    assert all(cls.event_type == name for name, cls in EVENT_CLASSES.items())


@pytest.fixture(scope="module")
def insurer_sees() -> Any:
    """What the insurer gets of `a_birth`."""
    release = Release(
        fields=(
            FieldGrant(path="child.pin"),
            FieldGrant(path="parents[].pin", form=PAIRWISE_PSEUDONYM),
        )
    )
    schema = derive_delivered(
        BirthRegistered.contract, release, agreement=AgreementRef("vss.child-health-insurance", 3)
    )
    datum = {"child": {"pin": CHILD_PIN}, "parents": [{"pin": "ab" * 16}]}
    return delivered_class(schema).from_datum(datum)


def test_released_fields_are_read_when_a_delivery_holds_them(insurer_sees: Any) -> None:
    assert insurer_sees.child.pin == CHILD_PIN
    assert insurer_sees.parents[0].pin == "ab" * 16


@pytest.mark.parametrize("path", ["registered_at", "child.ethnicity", "child.full_name"])
def test_access_raises_when_a_field_was_cut(insurer_sees: Any, path: str) -> None:
    *way, last = path.split(".")
    value = insurer_sees
    for name in way:
        value = getattr(value, name)
    with pytest.raises(NotReleased, match=last):
        getattr(value, last)


def test_a_field_is_unknown_when_no_contract_ever_had_it(insurer_sees: Any) -> None:
    with pytest.raises(AttributeError):
        _ = insurer_sees.child.salary

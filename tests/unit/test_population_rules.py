"""What each delivery says about persons, and who may say it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from civicbus_consumers.population.rules import NoRule, NotTheOwner, Persons, fold, version
from civicbus_consumers.population.tables import CONTRACT, DERIVED, STORED
from civicbus_schemas.errors import InvalidEvent
from civicbus_schemas.ids import EventType

from tests.fakes.population import (
    BIRTH,
    CAPACITY,
    CHILD,
    CORRECTION,
    DEATH,
    DEREGISTERED,
    EID,
    FATHER,
    GUARDIANSHIP,
    MARRIAGE,
    MOTHER,
    PIN_ISSUED,
    REGISTERED,
    TYPES,
    Sample,
    after,
    birth,
    capacity,
    correction,
    death,
    deregistered,
    eid,
    guardianship,
    marriage,
    pin_issued,
    registered,
)


def folded(*samples: Sample) -> Persons:
    """The persons that these deliveries make."""
    persons: Persons = {}
    for sample in samples:
        fold(sample.told(), persons, data=CONTRACT.fields)
    return persons


def values(persons: Persons, number: str = CHILD) -> dict[str, Any]:
    """What holds of a person."""
    return {datum: held.value for datum, held in persons.get(number, {}).items()}


def test_child_has_its_registered_data_and_parents_when_its_birth_is_registered() -> None:
    child = values(folded(Sample(type=BIRTH, datum=birth())))
    assert child["full_name"] == "Nguyễn Minh An"
    assert child["date_of_birth"] == date(2026, 2, 27)
    assert (child["mother_pin"], child["father_pin"]) == (MOTHER, FATHER)
    assert "pin" not in child, "the number is the identity authority's to say"


def test_number_is_said_when_the_identity_authority_issued_it() -> None:
    assert values(folded(Sample(type=PIN_ISSUED, datum=pin_issued())))["pin"] == CHILD


def test_card_stays_when_a_number_is_issued_anew_without_one() -> None:
    first = Sample(type=PIN_ISSUED, datum=pin_issued(card=True))
    again = Sample(type=PIN_ISSUED, datum=pin_issued(), time=after(9))
    assert values(folded(first, again))["card_issued_on"] == date(2026, 3, 1)


def test_only_corrected_data_change_when_an_entry_is_corrected() -> None:
    child = values(
        folded(
            Sample(type=BIRTH, datum=birth()),
            Sample(type=CORRECTION, datum=correction(full_name="Nguyễn Minh Anh"), time=after(1)),
        )
    )
    assert child["full_name"] == "Nguyễn Minh Anh"
    assert child["sex"] == "female"


def test_each_is_the_others_spouse_when_a_marriage_is_registered() -> None:
    persons = folded(Sample(type=MARRIAGE, datum=marriage()))
    assert values(persons, MOTHER) == {"spouse_pin": FATHER}
    assert values(persons, FATHER) == {"spouse_pin": MOTHER}


def test_day_of_death_is_said_when_a_death_is_registered() -> None:
    persons = folded(Sample(type=DEATH, datum=death()))
    assert values(persons, FATHER) == {"deceased_on": date(2026, 5, 4)}


def test_guardian_is_named_until_the_guardianship_ends() -> None:
    began = Sample(type=GUARDIANSHIP, datum=guardianship())
    assert values(folded(began)) == {"guardian_pin": FATHER}
    ended = Sample(type=GUARDIANSHIP, datum=guardianship(kind="ended"), time=after(1))
    assert values(folded(ended, began)) == {"guardian_pin": None}


def test_capacity_and_eid_level_are_said_when_they_change() -> None:
    persons = folded(Sample(type=CAPACITY, datum=capacity()), Sample(type=EID, datum=eid()))
    assert values(persons, FATHER) == {"legal_capacity": "lost", "eid_level": 2}


@pytest.mark.parametrize(
    "sample",
    [
        Sample(type=GUARDIANSHIP, datum=guardianship(kind="perhaps")),
        Sample(type=GUARDIANSHIP, datum=guardianship(guardian="somebody")),
        Sample(type=CAPACITY, datum=capacity(said="some")),
        Sample(type=EID, datum=eid(level=3)),
    ],
)
def test_nothing_is_said_when_a_word_or_number_is_unknown(sample: Sample) -> None:
    with pytest.raises(InvalidEvent):
        folded(sample)


def test_residence_is_cleared_when_it_ends() -> None:
    child = values(
        folded(
            Sample(type=REGISTERED, datum=registered()),
            Sample(type=DEREGISTERED, datum=deregistered(), time=after(1)),
        )
    )
    assert child["permanent_address"] is None
    assert child["permanent_commune_code"] is None


def test_new_residence_stays_when_the_former_one_ends_after_it() -> None:
    child = values(
        folded(
            Sample(type=REGISTERED, datum=registered(commune="31000")),
            Sample(type=DEREGISTERED, datum=deregistered(reason="moved"), time=after(1)),
        )
    )
    assert child["permanent_commune_code"] == "31000"


def test_older_statement_changes_nothing_when_it_comes_late() -> None:
    late = Sample(type=CORRECTION, datum=correction(full_name="Nguyễn Cũ"), time=after(-1))
    persons = folded(Sample(type=BIRTH, datum=birth()), late)
    assert values(persons)["full_name"] == "Nguyễn Minh An"


def test_versions_sort_by_time_then_by_event_when_they_are_compared() -> None:
    assert version(after(0), "z") < version(after(1), "a")
    assert version(after(0), "a") != version(after(0), "b")
    assert version(after(0), "a") == version(after(0), "a")


@pytest.mark.parametrize("type_", TYPES)
def test_nothing_changes_when_another_agency_than_the_owner_speaks(type_: EventType) -> None:
    sample = Sample(type=type_, datum=_SAMPLES[type_], source="hospital-bach-mai")
    persons: Persons = {}
    with pytest.raises(NotTheOwner):
        fold(sample.told(), persons, data=CONTRACT.fields)
    assert persons == {}


def test_nothing_changes_when_a_field_is_labelled_as_anothers() -> None:
    told = Sample(type=BIRTH, datum=birth()).told()
    told.owners["child.full_name"] = "bank"  # type: ignore[index]
    persons: Persons = {}
    with pytest.raises(NotTheOwner):
        fold(told, persons, data=CONTRACT.fields)
    assert persons == {}


def test_unknown_event_type_is_refused_when_the_view_has_no_rule_for_it() -> None:
    told = Sample(type=BIRTH, datum=birth()).told()
    object.__setattr__(told, "type", EventType("civil-status.DivorceRegistered"))
    with pytest.raises(NoRule):
        fold(told, {}, data=CONTRACT.fields)


@pytest.mark.parametrize(
    ("type_", "datum"),
    [
        pytest.param(BIRTH, birth("00132401234x"), id="malformed PIN of the child"),
        pytest.param(BIRTH, birth(mother="5f" * 16), id="pseudonym instead of a PIN"),
        pytest.param(BIRTH, birth(name="An\x00"), id="NUL in a name"),
        pytest.param(BIRTH, birth() | {"parents": [{"pin": MOTHER, "role": "x"}]}, id="role"),
        pytest.param(
            BIRTH, birth() | {"parents": [{"pin": p, "role": "mother"} for p in (MOTHER, FATHER)]},
            id="two mothers",
        ),
        pytest.param(BIRTH, {"child": {"pin": CHILD}}, id="no parents at all"),
        pytest.param(MARRIAGE, marriage(MOTHER, MOTHER), id="married to oneself"),
        pytest.param(CORRECTION, correction(full_name=7), id="number for a text"),
        pytest.param(CORRECTION, correction() | {"corrected": None}, id="null for a record"),
    ],
)  # fmt: skip
def test_delivery_is_refused_without_its_values_when_it_makes_no_sense(
    type_: EventType, datum: dict[str, Any]
) -> None:
    persons: Persons = {}
    with pytest.raises(InvalidEvent) as refusal:
        fold(Sample(type=type_, datum=datum).told(), persons, data=CONTRACT.fields)
    assert persons == {}
    assert MOTHER not in str(refusal.value)
    assert "00132401234x" not in str(refusal.value)


def test_derived_data_rest_on_their_owners_data_alone_when_they_are_computed() -> None:
    for datum, sources in DERIVED.items():
        owner = CONTRACT.fields[datum].owner
        assert {CONTRACT.fields[path].owner for path in sources} == {owner}
    assert set(STORED) | set(DERIVED) == set(CONTRACT.fields)


_SAMPLES = {
    GUARDIANSHIP: guardianship(),
    CAPACITY: capacity(),
    EID: eid(),
    BIRTH: birth(),
    CORRECTION: correction(sex="male"),
    DEATH: death(),
    MARRIAGE: marriage(),
    PIN_ISSUED: pin_issued(),
    REGISTERED: registered(),
    DEREGISTERED: deregistered(),
}

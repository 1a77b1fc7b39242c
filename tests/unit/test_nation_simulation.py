"""The synthetic population: repeatable, valid, and in the order of cause and effect."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_deploy.simulation import Emission, generate
from civicbus_deploy.simulation.pins import check_pin, draw_pin
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import Pin
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vietnam.events import (
    BirthRegistered,
    CertificateIssued,
    CertificateRefused,
    CertificateRequested,
    ConsentGiven,
    ConsentWithdrawn,
    DeathRegistered,
    MarriageRegistered,
    PermanentDeregistered,
    PermanentRegistered,
    PinIssued,
)
from hypothesis import given
from hypothesis import strategies as st

PERSONS, EVENTS = 150, 3000


@pytest.fixture(scope="module")
def policy() -> PolicySet:
    return load_nation().policy


@pytest.fixture(scope="module")
def emissions(policy: PolicySet) -> list[Emission]:
    return list(generate(PERSONS, EVENTS, 7, policy=policy))


@pytest.fixture(scope="module")
def by_person(emissions: list[Emission]) -> dict[Pin, list[Any]]:
    lives: dict[Pin, list[Any]] = defaultdict(list)
    for _, event, pin in emissions:
        lives[pin].append(event)
    return lives


def test_the_events_are_the_same_when_the_seed_is(
    emissions: list[Emission], policy: PolicySet
) -> None:
    assert list(generate(PERSONS, EVENTS, 7, policy=policy)) == emissions
    assert list(generate(PERSONS, EVENTS, 8, policy=policy)) != emissions


def test_exactly_as_many_events_come_when_a_number_is_asked_for(
    emissions: list[Emission], policy: PolicySet
) -> None:
    assert len(emissions) == EVENTS
    assert len(list(generate(1, 10, 1, policy=policy))) == 10


def test_each_agency_publishes_its_own_families_only_when_events_are_drawn(
    emissions: list[Emission], policy: PolicySet
) -> None:
    agencies = Counter(agency for agency, _, _ in emissions)
    assert set(agencies) == {a.id for a in policy.agencies.values() if a.publishes}
    for agency, event, _ in emissions:
        assert event.contract.family in policy.agencies[agency].publishes


def test_every_event_type_occurs_when_life_goes_on(
    emissions: list[Emission], policy: PolicySet
) -> None:
    types = {event.event_type for _, event, _ in emissions}
    assert types == {c.event_type for c in policy.contracts.values() if not c.is_view}


def test_every_event_can_be_written_when_its_contract_encodes_it(
    emissions: list[Emission],
) -> None:
    for _, event, _ in emissions:
        avro = event.contract.avro
        assert type(event).from_datum(avro.decode(avro.encode(event.to_datum()))) == event


def test_numbers_fit_and_differ_when_pins_are_issued(emissions: list[Emission]) -> None:
    holders = [event.holder for _, event, _ in emissions if isinstance(event, PinIssued)]
    assert len({holder.pin for holder in holders}) == len(holders)
    for holder in holders:
        check_pin(Pin(holder.pin), born_on=holder.date_of_birth, sex=holder.sex)


def test_the_pin_comes_first_and_the_birth_next_when_a_person_appears(
    by_person: dict[Pin, list[Any]],
) -> None:
    for life in by_person.values():
        assert [type(event) for event in life[:2]] == [PinIssued, BirthRegistered][: len(life)]
        kinds = Counter(map(type, life))
        assert kinds[PinIssued] == 1
        assert kinds[BirthRegistered] <= 1


def test_parents_have_their_pins_before_when_a_birth_names_them(
    emissions: list[Emission],
) -> None:
    issued = set()
    for _, event, pin in emissions:
        if isinstance(event, PinIssued):
            issued.add(pin.number)
        if isinstance(event, BirthRegistered):
            assert {parent.pin for parent in event.parents} <= issued
            years = {event.child.date_of_birth.year - p.date_of_birth.year for p in event.parents}
            assert all(gap >= 18 for gap in years)


def test_both_are_of_age_when_they_marry(emissions: list[Emission]) -> None:
    for _, event, _ in emissions:
        if isinstance(event, MarriageRegistered):
            day = event.registered_at.date()
            assert _years(event.wife.date_of_birth, day) >= 18
            assert _years(event.husband.date_of_birth, day) >= 20


def test_nothing_follows_but_the_end_of_residence_when_somebody_dies(
    by_person: dict[Pin, list[Any]],
) -> None:
    deaths = 0
    for life in by_person.values():
        kinds = list(map(type, life))
        if DeathRegistered in kinds:
            deaths += 1
            rest = kinds[kinds.index(DeathRegistered) + 1 :]
            assert rest in ([PermanentDeregistered], [])
    assert deaths > 5


def test_residence_ends_before_it_begins_elsewhere_when_people_move(
    by_person: dict[Pin, list[Any]],
) -> None:
    for life in by_person.values():
        moves = [e for e in life if isinstance(e, PermanentRegistered | PermanentDeregistered)]
        assert all(type(one) is not type(other) for one, other in pairwise(moves))
        assert isinstance(moves[0], PermanentRegistered) if moves else True


def test_an_answer_and_a_withdrawal_refer_to_something_when_they_come(
    by_person: dict[Pin, list[Any]],
) -> None:
    for life in by_person.values():
        asked, consents = set(), set()
        for event in life:
            match event:
                case CertificateRequested():
                    asked.add(event.request_number)
                case CertificateIssued() | CertificateRefused():
                    assert event.request_number in asked
                case ConsentGiven():
                    consents.add(event.consent_id)
                case ConsentWithdrawn():
                    assert event.consent_id in consents


def test_a_consent_covers_what_the_agreements_need_when_it_is_given(
    emissions: list[Emission], policy: PolicySet
) -> None:
    needed = {
        (a.recipient, a.purpose): {
            f"{event_type}:{path}" for event_type, r in a.releases.items() for path in r.paths
        }
        for a in policy.agreements
        if a.consent == "required"
    }
    given = [event for _, event, _ in emissions if isinstance(event, ConsentGiven)]
    assert {(c.recipient, c.purpose) for c in given} == set(needed)
    for consent in given:
        assert needed[consent.recipient, consent.purpose] <= set(consent.fields)


@given(
    born_on=st.dates(date(1900, 1, 1), date(2299, 12, 31)),
    sex=st.sampled_from(["male", "female"]),
    rng=st.randoms(use_true_random=False),
)
def test_a_drawn_pin_fits_when_it_is_checked(born_on: date, sex: str, rng: Any) -> None:
    pin = draw_pin(rng, province="001", born_on=born_on, sex=sex)
    check_pin(pin, born_on=born_on, sex=sex)


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("005324012345", "province"),
        ("101324012345", "province"),
        ("001224012345", "century and sex"),
        ("001325012345", "year of birth"),
    ],
)
def test_the_rule_is_named_and_no_digit_shown_when_a_pin_does_not_fit(
    number: str, rule: str
) -> None:
    with pytest.raises(InvalidIdentifier, match=rule) as caught:
        check_pin(Pin(number), born_on=date(2024, 5, 1), sex="female")
    assert not any(character.isdigit() for character in str(caught.value))


def _years(born_on: date, on: date) -> int:
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))

"""Acts upon a consent, judged one by one: who may, when, what follows, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.consent.registry.acts import (
    Demand,
    Refused,
    Repeated,
    Signer,
    Standing,
)
from civicbus_consumers.consent.registry.rules import guardians, majority
from civicbus_schemas.consent import Uses
from civicbus_schemas.ids import Pin
from civicbus_schemas.vocabulary import ConsentAct, Reason

from tests.unit.registry_samples import (
    AT,
    BANK,
    CHILD,
    LAN,
    LAN_SIGNS,
    PEOPLE,
    STRANGER,
    TERMS,
    TREATMENT,
    VNEID,
    World,
    altering,
    asking,
    child,
    giving,
    person,
)

LATER = AT + timedelta(days=400)
OTHER_ID = "0190b6f0-0000-7000-8000-000000000002"


def refusal(world: World, demand: Demand, **changes: Any) -> Reason:
    """Why a demand is refused."""
    verdict = world.judge(demand, **changes)
    assert isinstance(verdict, Refused), verdict
    return verdict.reason


# --- a life of a consent --------------------------------------------------------------------------


def test_consent_stands_as_each_act_makes_it() -> None:
    world = World(asker=BANK)
    assert world.do(asking()).standing is Standing.REQUESTED
    world.asker = VNEID
    given = world.do(giving(terms=replace(TERMS, uses=Uses(count=1))))
    assert (given.standing, given.version) == (Standing.GIVEN, 1)
    assert world.do(altering(ConsentAct.PAUSE, 1)).standing is Standing.PAUSED
    assert world.do(altering(ConsentAct.RESUME, 2)).standing is Standing.GIVEN
    renewed = world.do(altering(ConsentAct.RENEW, 3, valid_until=LATER))
    assert (renewed.version, renewed.terms.valid_until) == (4, LATER)
    assert renewed.terms.uses == Uses(count=1)
    ended = world.do(altering(ConsentAct.WITHDRAW))
    assert (ended.standing, ended.version) == (Standing.WITHDRAWN, 5)


def test_request_is_refused_by_the_citizen_and_cannot_be_given_then() -> None:
    world = World(asker=BANK)
    world.do(asking())
    world.asker = VNEID
    assert world.do(altering(ConsentAct.REFUSE)).standing is Standing.REFUSED
    assert refusal(world, giving()) is Reason.CONSENT_STANDS_OTHERWISE


def test_consent_expires_by_itself_and_lives_again_only_when_it_is_renewed() -> None:
    world = World()
    given = world.do(giving(terms=replace(TERMS, valid_until=AT + timedelta(days=1))))
    assert given.standing_at(AT + timedelta(days=1)) is Standing.EXPIRED
    world.at = AT + timedelta(days=2)
    assert refusal(world, altering(ConsentAct.PAUSE, 1)) is Reason.CONSENT_STANDS_OTHERWISE
    renewed = world.do(altering(ConsentAct.RENEW, 1, valid_until=LATER))
    assert renewed.standing_at(world.at) is Standing.GIVEN


def test_silence_is_no_consent_when_a_request_is_not_answered_in_time() -> None:
    world = World(asker=BANK)
    asked = world.do(asking())
    world.asker, world.at = VNEID, AT + timedelta(days=30)
    assert asked.standing_at(world.at) is Standing.EXPIRED
    assert refusal(world, giving()) is Reason.REQUEST_EXPIRED


# --- what comes again, late or out of order -------------------------------------------------------


@pytest.mark.parametrize("act", [ConsentAct.PAUSE, ConsentAct.RENEW, ConsentAct.WITHDRAW], ids=str)
def test_nothing_changes_when_an_act_comes_again(act: ConsentAct) -> None:
    world = World()
    world.do(giving())
    demand = altering(act, 1, valid_until=LATER if act is ConsentAct.RENEW else None)
    done = world.do(demand)
    world.at += timedelta(hours=1)
    assert world.judge(demand) == Repeated(held=done)


def test_nothing_changes_when_a_request_or_consent_comes_again() -> None:
    world = World(asker=BANK)
    asked = world.do(asking())
    world.at += timedelta(hours=1)
    assert world.judge(asking()) == Repeated(held=asked)
    world.asker = VNEID
    given = world.do(giving())
    world.at += timedelta(hours=1)
    assert world.judge(giving()) == Repeated(held=given)


def test_an_older_act_changes_nothing_when_it_comes_after_a_newer_one() -> None:
    world = World()
    world.do(giving())
    world.do(altering(ConsentAct.PAUSE, 1))
    world.do(altering(ConsentAct.RESUME, 2))
    assert refusal(world, altering(ConsentAct.PAUSE, 1)) is Reason.CONSENT_STANDS_OTHERWISE
    assert refusal(world, altering(ConsentAct.PAUSE, 2)) is Reason.CONSENT_STANDS_OTHERWISE


@pytest.mark.parametrize("act", [ConsentAct.GIVE, ConsentAct.RENEW, ConsentAct.RESUME], ids=str)
def test_a_withdrawn_consent_never_stands_again(act: ConsentAct) -> None:
    world = World()
    world.do(giving())
    ended = world.do(altering(ConsentAct.WITHDRAW))
    again: Demand = altering(act, ended.version, valid_until=LATER)
    if act is ConsentAct.GIVE:
        again = giving()
    assert refusal(world, again) is Reason.CONSENT_STANDS_OTHERWISE


def test_a_known_id_is_not_given_to_other_terms_or_another_person() -> None:
    world = World()
    world.do(giving())
    wider = replace(TERMS, fields=TERMS.fields | {"population.Person:sex"})
    assert refusal(world, giving(terms=wider)) is Reason.CONSENT_STANDS_OTHERWISE
    other = giving(pin=STRANGER, signer=Signer(pin=STRANGER, eid_level=2))
    assert refusal(world, other) is Reason.CONSENT_STANDS_OTHERWISE


def test_less_may_be_given_than_was_asked_for_and_not_more() -> None:
    both = replace(TERMS, fields=TERMS.fields | {"population.Person:sex"})
    world = World(asker=BANK)
    world.do(asking(terms=both))
    world.asker = VNEID
    more = replace(TERMS, fields=both.fields | {"population.Person:date_of_birth"})
    assert refusal(world, giving(terms=more)) is Reason.CONSENT_STANDS_OTHERWISE
    assert world.do(giving()).terms.fields == TERMS.fields


# --- what nobody may have -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        (giving(terms=replace(TERMS, purpose="credit.unheard-of")), Reason.NO_AGREEMENT),
        (giving(terms=replace(TERMS, recipient=VNEID)), Reason.NO_AGREEMENT),
        (
            giving(terms=replace(TERMS, fields=frozenset({"population.Person:religion"}))),
            Reason.FIELD_NOT_IN_AGREEMENT,
        ),
        (giving(shown="0" * 64), Reason.TEXT_OUTDATED),
        (giving(terms=replace(TERMS, valid_until=AT)), Reason.NEVER_IN_FORCE),
        (giving(terms=replace(TERMS, erase_at=AT)), Reason.NEVER_IN_FORCE),
        (giving(pin=Pin("001190099999")), Reason.SUBJECT_NOT_FOUND),
        (giving(signer=Signer(pin=LAN, eid_level=0)), Reason.EID_LEVEL_TOO_LOW),
        (altering(ConsentAct.WITHDRAW), Reason.CONSENT_NOT_FOUND),
    ],
)
def test_an_act_is_refused_when_what_it_names_is_not_there(demand: Demand, reason: Reason) -> None:
    assert refusal(World(), demand) is reason


def test_fields_are_told_when_the_agreement_lacks_them() -> None:
    more = TERMS.fields | {"population.Person:religion", "population.Person:ethnicity"}
    assert World().judge(giving(terms=replace(TERMS, fields=more))) == Refused(
        reason=Reason.FIELD_NOT_IN_AGREEMENT,
        fields=("population.Person:ethnicity", "population.Person:religion"),
    )


def test_a_consent_is_not_found_when_another_person_is_named() -> None:
    world = World()
    world.do(giving())
    stranger = Signer(pin=STRANGER, eid_level=2)
    demand = altering(ConsentAct.WITHDRAW, pin=STRANGER, signer=stranger)
    assert refusal(world, demand) is Reason.CONSENT_NOT_FOUND


def test_agencies_do_only_what_is_theirs() -> None:
    assert refusal(World(asker=BANK), giving()) is Reason.NOT_YOURS
    assert refusal(World(asker=BANK), altering(ConsentAct.WITHDRAW)) is Reason.NOT_YOURS
    assert refusal(World(asker=VNEID), asking()) is Reason.NOT_YOURS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"full_name": "Trần Thị Khác"}, Reason.SUBJECT_NOT_FOUND),
        ({"date_of_birth": date(1990, 1, 1)}, Reason.SUBJECT_NOT_FOUND),
        ({"pin": Pin("001190099999")}, Reason.SUBJECT_NOT_FOUND),
        ({"answer_by": AT}, Reason.NEVER_IN_FORCE),
    ],
)
def test_a_request_is_refused_when_the_person_is_not_the_one_named(
    changes: dict[str, Any], reason: Reason
) -> None:
    assert refusal(World(asker=BANK), asking(**changes)) is reason


# --- who signs ------------------------------------------------------------------------------------


def test_the_dead_consent_to_nothing_and_are_asked_nothing() -> None:
    dead = {LAN: person(deceased_on=date(2026, 5, 1))}
    assert refusal(World(people=dead), giving()) is Reason.SUBJECT_DECEASED
    assert refusal(World(people=dead, asker=BANK), asking()) is Reason.SUBJECT_DECEASED
    assert refusal(World(ended=True), giving()) is Reason.SUBJECT_DECEASED


def test_the_registry_ends_a_consent_though_nobody_can_sign_any_more() -> None:
    world = World()
    world.do(giving())
    world.ended = True
    ended = world.do(altering(ConsentAct.WITHDRAW, signer=None))
    assert ended.standing is Standing.WITHDRAWN


def by(pin: Pin, level: int = 2) -> Any:
    """The child's consent to treatment, signed by this person."""
    return giving(pin=CHILD, signer=Signer(pin=pin, eid_level=level), terms=TREATMENT)


@pytest.mark.parametrize(
    ("people", "signer", "reason"),
    [
        ({}, LAN, None),
        ({}, STRANGER, Reason.NOT_THE_GUARDIAN),
        ({}, CHILD, Reason.NOT_THE_GUARDIAN),
        ({CHILD: child(guardian_pin=STRANGER.number)}, LAN, Reason.NOT_THE_GUARDIAN),
        ({CHILD: child(guardian_pin=STRANGER.number)}, STRANGER, None),
        ({CHILD: child(mother_pin=None)}, LAN, Reason.NOT_THE_GUARDIAN),
        ({CHILD: child(date_of_birth=None)}, LAN, Reason.NOT_CAPABLE),
        ({LAN: person(deceased_on=date(2026, 1, 1))}, LAN, Reason.NOT_CAPABLE),
        ({LAN: person(date_of_birth=date(2010, 1, 1))}, LAN, Reason.NOT_CAPABLE),
        ({LAN: person(legal_capacity="limited")}, LAN, Reason.NOT_CAPABLE),
        ({LAN: person(eid_level=1)}, LAN, Reason.EID_LEVEL_TOO_LOW),
        ({LAN: person(eid_level=None)}, LAN, Reason.EID_LEVEL_TOO_LOW),
    ],
)
def test_a_child_s_guardian_signs_and_nobody_else(
    people: dict[Pin, Any], signer: Pin, reason: Reason | None
) -> None:
    verdict = World(people=PEOPLE | people).judge(by(signer))
    assert getattr(verdict, "reason", None) is reason


def test_level_two_is_needed_when_what_is_given_is_sensitive() -> None:
    too_low = Reason.EID_LEVEL_TOO_LOW
    assert World().judge(by(LAN, level=1)) == Refused(reason=too_low, eid_level=2)
    plain = giving(signer=Signer(pin=LAN, eid_level=0))
    assert World().judge(plain) == Refused(reason=too_low, eid_level=1)
    assert World().judge(giving(shown="0" * 64)) == Refused(reason=Reason.TEXT_OUTDATED)
    assert World().do(giving(signer=Signer(pin=LAN, eid_level=1))).standing is Standing.GIVEN


def test_a_guardian_cannot_give_what_a_rule_forbids_about_minors() -> None:
    credit = replace(by(LAN), terms=TERMS, shown=giving().shown)
    assert refusal(World(), credit) is Reason.FORBIDDEN_BY_RULE


def test_what_a_guardian_signs_ends_when_the_child_is_of_age() -> None:
    given = World().do(by(LAN))
    assert given.terms.valid_until == majority(date(2024, 3, 4))
    assert given.standing_at(datetime(2042, 3, 3, 17, tzinfo=UTC)) is Standing.EXPIRED
    assert given.standing_at(datetime(2042, 3, 3, 16, 59, tzinfo=UTC)) is Standing.GIVEN


def test_who_is_of_age_signs_alone_and_what_lost_its_guardian_is_hers() -> None:
    grown = {CHILD: child(date_of_birth=date(2008, 5, 31), eid_level=2)}
    world = World(people=PEOPLE | grown)
    assert refusal(world, by(LAN)) is Reason.NOT_THE_GUARDIAN
    assert world.do(by(CHILD)).standing is Standing.GIVEN


@pytest.mark.parametrize("capacity", ["limited", "lost"])
def test_who_is_not_capable_needs_a_guardian(capacity: str) -> None:
    ward = {LAN: person(legal_capacity=capacity, guardian_pin=STRANGER.number)}
    world = World(people=PEOPLE | ward)
    assert refusal(world, giving()) is Reason.NOT_THE_GUARDIAN
    stranger = Signer(pin=STRANGER, eid_level=2)
    assert world.do(giving(signer=stranger)).standing is Standing.GIVEN


def test_an_appointed_guardian_stands_before_the_parents() -> None:
    parents = person(mother_pin="001190000001", father_pin="001090000002", guardian_pin=None)
    assert guardians(parents) == {"001190000001", "001090000002"}
    assert guardians(person(guardian_pin=STRANGER.number)) == {STRANGER.number}


def test_majority_is_midnight_in_vietnam_when_the_birthday_is_the_29th_of_february() -> None:
    assert majority(date(2008, 2, 29)) == datetime(2026, 2, 28, 17, tzinfo=UTC)


def test_pausing_needs_no_eid_level_nor_a_new_text() -> None:
    world = World()
    world.do(giving())
    paused = world.do(altering(ConsentAct.PAUSE, 1, signer=replace(LAN_SIGNS, eid_level=0)))
    assert paused.shown == giving().shown


def test_renewing_is_consenting_anew_when_the_text_has_changed() -> None:
    world = World()
    world.do(giving())
    outdated = altering(ConsentAct.RENEW, 1, valid_until=LATER, shown="0" * 64)
    assert refusal(world, outdated) is Reason.TEXT_OUTDATED
    past = altering(ConsentAct.RENEW, 1, valid_until=AT)
    assert refusal(world, past) is Reason.NEVER_IN_FORCE

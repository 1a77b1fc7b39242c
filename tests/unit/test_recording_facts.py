"""What a decision read survives being sealed, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from civicbus_consumers.recording.facts import facts_secret, open_secret, read_facts
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.decision import Facts
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.vocabulary import ConsentStatus

from tests.unit import lookup_samples as samples

BIRTH = EventType("civil-status.BirthRegistered")
CONTRACT = samples.policy().contracts[BIRTH]
FACTS = Facts(
    provider=AgencyId("moj"),
    event_type=BIRTH,
    contract=CONTRACT.fingerprint,
    values={"child.date_of_birth": (date(2026, 2, 28), None), "child.full_name": ("Lê",)},
)


def test_facts_are_the_same_when_they_are_sealed_and_read() -> None:
    sealed = open_secret(facts_secret(FACTS))
    assert sealed.consents == NO_CONSENTS
    assert sealed.facts is not None
    assert read_facts(sealed.facts, CONTRACT) == FACTS


def test_consents_are_the_same_when_they_are_sealed_and_read() -> None:
    given = samples.consent("full_name", "sex", valid_until=samples.AT + timedelta(days=1))
    withdrawn = replace(given, status=ConsentStatus.WITHDRAWN, version=2, valid_until=None)
    consents = SubjectConsents((given, withdrawn))
    assert open_secret(facts_secret(FACTS, consents)).consents == consents


def test_only_what_is_read_is_sealed_when_a_person_has_other_consents() -> None:
    mine, other = samples.consent(), samples.consent(purpose="account.update-customer")
    consents = SubjectConsents((mine, other))
    about = consents.about(samples.BANK, samples.CREDIT)
    assert about == SubjectConsents((mine,))
    assert list(about.find(samples.BANK, samples.CREDIT)) == [mine]


@pytest.mark.parametrize(
    "secret", [b"", b"[]", b'{"consents":[{}]}', b'{"consents":[{"id":"c","status":"paused"}]}']
)
def test_sealed_part_is_refused_when_it_holds_something_else(secret: bytes) -> None:
    with pytest.raises(InvalidBytes):
        open_secret(secret)


@pytest.mark.parametrize(
    "values",
    [{"child.shoe_size": ["42"]}, {"child.date_of_birth": ["soon"]}, {"registered_at": [""]}],
)
def test_facts_are_refused_when_they_do_not_fit_the_contract(
    values: dict[str, list[str]],
) -> None:
    document = {"contract": "", "event_type": BIRTH, "provider": "moj", "values": values}
    with pytest.raises(InvalidBytes):
        read_facts(document, CONTRACT)

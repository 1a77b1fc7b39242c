"""The fold of consent events, case by case; `test_consent_properties` has the laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.consent.rules import (
    GIVEN,
    MAX_GIVEN_STATE_BYTES,
    WITHDRAWN,
    Given,
    Withdrawn,
    fold,
    fold_encoded,
    is_binding,
    is_folded,
    read_change,
)
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.errors import InvalidEvent, TooLarge
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentStatus

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
ID = "0190b6f0-0000-7000-8000-000000000001"
BANK = AgencyId("bank")
PURPOSE = "credit.check-borrower"
FIELD = "population.Person:date_of_birth"


def _given(id_: str = ID, **other: Any) -> Given:
    values = {"recipient": BANK, "purpose": PURPOSE, "fields": frozenset({FIELD}), "at": AT}
    return Given(**{"id": id_, **values, **other})


def _withdrawn(id_: str = ID) -> Withdrawn:
    return Withdrawn(id=id_, recipient=BANK, purpose=PURPOSE, at=AT + timedelta(days=1))


def _folded(*changes: Given | Withdrawn) -> tuple[Consent, ...]:
    state = NO_CONSENTS
    for change in changes:
        state = fold(state, change)
    return state.consents


def test_consent_is_in_force_when_given() -> None:
    (consent,) = _folded(_given(valid_until=AT + timedelta(days=30)))
    assert (consent.status, consent.version, consent.since) == (ConsentStatus.GIVEN, 1, AT)
    assert consent.lapse(frozenset({FIELD}), AT) is None


def test_consent_ends_with_a_new_version_when_withdrawn() -> None:
    (consent,) = _folded(_given(), _withdrawn())
    assert (consent.status, consent.version) == (ConsentStatus.WITHDRAWN, 2)
    assert consent.since == AT + timedelta(days=1)


def test_state_is_the_same_object_when_an_event_comes_again() -> None:
    state = SubjectConsents(_folded(_given(), _withdrawn()))
    assert fold(state, _withdrawn()) is state
    assert fold(state, _given()) is state


def test_consent_stays_withdrawn_when_it_is_given_late() -> None:
    (consent,) = _folded(_withdrawn(), _given())
    assert (consent.status, consent.version, consent.fields) == (
        ConsentStatus.WITHDRAWN,
        1,
        frozenset(),
    )


def test_consent_is_not_widened_when_its_id_is_given_again() -> None:
    wider = _given(fields=frozenset({FIELD, "population.Person:address"}), valid_until=None)
    (consent,) = _folded(_given(), wider)
    assert consent.fields == {FIELD}


def test_other_consents_stay_when_one_is_withdrawn() -> None:
    other = "0190b6f0-0000-7000-8000-000000000002"
    first, second = _folded(_given(), _given(other), _withdrawn())
    assert first.status is ConsentStatus.WITHDRAWN
    assert (second.id, second.status) == (other, ConsentStatus.GIVEN)


def test_nothing_more_is_given_when_the_state_is_full() -> None:
    fields = frozenset(f"population.Person:{'f' * 190}{n}" for n in range(256))
    body = None
    ids = [f"0190b6f0-0000-7000-8000-{n:012d}" for n in range(10)]
    given = list[str]()
    for id_ in ids:
        try:
            body = fold_encoded(body, _given(id_, fields=fields))
        except TooLarge:
            break
        given.append(id_)
    assert 0 < len(given) < len(ids)
    for id_ in [*given, ids[-1]]:  # what is given can be withdrawn, and what is not, too
        body = fold_encoded(body, _withdrawn(id_))
    assert body is not None
    assert len(body) > MAX_GIVEN_STATE_BYTES / 2
    with pytest.raises(TooLarge):
        fold_encoded(body, _given(ids[-2], fields=fields))


def test_encoded_state_is_none_when_nothing_changes() -> None:
    body = fold_encoded(None, _given())
    assert fold_encoded(body, _given()) is None


def _datum(**other: Any) -> dict[str, Any]:
    datum = {
        "consent_id": ID,
        "recipient": "bank",
        "purpose": PURPOSE,
        "fields": [FIELD],
        "given_at": AT,
        "withdrawn_at": AT,
        "valid_until": None,
    }
    return datum | other


def test_withdrawal_finds_its_consent_when_the_id_is_spelled_otherwise() -> None:
    given = read_change(GIVEN, _datum(consent_id=ID.upper()))
    withdrawn = read_change(WITHDRAWN, _datum(consent_id="{" + ID + "}"))
    assert given.id == withdrawn.id == ID


def test_withdrawal_is_read_when_its_recipient_is_malformed() -> None:
    assert read_change(WITHDRAWN, _datum(recipient="No Such Agency " * 20)).id == ID


@pytest.mark.parametrize(
    "wrong",
    [
        {"consent_id": "1"},
        {"recipient": "Bank"},
        {"purpose": "credit"},
        {"fields": []},
        {"fields": ["population.Person:a"] * 257},
        {"fields": ["date_of_birth"]},
        {"fields": ["population.Person:*"]},
        {"fields": ["population.Person:" + "a" * 300]},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_consent_is_refused_without_its_value_when_a_field_is_malformed(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read_change(GIVEN, _datum(**wrong))
    for value in wrong.values():
        assert str(value) not in str(refused.value) or value == "1"


def test_fence_needs_the_position_after_the_event_and_at_the_end() -> None:
    assert [is_folded(position, 7) for position in (-1, 7, 8)] == [False, False, True]
    assert [is_binding(position, 7) for position in (-1, 6, 7)] == [False, False, True]

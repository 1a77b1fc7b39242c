"""The fold of consent events, case by case; `test_consent_properties` has the laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.consent.rules import (
    CHANGED,
    GIVEN,
    MAX_GIVEN_STATE_BYTES,
    WITHDRAWN,
    Change,
    Changed,
    Given,
    Withdrawn,
    fold,
    fold_encoded,
    is_binding,
    is_folded,
    read_change,
)
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents, Uses
from civicbus_schemas.errors import InvalidEvent, TooLarge
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentStatus, Reason, UsePeriod

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


def _changed(version: int, status: ConsentStatus, **other: Any) -> Changed:
    values = {"id": ID, "recipient": BANK, "purpose": PURPOSE, "at": AT + timedelta(days=version)}
    return Changed(**values, version=version, status=status, **other)


def _folded(*changes: Change) -> tuple[Consent, ...]:
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
    assert (consent.status, consent.version) == (ConsentStatus.WITHDRAWN, 2)
    assert (consent,) == _folded(_given(), _withdrawn())


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_consent_stands_as_last_changed_when_events_come_in_another_order(
    order: tuple[int, ...],
) -> None:
    renewed = AT + timedelta(days=90)
    told = (
        _given(valid_until=AT + timedelta(days=30), uses=Uses(count=3, per=UsePeriod.MONTH)),
        _changed(2, ConsentStatus.PAUSED, valid_until=AT + timedelta(days=30)),
        _changed(3, ConsentStatus.GIVEN, valid_until=renewed),
    )
    (consent,) = _folded(*(told[index] for index in order))
    assert (consent.status, consent.version) == (ConsentStatus.GIVEN, 3)
    assert (consent.valid_until, consent.fields) == (renewed, {FIELD})
    assert consent.uses == Uses(count=3, per=UsePeriod.MONTH)


def test_consent_is_not_resumed_when_an_older_version_comes_late() -> None:
    (consent,) = _folded(
        _given(), _changed(3, ConsentStatus.PAUSED), _changed(2, ConsentStatus.GIVEN)
    )
    assert consent.lapse(frozenset({FIELD}), AT) is Reason.CONSENT_PAUSED


def test_consent_stays_withdrawn_when_it_is_renewed_late() -> None:
    late = _changed(7, ConsentStatus.GIVEN, valid_until=AT + timedelta(days=900))
    (consent,) = _folded(_given(), _withdrawn(), late)
    assert (consent.status, consent.version) == (ConsentStatus.WITHDRAWN, 8)
    assert (consent,) == _folded(_given(), late, _withdrawn())


def test_nothing_is_covered_when_a_change_comes_before_its_consent() -> None:
    (consent,) = _folded(_changed(2, ConsentStatus.GIVEN))
    assert consent.lapse(frozenset(), AT) is Reason.CONSENT_TOO_NARROW


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
        "changed_at": AT,
        "valid_until": None,
        "uses": None,
        "erase_at": None,
        "version": 2,
        "status": "paused",
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
        {"uses": {"count": 0, "per": None}},
        {"uses": {"count": 1, "per": "century"}},
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"consent_id": "1"},
        {"version": 1},
        {"version": 2**60},
        {"status": "withdrawn"},
        {"status": "revived"},
        {"recipient": "Bank"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_change_is_refused_when_a_field_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        read_change(CHANGED, _datum(**wrong))


def test_consent_is_read_when_its_event_is_of_the_contracts_first_version() -> None:
    datum = _datum()
    del datum["uses"], datum["erase_at"]
    given = read_change(GIVEN, datum)
    assert isinstance(given, Given)
    assert (given.uses, given.erase_at) == (None, None)


def test_fence_needs_the_position_after_the_event_and_at_the_end() -> None:
    assert [is_folded(position, 7) for position in (-1, 7, 8)] == [False, False, True]
    assert [is_binding(position, 7) for position in (-1, 6, 7)] == [False, False, True]

"""Consent state: what covers, what lapses and why, and the value on the topic."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_schemas.consent import (
    NO_CONSENTS,
    SUBJECT_CONSENTS,
    Consent,
    SubjectConsents,
    Uses,
)
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentStatus, Reason, UsePeriod

from tests.unit.schemas_samples import AT

BANK = AgencyId("bank")
NAME, ADDRESS = "population.Person:full_name", "population.Person:permanent_address"
GIVEN = Consent(
    id="c-1",
    version=1,
    recipient=BANK,
    purpose="credit.check",
    fields=frozenset({NAME}),
    status=ConsentStatus.GIVEN,
    since=AT,
    valid_until=AT + timedelta(days=30),
)
PAUSED = replace(GIVEN, version=2, status=ConsentStatus.PAUSED)
WITHDRAWN = replace(GIVEN, version=2, status=ConsentStatus.WITHDRAWN)


@pytest.mark.parametrize("consents", [(), (GIVEN,), (replace(GIVEN, valid_until=None), WITHDRAWN)])
def test_consents_are_the_same_when_they_are_written_and_read(
    consents: tuple[Consent, ...],
) -> None:
    state = SubjectConsents(consents)
    assert SubjectConsents.decode(state.encode()) == state


def test_bytes_are_the_same_when_fields_were_named_in_another_order() -> None:
    one = replace(GIVEN, fields=frozenset([NAME, ADDRESS]))
    other = replace(GIVEN, fields=frozenset([ADDRESS, NAME]))
    assert SubjectConsents((one,)).encode() == SubjectConsents((other,)).encode()


@pytest.mark.parametrize(
    ("consent", "needed", "days", "reason"),
    [
        (GIVEN, {NAME}, 0, None),
        (GIVEN, set(), 0, None),
        (GIVEN, {NAME}, 29, None),
        (GIVEN, {NAME}, 30, Reason.CONSENT_EXPIRED),
        (GIVEN, {NAME, ADDRESS}, 0, Reason.CONSENT_TOO_NARROW),
        (GIVEN, {ADDRESS}, 31, Reason.CONSENT_EXPIRED),
        (WITHDRAWN, {NAME}, 0, Reason.CONSENT_WITHDRAWN),
        (WITHDRAWN, {NAME, ADDRESS}, 31, Reason.CONSENT_WITHDRAWN),
        (replace(GIVEN, valid_until=None), {NAME}, 10_000, None),
        (PAUSED, {NAME}, 0, Reason.CONSENT_PAUSED),
        (PAUSED, {NAME}, 30, Reason.CONSENT_EXPIRED),
        (replace(GIVEN, erase_at=AT + timedelta(days=3)), {NAME}, 3, Reason.CONSENT_EXPIRED),
        (replace(GIVEN, erase_at=AT + timedelta(days=3)), {NAME}, 2, None),
        (replace(GIVEN, fields=frozenset()), set(), 0, Reason.CONSENT_TOO_NARROW),
        (replace(GIVEN, uses=Uses(count=1)), {NAME}, 0, None),  # counted elsewhere
    ],
)
def test_a_consent_lapses_with_its_reason_when_it_does_not_cover(
    consent: Consent, needed: set[str], days: int, reason: Reason | None
) -> None:
    assert consent.lapse(frozenset(needed), AT + timedelta(days=days)) is reason


def test_the_newest_comes_first_when_consents_are_found() -> None:
    later = replace(GIVEN, id="c-2")
    other = replace(GIVEN, id="c-3", purpose="account.update")
    state = SubjectConsents((GIVEN, later, other))
    assert [c.id for c in state.find(BANK, "credit.check")] == ["c-2", "c-1"]
    assert list(state.find(AgencyId("vss"), "credit.check")) == []
    assert list(NO_CONSENTS.find(BANK, "credit.check")) == []


def test_a_consent_is_named_with_its_version_when_it_is_shown() -> None:
    assert str(WITHDRAWN) == "c-1@2"


@pytest.mark.parametrize(
    ("per", "period", "next_period"),
    [
        (UsePeriod.DAY, "2027-01-01", "2027-01-02"),
        (UsePeriod.WEEK, "2026-W53", "2026-W53"),
        (UsePeriod.MONTH, "2027-01", "2027-01"),
        (UsePeriod.YEAR, "2027", "2027"),
        (None, "ever", "ever"),
    ],
)
def test_uses_count_in_the_nations_calendar_when_a_period_begins(
    per: UsePeriod | None, period: str, next_period: str
) -> None:
    uses = Uses(count=1, per=per)
    midnight = datetime(2026, 12, 31, 17, tzinfo=UTC)  # in Vietnam a new day, month and year
    assert uses.period_of(midnight) == period
    assert uses.period_of(midnight + timedelta(days=1)) == next_period
    before = uses.period_of(midnight - timedelta(microseconds=1))
    assert (before == period) == (per in {None, UsePeriod.WEEK})


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b + b"\x00", lambda _: b""])
def test_state_is_refused_when_its_bytes_are_spoilt(spoil: Any) -> None:
    with pytest.raises(InvalidBytes):
        SubjectConsents.decode(spoil(SubjectConsents((GIVEN,)).encode()))


def test_state_is_refused_when_a_status_is_unknown() -> None:
    datum = SUBJECT_CONSENTS.decode(SubjectConsents((GIVEN,)).encode())
    datum["consents"][0]["status"] = "revived"
    with pytest.raises(InvalidBytes, match="unknown status"):
        SubjectConsents.decode(SUBJECT_CONSENTS.encode(datum))

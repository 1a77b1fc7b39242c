"""Who may ask the ledger what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.officers.rules import (
    DEFAULT_RANGE,
    Citizen,
    Denied,
    Find,
    Granted,
    Official,
    QueryPurpose,
    Question,
    Role,
    View,
    judge,
)
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import Reason

from tests.unit.lookup_samples import LAN, MOTHER

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
PURPOSE = {
    Role.OFFICER: QueryPurpose.COMPLAINT,
    Role.SUPERVISOR: QueryPurpose.SUPERVISION,
    Role.AUDITOR: QueryPurpose.OWN_AGENCY,
}
CITIZEN = Citizen(agency=AgencyId("vneid"), pin=LAN)


def judged(role: Role, *, case: str | None = None, purpose: Any = None, **find: Any) -> Any:
    """The verdict on a question of an official of the bank."""
    asker = Official(agency=AgencyId("bank"), name="o-17", role=role)
    asked = Question(find=Find(**find), purpose=purpose or PURPOSE[role], case=case)
    return judge(asker, asked, now=NOW)


def citizen(purpose: QueryPurpose = QueryPurpose.OWN_DATA, **find: Any) -> Any:
    """The verdict on a citizen's question."""
    return judge(CITIZEN, Question(find=Find(**find), purpose=purpose), now=NOW)


@pytest.mark.parametrize("role", PURPOSE)
@pytest.mark.parametrize("purpose", QueryPurpose)
def test_question_is_denied_when_its_purpose_is_another_roles(
    role: Role, purpose: QueryPurpose
) -> None:
    own = {Role.OFFICER: 4, Role.SUPERVISOR: 1, Role.AUDITOR: 1}[role]
    granted = [p for p in QueryPurpose if isinstance(judged(role, purpose=p), Granted)]
    assert len(granted) == own
    expected = purpose in granted
    assert isinstance(judged(role, purpose=purpose), Granted) is expected


@pytest.mark.parametrize("role", PURPOSE)
@pytest.mark.parametrize(
    "find", [{"pin": LAN}, {"officer": "o-1", "agency": AgencyId("bank")}], ids=["pin", "officer"]
)
def test_named_person_needs_a_case_when_an_official_asks(role: Role, find: dict[str, Any]) -> None:
    assert judged(role, **find) == Denied(reason=Reason.CASE_MISSING)
    assert isinstance(judged(role, case="TT-1", **find), Granted)


def test_auditor_sees_his_own_agency_only_when_he_names_it_or_none() -> None:
    for named in (None, AgencyId("bank")):
        verdict = judged(Role.AUDITOR, agency=named)
        assert (verdict.find.agency, verdict.view) == ("bank", View.RECORDS)
    assert judged(Role.AUDITOR, agency=AgencyId("vss")) == Denied(reason=Reason.NOT_YOURS)


def test_each_role_gets_its_view_when_it_may_ask() -> None:
    assert judged(Role.OFFICER).view is View.RECORDS
    assert judged(Role.SUPERVISOR).view is View.TRAIL
    assert citizen().view is View.OWN_DATA


def test_citizen_asks_about_himself_when_he_names_himself_or_nobody() -> None:
    assert citizen().find.pin == citizen(pin=LAN).find.pin == LAN
    assert citizen(pin=MOTHER) == Denied(reason=Reason.NOT_ABOUT_YOU)
    bank = AgencyId("bank")
    for find in ({"officer": "o-1", "agency": bank}, {"case": "A", "agency": bank}):
        assert citizen(**find) == Denied(reason=Reason.NOT_YOUR_ROLE)
    assert citizen(QueryPurpose.INSPECTION) == Denied(reason=Reason.PURPOSE_MISMATCH)


def test_range_is_the_last_year_when_an_official_names_none() -> None:
    find = judged(Role.OFFICER).find
    assert (find.since, find.until) == (NOW - DEFAULT_RANGE, NOW)
    early = NOW - timedelta(days=900)
    assert judged(Role.OFFICER, since=early).find.until == early + DEFAULT_RANGE
    assert judged(Role.OFFICER, until=early).find.since == early - DEFAULT_RANGE
    assert citizen().find.since is None  # his whole history

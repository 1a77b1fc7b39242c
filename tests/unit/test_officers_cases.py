"""Cases of officers through HTTP: on record before anything is done, and by whom it may be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from civicbus_consumers.officers.casework import rules
from civicbus_consumers.officers.casework.acts import Act
from civicbus_consumers.officers.casework.service import PATH
from civicbus_consumers.officers.reading import query_of
from civicbus_consumers.officers.rules import Find, Granted, Official, Role, View
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.record import commitment
from civicbus_schemas.subject import case, officer
from civicbus_schemas.vocabulary import ORDER_KINDS, Outcome, RecordKind

from tests.fakes.lookup import FakePages
from tests.fakes.vault import opened, secret_of
from tests.unit.officers_office import INSPECTOR, Office, bearer, history, official

ID, OTHER_ID = "5a" * 16, "6b" * 16
TEXT = "Đơn khiếu nại của bà Nguyễn Thị Lan"
READING, QUESTION, BANKS = f"{2:032x}", f"{7:032x}", f"{1:032x}"
DEMANDS: dict[Act, dict[str, str]] = {
    Act.OPEN: {"case": ID, "text": TEXT},
    Act.ASSIGN: {"case": ID, "assignee": "tt-0043"},
    Act.LINK: {"case": ID, "record": READING},
    Act.NOTE: {"case": ID, "text": "đã gọi điện"},
    Act.CLOSE: {"case": ID, "text": "giải quyết xong"},
    Act.LIST: {},
}


def do(
    office: Office, act: Act, *, role: Role = Role.OFFICER, sub: str | None = None, **changes: Any
) -> Any:
    """One act with a fresh token."""
    headers, body = bearer(role, sub=sub), DEMANDS[act] | changes
    return office.serve(lambda client: client.post(f"{PATH}/{act}", json=body, headers=headers))


def code(answer: Any) -> str | None:
    """Why it was not done; None where it was."""
    if answer.status_code == 200:
        return None
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


def test_a_case_takes_no_more_acts_than_it_may_and_can_be_closed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MAX_ACTS", 2)
    office = Office(history())
    assert [code(do(office, act)) for act in (Act.OPEN, Act.NOTE)] == [None, None]
    for act in (Act.ASSIGN, Act.LINK, Act.NOTE):
        assert code(do(office, act)) == "limit-exceeded"
        assert office.records[-1].decision is Outcome.DENY
    assert code(do(office, Act.CLOSE)) is None
    assert len(office.cases.kept[ID][1]) == 3


def test_an_agency_opens_no_more_cases_than_it_may_until_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "MAX_OPEN", 1)
    office = Office(history())
    assert code(do(office, Act.OPEN)) is None
    assert code(do(office, Act.OPEN, case=OTHER_ID)) == "limit-exceeded"
    assert code(do(office, Act.OPEN, role=Role.AUDITOR, case=OTHER_ID)) is None  # of another agency
    assert code(do(office, Act.CLOSE)) is None
    assert code(do(office, Act.OPEN, case="7c" * 16)) is None


def test_a_case_is_told_with_all_that_was_done_to_it() -> None:
    office = Office(history())
    receipts = [do(office, act).json()["receipt"]["record_id"] for act in DEMANDS]
    told = do(office, Act.LIST).json()
    [file] = told["cases"]
    assert (file["case"], file["open"]) == (ID, False)
    assert [one["act"] for one in file["acts"]] == ["open", "assign", "link", "note", "close"]
    assert [one["record_id"] for one in file["acts"]] == receipts[:5]
    assert {one["officer"] for one in file["acts"]} == {INSPECTOR}
    opened, assigned, linked, *_ = file["acts"]
    assert (opened["text"], assigned["assignee"], linked["record"]) == (TEXT, "tt-0043", READING)


def test_every_act_is_a_leaf_that_names_nobody() -> None:
    office = Office(history())
    for act in DEMANDS:
        do(office, act)
    assert [record.fields for record in office.records] == [(act.value,) for act in DEMANDS]
    for page, record in zip(office.pages.pages, office.records, strict=True):
        assert (record.kind, record.decision) == (RecordKind.OFFICER_CASE, Outcome.PERMIT)
        assert (record.actor.officer, record.actor.role) == (official(), "officer")
        [leaf] = page.records
        assert not any(word.encode() in leaf for word in (TEXT, INSPECTOR, "tt-0043"))
        salt, secret = opened(page.sealed[0], record)
        assert record.sealed == commitment(salt, secret)
        assert json.loads(secret)["officer"] == INSPECTOR
    assert office.records[0].req is not None
    assert office.records[0].req.case == secret_of(case(AgencyId("mps"), ID)).pseudonym


def test_nothing_is_done_when_it_cannot_be_recorded() -> None:
    office = Office(history(), pages=FakePages(fails=True))
    assert code(do(office, Act.OPEN)) == "cannot-record"
    assert office.cases.kept == {}


def test_the_page_is_never_called_released_when_the_act_was_not_kept() -> None:
    office = Office(history())
    office.cases.fails_to_keep = True
    refused = do(office, Act.OPEN)
    assert (refused.status_code, code(refused)) == (503, "cases-unavailable")
    assert refused.json()["receipt"]["record_id"] == office.records[0].id
    office.cases.fails_to_keep = False
    assert code(do(office, Act.OPEN)) is None
    assert office.headers[-1].released is None


@pytest.mark.parametrize("act", [Act.OPEN, Act.NOTE, Act.LIST])
def test_nothing_is_recorded_when_cases_cannot_be_read(act: Act) -> None:
    office = Office(history())
    office.cases.fails = True
    assert code(do(office, act)) == "cases-unavailable"
    assert (len(office.records) == 0) is (act is not Act.LIST)


@pytest.mark.parametrize(
    ("act", "role", "expected"),
    [
        *((act, Role.CITIZEN, "not-for-this-role") for act in Act),
        *((act, Role.SUPERVISOR, "not-for-this-role") for act in Act
          if act not in (Act.ASSIGN, Act.LIST)),
        (Act.ASSIGN, Role.SUPERVISOR, None),
        (Act.LIST, Role.SUPERVISOR, None),
        *((act, Role.AUDITOR, "case-not-found") for act in Act
          if act not in (Act.OPEN, Act.LIST)),  # of another agency
        (Act.LIST, Role.AUDITOR, None),
    ],
)  # fmt: skip
def test_roles_do_what_is_theirs_and_refusals_are_on_record(
    act: Act, role: Role, expected: str | None
) -> None:
    office = Office(history())
    do(office, Act.OPEN)
    answer = do(office, act, role=role, **({"case": ID} if act is not Act.LIST else {}))
    assert code(answer) == expected
    assert office.records[-1].decision is (Outcome.DENY if expected else Outcome.PERMIT)
    if role is Role.AUDITOR and act is Act.LIST:
        assert answer.json()["cases"] == []
    [(kept, entries)] = office.cases.kept.values()
    assert (kept.is_open, len(entries)) == (True, 2 if act is Act.ASSIGN and not expected else 1)


def test_nothing_more_is_done_when_a_case_is_closed_or_not_there() -> None:
    office = Office(history())
    assert code(do(office, Act.NOTE)) == "case-not-found"
    do(office, Act.OPEN)
    assert code(do(office, Act.OPEN)) == "case-is-there-already"
    do(office, Act.CLOSE)
    for act in (Act.NOTE, Act.LINK, Act.ASSIGN, Act.CLOSE):
        assert code(do(office, act)) == "case-is-closed"
    assert code(do(office, Act.OPEN, case=OTHER_ID)) is None


def test_only_records_that_the_role_is_shown_are_linked() -> None:
    office = Office(history())
    do(office, Act.OPEN)
    for record in (QUESTION, "ff" * 16):
        assert code(do(office, Act.LINK, record=record)) == "record-not-found"
    do(office, Act.OPEN, role=Role.AUDITOR, sub="kt-1", case=OTHER_ID)
    auditing = {"role": Role.AUDITOR, "sub": "kt-1", "case": OTHER_ID}
    assert code(do(office, Act.LINK, **auditing, record=READING)) == "record-not-found"
    assert code(do(office, Act.LINK, **auditing, record=BANKS)) is None


@pytest.mark.parametrize(
    ("act", "changes"),
    [
        (Act.OPEN, {"case": "VA-7"}),
        (Act.OPEN, {"text": " "}),
        (Act.OPEN, {"text": "x" * 4001}),
        (Act.OPEN, {"text": "a\x00b"}),
        (Act.OPEN, {"assignee": "tt-1"}),
        (Act.ASSIGN, {"assignee": 7}),
        (Act.LINK, {"record": "x"}),
        (Act.LIST, {"case": ID}),
    ],
)
def test_an_act_is_refused_and_not_recorded_when_it_is_malformed(
    act: Act, changes: dict[str, Any]
) -> None:
    office = Office(history())
    assert code(do(office, act, **changes)) == "malformed-query"
    assert office.records == []


def test_supervisors_see_in_the_trail_what_officers_did_to_cases() -> None:
    asker = Official(agency=AgencyId("mps"), name="gs-1", role=Role.SUPERVISOR)
    name = officer(asker.agency, asker.name)
    secrets = {name: secret_of(name)}
    query = query_of(Granted(find=Find(), view=View.TRAIL), asker, secrets=secrets)
    seen = {kind for kind in RecordKind if kind not in query.except_kinds}
    saved = RecordKind.OFFICER_SAVED
    asked = {RecordKind.OFFICER_QUERY, RecordKind.OFFICER_EXPORT, RecordKind.OFFICER_CASE}
    assert seen == {*asked, saved, *ORDER_KINDS}

"""Questions through HTTP: on record before they are answered, or not answered at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from civicbus_consumers.officers import journal
from civicbus_consumers.officers.app import tend_once
from civicbus_consumers.officers.request import MAX_LIMIT
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.recording.fuse import SealingBehind
from civicbus_consumers.runtime.health import Health
from civicbus_schemas.errors import BusError, Overdue
from civicbus_schemas.record import commitment
from civicbus_schemas.vocabulary import ORDER_KINDS, Outcome, Reason, RecordKind

from tests.fakes.lookup import FakePages
from tests.fakes.officers import GrowingShelf, entry
from tests.fakes.vault import opened
from tests.unit.lookup_samples import LAN
from tests.unit.officers_office import (
    CASE,
    COMPLAINT,
    INSPECTOR,
    PERSONAL,
    QUERIES,
    Office,
    bearer,
    case,
    deferred,
    history,
    official,
    subject,
)

ABOUT_LAN = COMPLAINT | {"find": {"pin": LAN.number}}
OWN_DATA = {"purpose": "subject.own-data"}
SUPERVISION = {"purpose": "oversight.supervision"}


def leaves(answer: Any) -> list[int]:
    """The leaves of an answer."""
    assert answer.status_code == 200, answer.text
    return [row["leaf"] for row in answer.json()["rows"]]


def code(answer: Any) -> str:
    """Why there is no answer."""
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["code"])


def test_question_is_on_record_when_it_is_answered() -> None:
    office = Office(history())
    told = office.ask(ABOUT_LAN).json()
    [record] = office.records
    assert told["receipt"]["record_id"] == record.id
    assert (record.kind, record.decision) == (RecordKind.OFFICER_QUERY, Outcome.PERMIT)
    assert record.actor.officer == official()
    assert (record.actor.agency, record.actor.role) == ("mps", "officer")
    assert (record.subject, record.purpose) == (subject(), "oversight.complaint")
    assert record.req is not None
    assert record.req.case == case(CASE)
    assert record.fields == ("pin",)


def test_record_is_of_another_kind_and_names_no_officer_when_a_citizen_asks() -> None:
    office = Office(history())
    office.ask(OWN_DATA, role=Role.CITIZEN)
    [record] = office.records
    assert (record.kind, record.actor.officer) == (RecordKind.CITIZEN_QUERY, None)
    assert (record.subject, record.actor.role) == (subject(), "citizen")


def test_names_and_question_are_sealed_when_it_is_recorded() -> None:
    office = Office(history())
    office.ask(ABOUT_LAN)
    [page], [record] = office.pages.pages, office.records
    leaf = repr(page.records[0])
    assert not any(value in leaf for value in PERSONAL)
    salt, secret = opened(page.sealed[0], record)
    assert record.sealed == commitment(salt, secret)
    told = json.loads(secret)
    assert (told["officer"], told["case"]) == (INSPECTOR, CASE)
    assert json.loads(told["question"])["find"] == {"pin": LAN.number}
    assert record.payload_hash == commitment(salt, told["question"].encode())


def test_page_is_never_called_released_when_reading_it_met_a_defect() -> None:
    office = Office(history())
    office.shelf.find = None  # type: ignore[assignment,method-assign]
    assert office.ask(ABOUT_LAN).status_code == 503
    del office.shelf.find
    office.ask()
    failed, last = office.headers
    assert failed.recorder != last.recorder
    assert last.closes is None
    office.journal.close()
    assert {header.recorder for header in office.headers[1:]} == {last.recorder}


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_read_when_the_question_cannot_be_recorded(fault: str) -> None:
    office = Office(history(), FakePages(**{fault: True}))
    answer = office.ask(ABOUT_LAN)
    assert (answer.status_code, code(answer)) == (503, "cannot-record")
    assert office.shelf.asked == []
    setattr(office.pages, fault, False)
    assert leaves(office.ask(ABOUT_LAN)) == [6, 4, 3, 1]  # a new recorder, a new chain
    assert len({header.recorder for header in office.headers}) == len(office.headers)


def test_page_is_never_called_released_when_its_answer_could_not_be_read() -> None:
    office = Office(history())
    office.ask()
    office.shelf.fails = True
    answer = office.ask(ABOUT_LAN)
    assert (answer.status_code, code(answer)) == (503, "index-unavailable")
    assert answer.json()["receipt"]["record_id"] == office.records[1].id
    office.shelf.fails = False
    office.ask()
    first, failed, last = office.headers
    assert failed.recorder == first.recorder != last.recorder
    assert last.closes is not None
    assert (last.closes.recorder, last.closes.sequence) == (first.recorder, 0)


def test_nothing_is_shown_when_the_index_contradicts_the_ledger() -> None:
    shelf = history()
    shelf.broken = True
    answer = Office(shelf).ask(ABOUT_LAN)
    assert (answer.status_code, code(answer)) == (500, "evidence-broken")


def test_question_is_told_to_come_again_when_too_many_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("civicbus_consumers.officers.counter.MAX_WAITING", 0)
    office = Office(history())
    answer = office.ask(ABOUT_LAN)
    assert (answer.status_code, code(answer)) == (503, "busy")
    assert office.records == []


def test_denial_is_on_record_and_nothing_is_read_when_a_role_may_not_ask() -> None:
    office = Office(history())
    answer = office.ask({"purpose": "oversight.complaint", "find": {"pin": LAN.number}})
    assert (answer.status_code, code(answer)) == (403, "case-missing")
    [record] = office.records
    assert (record.decision, record.reason) == (Outcome.DENY, Reason.CASE_MISSING)
    assert answer.json()["receipt"]["record_id"] == record.id
    assert office.shelf.asked == []


def test_answer_says_up_to_which_leaf_it_is_when_the_index_is_behind() -> None:
    office = Office(history())
    office.shelf.later = 7
    looked = office.ask(ABOUT_LAN).json()["range"]
    assert (looked["indexed"], looked["not_indexed"], looked["pruned"]) == (10, 7, 0)


def test_answer_says_where_the_ledger_begins_when_it_was_pruned() -> None:
    office = Office(history())
    office.shelf.pruned = 3
    assert office.ask(ABOUT_LAN).json()["range"]["pruned"] == 3


def test_the_process_is_ready_while_a_question_could_be_recorded_and_answered() -> None:
    office, health = Office(history()), Health()
    tend_once(office.desk, health)
    assert health.trouble is None
    office.shelf.no_index = True
    tend_once(office.desk, health)
    assert health.trouble == "index-unavailable"
    office.shelf.no_index = False
    tend_once(office.desk, health)
    assert health.trouble is None


def test_released_is_told_when_it_becomes_quiet() -> None:
    office = Office(history())
    office.ask()
    office.journal.close()
    question, heartbeat = office.headers
    assert (heartbeat.records, heartbeat.sequence) == (0, 1)
    assert heartbeat.released is not None
    assert heartbeat.released.sequence == question.sequence
    office.journal.close()
    assert len(office.headers) == 2


def test_chain_begins_anew_when_the_heartbeat_cannot_be_recorded() -> None:
    office = Office(history())
    office.ask()
    office.pages.fails = True
    with pytest.raises(BusError):
        office.journal.close()
    office.pages.fails = False
    office.journal.close()
    assert office.headers[-1].closes is not None


def test_tending_is_overdue_when_a_desk_does_not_let_go_of_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office(history())
    monkeypatch.setattr(journal, "QUIET_S", 0)
    with office.journal.held():
        office.journal.tend()
        monkeypatch.setattr(journal, "HELD_S", 0)
        with pytest.raises(Overdue):
            office.journal.tend()


def test_one_recorder_is_begun_when_the_fuse_refuses_again_and_again() -> None:
    office = Office(history(), FakePages(blown=True))
    assert [code(office.ask()) for _ in range(3)] == ["cannot-record"] * 3
    assert (office.begun, office.records, office.shelf.asked) == (1, [], [])
    office.pages.blown = False
    assert leaves(office.ask()) == [6, 5, 4, 3, 2, 1]
    office.pages.blown = True
    for _ in range(3):
        with pytest.raises(SealingBehind):
            office.journal.close()
    office.pages.blown = False
    office.journal.close()
    assert office.begun == 1
    assert len({header.recorder for header in office.headers}) == 1
    assert office.headers[-1].released is not None


def test_officers_trail_is_left_out_when_an_officer_or_an_auditor_asks() -> None:
    office = Office(history())
    assert leaves(office.ask()) == [6, 5, 4, 3, 2, 1]
    assert leaves(office.ask({"purpose": "oversight.inspection", "find": {"agency": "mps"}})) == [
        4,
        3,
    ]
    own_agency = {"purpose": "oversight.own-agency"}
    assert leaves(office.ask(own_agency, role=Role.AUDITOR)) == [6, 1]


def test_supervisor_sees_the_trail_without_his_own_when_he_asks() -> None:
    office = Office(history())
    assert leaves(office.ask(SUPERVISION, role=Role.SUPERVISOR)) == [8]
    assert leaves(office.ask(SUPERVISION, role=Role.SUPERVISOR, sub="gs-1")) == [8, 7]


def test_orders_are_the_supervisors_to_see_and_nobody_elses_when_they_ask() -> None:
    office = Office(history())
    by = {"recipient": "mps", "subject": subject(), "officer": official("gs-1")}
    for index, kind in enumerate(ORDER_KINDS, start=10):
        office.shelf.entries.append(entry(index, kind=kind, **by))
    assert leaves(office.ask()) == [6, 5, 4, 3, 2, 1]
    assert leaves(office.ask(SUPERVISION, role=Role.SUPERVISOR)) == [12, 11, 10, 8]
    assert leaves(office.ask(SUPERVISION, role=Role.SUPERVISOR, sub="gs-1")) == [8, 7]
    assert leaves(office.ask(OWN_DATA, role=Role.CITIZEN)) == [4, 1]


def test_citizen_sees_his_readings_and_a_count_of_the_hidden_when_he_asks() -> None:
    office = Office(history())
    answer = office.ask(OWN_DATA, role=Role.CITIZEN)
    assert (leaves(answer), answer.json()["hidden"]) == ([4, 1], 1)
    elsewhere = office.ask(OWN_DATA | {"find": {"agency": "bank"}}, role=Role.CITIZEN)
    assert (leaves(elsewhere), elsewhere.json()["hidden"]) == ([1], 1)
    refused = office.ask(OWN_DATA | {"find": {"decision": "deny"}}, role=Role.CITIZEN)
    assert leaves(refused) == [6]
    hidden = office.ask(OWN_DATA | {"find": {"record": f"{3:032x}"}}, role=Role.CITIZEN)
    assert leaves(hidden) == []


@pytest.mark.parametrize("number", ["open", "closed", "new"])
def test_citizen_is_shown_no_deferred_reading_when_it_is_indexed_while_he_asks(number: str) -> None:
    shelf = GrowingShelf(history().entries, after=deferred(10, case(number)))
    office = Office(shelf)
    answer = office.ask(OWN_DATA, role=Role.CITIZEN)
    assert (leaves(answer), answer.json()["hidden"]) == ([4, 1], 1)
    assert shelf.entries[-1].index == 10


def test_pages_follow_each_other_when_the_cursor_is_sent_back() -> None:
    office = Office(history())
    first = office.ask(COMPLAINT | {"limit": 4})
    assert leaves(first) == [6, 5, 4, 3]
    cursor = first.json()["cursor"]
    second = office.ask(COMPLAINT | {"limit": 4, "cursor": cursor})
    assert leaves(second) == [2, 1]
    assert second.json()["cursor"] is None
    assert len(office.records) == 2  # each page is a question of its own


@pytest.mark.parametrize(
    ("change", "sub"),
    [
        ({"find": {"agency": "bank"}}, None),
        ({"purpose": "oversight.inspection"}, None),
        ({}, "tt-0099"),
        ({"cursor": "AAAA"}, None),
        ({"cursor": "é"}, None),
    ],
    ids=["other question", "other purpose", "other asker", "forged", "no base64"],
)
def test_cursor_is_refused_when_it_is_of_another_question(
    change: dict[str, Any], sub: str | None
) -> None:
    office = Office(history())
    cursor = office.ask(COMPLAINT | {"limit": 1}).json()["cursor"]
    answer = office.ask(COMPLAINT | {"limit": 1, "cursor": cursor} | change, sub=sub)
    assert (answer.status_code, code(answer)) == (400, "cursor-unknown")


def test_proof_is_given_when_the_row_was_shown_to_the_same_asker() -> None:
    office = Office(history())
    [row] = office.ask(ABOUT_LAN | {"limit": 1}).json()["rows"]
    answer = office.get(row["proof"], **bearer())
    assert (answer.status_code, answer.text) == (200, f"proof of leaf {row['leaf']}\n")
    assert f'"{row["id"]}.tlog-proof"' in answer.headers["content-disposition"]
    for path, headers in [
        (row["proof"], bearer(sub="tt-0099")),
        (row["proof"].replace(row["id"], f"{2:032x}"), bearer()),
        (row["proof"].partition("?")[0], bearer()),
    ]:
        assert code(office.get(path, **headers)) == "not-shown"
    assert code(office.get(row["proof"])) == "token-missing"


@pytest.mark.parametrize(
    ("document", "member"),
    [
        ([], "body"),
        ({}, "purpose"),
        ({"find": {"pin": LAN.number}}, "purpose"),
        (COMPLAINT | {"purpose": "curiosity"}, "purpose"),
        (COMPLAINT | {"what": 1}, "body"),
        (COMPLAINT | {"case": ""}, "case"),
        (COMPLAINT | {"case": "x" * 129}, "case"),
        (COMPLAINT | {"case": "a\u0000b"}, "case"),
        (COMPLAINT | {"limit": 0}, "limit"),
        (COMPLAINT | {"limit": MAX_LIMIT + 1}, "limit"),
        (COMPLAINT | {"limit": True}, "limit"),
        (COMPLAINT | {"cursor": 7}, "cursor"),
        (COMPLAINT | {"find": []}, "find"),
        (COMPLAINT | {"find": {"name": "Lan"}}, "find"),
        (COMPLAINT | {"find": {"pin": "12"}}, "find.pin"),
        (COMPLAINT | {"find": {"pin": None}}, "find.pin"),
        (COMPLAINT | {"find": {"officer": "o-1"}}, "find.officer"),
        (COMPLAINT | {"find": {"case": "A-1"}}, "find.case"),
        (COMPLAINT | {"find": {"record": "xyz"}}, "find.record"),
        (COMPLAINT | {"find": {"decision": "maybe"}}, "find.decision"),
        (COMPLAINT | {"find": {"dataset": "x'; drop table leaf; --"}}, "find.dataset"),
        (COMPLAINT | {"find": {"since": "2026-11-22"}}, "find.since"),
        (COMPLAINT | {"find": {"since": "2026-11-22T09:00"}}, "find.since"),
        (
            COMPLAINT
            | {"find": {"since": "2026-11-22T09:00:00Z", "until": "2026-11-21T09:00:00Z"}},
            "find.until",
        ),
        (
            COMPLAINT
            | {"find": {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}},
            "find.until",
        ),
    ],
)
def test_question_is_refused_with_its_repair_when_it_is_malformed(
    document: Any, member: str
) -> None:
    office = Office(history())
    answer = office.ask(document)
    told = answer.json()
    assert (answer.status_code, told["member"]) == (400, member)
    assert told["code"] == "malformed-request" or {"got", "expected", "next_step"} <= told.keys()
    assert (office.records, office.shelf.asked) == ([], [])


def test_question_is_refused_when_its_bytes_are_no_question() -> None:
    office = Office()
    for headers, body, status in [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "application/json"}, b"\xff", 400),
        ({"Content-Type": "application/json"}, b'{"a":1,"a":2}', 400),
        ({"Content-Type": "application/json"}, b"[" * 5000, 400),
        ({"Content-Type": "application/json"}, b" " * 9000, 413),
    ]:
        given = bearer() | headers
        answer = office.serve(
            lambda client, given=given, body=body: client.post(  # type: ignore[misc]
                QUERIES, content=body, headers=given
            )
        )
        assert answer.status_code == status
    assert office.records == []

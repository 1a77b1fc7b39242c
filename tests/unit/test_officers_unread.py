"""A citizen asks what his recipients have not read: on record first, his own only."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_audit.index.searching import Entry
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.unread import PATH, delivered
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.officers import AT, FakeShelf, entry
from tests.fakes.unread import FakeUnread
from tests.unit.lookup_samples import MOTHER
from tests.unit.officers_office import Office, bearer, subject

CONSENT, OTHER = "5c1e5f0e-0000-4000-8000-000000000001", "5c1e5f0e-0000-4000-8000-000000000002"


def delivery(index: int, *, consent: str | None = CONSENT, **values: Any) -> Entry:
    """A delivery about the woman."""
    told = {
        "recipient": "bank",
        "subject": subject(),
        "agreement": "bank.customer-card@1",
        "purpose": "account.update-customer",
        "dataset": "identity.CardIssued",
        "consent": consent and f"{consent}@2",
        "topic": "src.identity.identity.v1",
        "partition": 3,
        "offset": index,
    }
    return entry(index, **told | values)


def office(*lying: int) -> Office:
    """Three deliveries about her, one to her mother, one denied, and a look-up; these unread."""
    shelf = FakeShelf(
        [
            delivery(1),
            delivery(2, consent=OTHER),
            delivery(3, consent=None, recipient="vss"),
            delivery(4, subject=subject(MOTHER)),
            delivery(5, decision=Outcome.DENY),
            entry(6, recipient="bank", subject=subject()),
        ]
    )
    return Office(shelf, unread=FakeUnread({f"{index:032x}": AT for index in lying}))


def ask(bureau: Office, document: Any = None, role: Role = Role.CITIZEN) -> Any:
    """One question with a fresh token."""
    headers = bearer(role)
    return bureau.serve(lambda client: client.post(PATH, json=document or {}, headers=headers))


def test_a_citizen_is_told_of_each_delivery_that_lies_unread() -> None:
    bureau = office(1, 3, 4, 5, 6)
    told = ask(bureau).json()
    assert [one["record_id"] for one in told["unread"]] == [f"{3:032x}", f"{1:032x}"]
    assert told["unread"][1] == {
        "recipient": "bank",
        "agreement": "bank.customer-card@1",
        "purpose": "account.update-customer",
        "type": "identity.CardIssued",
        "consent": f"{CONSENT}@2",
        "record_id": f"{1:032x}",
        "since": AT.isoformat(),
    }
    assert (told["looked_at"], told["complete"]) == (4, True)
    [asked] = bureau.unread.asked
    assert {int(one.record, 16) for one in asked} == {1, 2, 3}  # no look-up, nobody else's
    [record] = bureau.records
    assert (record.kind, record.id) == (RecordKind.CITIZEN_QUERY, told["receipt"]["record_id"])


@pytest.mark.parametrize(
    "odd",
    [
        {"decision": Outcome.DENY},
        {"decision": None},
        {"topic": "audit.page.v1"},
        {"recipient": "BANK"},
    ],
)
def test_a_row_that_is_no_delivery_is_passed_over_when_deliveries_are_asked(
    odd: dict[str, Any],
) -> None:
    rows = [delivery(1), delivery(2, **odd)]
    assert [int(one.record, 16) for one in delivered(rows, None)] == [1]


def test_an_answer_is_not_complete_when_the_index_is_behind() -> None:
    bureau = office(1)
    bureau.shelf.later = 3
    told = ask(bureau).json()
    assert (told["not_indexed"], told["complete"]) == (3, False)


def test_only_what_rests_on_a_consent_is_told_when_it_is_named() -> None:
    bureau = office(1, 2, 3)
    told = ask(bureau, {"consent": OTHER}).json()["unread"]
    assert [one["record_id"] for one in told] == [f"{2:032x}"]


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SUPERVISOR, Role.AUDITOR])
def test_nobody_else_is_told_and_the_refusal_is_on_record(role: Role) -> None:
    bureau = office(1)
    answer = ask(bureau, role=role)
    assert (answer.status_code, answer.json()["code"]) == (403, "purpose-mismatch")
    assert [record.decision for record in bureau.records] == [Outcome.DENY]
    assert (bureau.unread.asked, bureau.shelf.asked) == ([], [])


@pytest.mark.parametrize("document", [{"pin": "001390012345"}, {"consent": 7}, {"consent": "a b"}])
def test_question_is_refused_when_it_is_malformed(document: Any) -> None:
    bureau = office(1)
    assert ask(bureau, document).json()["code"] == "malformed-query"
    assert bureau.records == []


def test_a_typed_problem_is_told_when_nobody_knows_what_lies_unread() -> None:
    bureau = office(1)
    bureau.unread.fails = True
    answer = ask(bureau)
    assert (answer.status_code, answer.json()["code"]) == (503, "unread-unavailable")
    assert answer.json()["receipt"]["record_id"] == bureau.records[0].id

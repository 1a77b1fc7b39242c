"""Saved queries through HTTP: on record first, sealed, versioned, and to whom they belong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.saved.acts import Act
from civicbus_consumers.officers.saved.rules import MAX_SAVED
from civicbus_consumers.officers.saved.service import PATH
from civicbus_schemas.record import commitment
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.lookup import FakePages
from tests.fakes.vault import opened
from tests.unit.lookup_samples import LAN
from tests.unit.officers_office import INSPECTOR, Office, bearer, history, official
from tests.unit.test_officers_cases import code
from tests.unit.test_officers_flags import PURPOSE, flagged

TITLE = "Ngân hàng: vụ của bà Lan"
FIND = {"agency": "bank", "flag": "self"}
SAVE = {"title": TITLE, "find": FIND}


def do(
    office: Office, act: Act, *, role: Role = Role.OFFICER, sub: str | None = None, **body: Any
) -> Any:
    """One act with a fresh token."""
    headers = bearer(role, sub=sub)
    return office.serve(lambda client: client.post(f"{PATH}/{act}", json=body, headers=headers))


def saved(office: Office, **body: Any) -> str:
    """The id of a query that is saved."""
    answer = do(office, Act.SAVE, **SAVE | body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["saved"])


def run(office: Office, id_: str, *, role: Role = Role.OFFICER, **given: Any) -> Any:
    """One run, for a purpose of the role's."""
    sub = given.pop("sub", None)
    return do(office, Act.RUN, role=role, sub=sub, saved=id_, purpose=PURPOSE[role], **given)


def test_a_run_is_a_question_whose_leaf_names_query_and_version() -> None:
    office = Office(flagged())
    id_ = saved(office)
    told = run(office, id_).json()
    assert [row["leaf"] for row in told["rows"]] == [3, 1]
    assert (told["saved"], told["version"]) == (id_, 1)
    made, question = office.records
    assert (made.kind, made.fields) == (RecordKind.OFFICER_SAVED, ("save",))
    assert (question.kind, question.fields) == (RecordKind.OFFICER_QUERY, ("agency", "flag"))
    assert told["receipt"]["record_id"] == question.id
    for record in (made, question):
        assert record.req is not None
        assert record.req.id == f"{id_}@1"
        assert record.actor.officer == official()


def test_version_grows_and_cursors_of_the_one_before_end_when_it_is_saved_again() -> None:
    office = Office(flagged())
    id_ = saved(office)
    cursor = run(office, id_, limit=1).json()["cursor"]
    assert [row["leaf"] for row in run(office, id_, cursor=cursor).json()["rows"]] == [1]
    again = do(office, Act.SAVE, **SAVE, saved=id_).json()
    assert (again["saved"], again["version"]) == (id_, 2)
    assert code(run(office, id_, cursor=cursor)) == "cursor-unknown"
    [one] = do(office, Act.LIST).json()["saved"]
    assert (one["saved"], one["version"], one["title"], one["find"]) == (id_, 2, TITLE, FIND)


def test_what_it_looks_for_is_sealed_where_it_is_kept_and_in_its_leaf() -> None:
    office = Office(flagged())
    saved(office)
    [kept] = office.saved.kept.values()
    [page], [record] = office.pages.pages, office.records
    for word in (TITLE, INSPECTOR, "self", "V-1"):
        assert word.encode() not in kept.sealed + page.records[0]
        assert word not in repr(kept.ref)
    salt, secret = opened(page.sealed[0], record)
    assert record.sealed == commitment(salt, secret)
    assert json.loads(secret)["asked"] == {"act": "save", "title": TITLE, "find": FIND}


@pytest.mark.parametrize(
    "find",
    [{"pin": LAN.number}, {"agency": "bank", "officer": "o-1"}, {"record": "ab" * 16}, {"x": 1}, 7],
)
def test_nothing_is_saved_or_recorded_when_it_is_about_one_person_or_malformed(find: Any) -> None:
    office = Office(flagged())
    answer = do(office, Act.SAVE, **SAVE | {"find": find})
    assert (answer.status_code, code(answer)) == (400, "malformed-query")
    assert LAN.number not in answer.text
    assert (office.records, office.saved.kept) == ([], {})


@pytest.mark.parametrize(
    ("role", "sub", "may"),
    [
        (Role.OFFICER, INSPECTOR, {Act.RUN, Act.SAVE, Act.DROP}),
        (Role.OFFICER, "tt-0043", set()),
        (Role.SUPERVISOR, "gs-1", {Act.RUN}),
        (Role.AUDITOR, INSPECTOR, set()),  # of another agency, under the same name
        (Role.CITIZEN, None, set()),
    ],
)
def test_only_its_owner_and_his_supervisors_use_it_and_refusals_are_on_record(
    role: Role, sub: str | None, may: set[Act]
) -> None:
    for act in (Act.RUN, Act.SAVE, Act.DROP):
        office = Office(flagged())
        id_ = saved(office)
        body = {"saved": id_} | {Act.RUN: {"purpose": PURPOSE[role]}, Act.SAVE: SAVE}.get(act, {})
        answer = do(office, act, role=role, sub=sub, **body)
        refusal = "not-for-this-role" if role is Role.CITIZEN else "saved-query-not-found"
        assert code(answer) == (None if act in may else refusal)
        assert office.records[-1].decision is (Outcome.PERMIT if act in may else Outcome.DENY)
        assert (id_ in office.saved.kept) is not (act is Act.DROP and act in may)
        if act not in may:
            assert office.records[-1].kind is RecordKind.OFFICER_SAVED
            assert office.shelf.asked == []


def test_supervisors_see_their_agencys_list_and_officers_their_own() -> None:
    office = Office(flagged())
    mine = saved(office)
    do(office, Act.SAVE, sub="tt-0043", **SAVE)
    do(office, Act.SAVE, role=Role.AUDITOR, sub="kt-1", **SAVE)

    def listed(role: Role, sub: str) -> list[str]:
        return [one["saved"] for one in do(office, Act.LIST, role=role, sub=sub).json()["saved"]]

    assert listed(Role.OFFICER, INSPECTOR) == [mine]
    assert len(listed(Role.SUPERVISOR, "gs-1")) == 2
    assert len(listed(Role.AUDITOR, "kt-1")) == 1


def test_a_supervisors_run_is_judged_as_his_own_question() -> None:
    office = Office(flagged())
    id_ = saved(office, find={"flag": "self"})
    shown = run(office, id_, role=Role.SUPERVISOR, sub="gs-1").json()["rows"]
    assert [row["leaf"] for row in shown] == [5]  # the officers' trail
    refused = do(office, Act.RUN, saved=id_, purpose=PURPOSE[Role.SUPERVISOR])
    assert code(refused) == "purpose-mismatch"


def test_nobody_runs_it_any_more_when_it_is_dropped() -> None:
    office = Office(flagged())
    id_ = saved(office)
    dropped = do(office, Act.DROP, saved=id_).json()
    assert (dropped["saved"], dropped["version"]) == (id_, 1)
    assert code(run(office, id_)) == "saved-query-not-found"
    assert do(office, Act.LIST).json()["saved"] == []


def test_one_more_is_refused_when_an_official_keeps_as_many_as_he_may() -> None:
    office = Office(flagged())
    id_ = saved(office)
    [kept] = office.saved.kept.values()
    office.saved.kept |= {str(n): kept for n in range(MAX_SAVED - 1)}
    assert code(do(office, Act.SAVE, **SAVE)) == "limit-exceeded"
    assert code(do(office, Act.SAVE, sub="tt-0043", **SAVE)) is None
    assert do(office, Act.SAVE, **SAVE, saved=id_).json()["version"] == 2


def test_it_is_neither_run_nor_listed_when_the_vault_lacks_its_owners_secret() -> None:
    office = Office(flagged())
    id_ = saved(office)
    office.vault.rows.clear()
    assert code(run(office, id_, role=Role.SUPERVISOR, sub="gs-1")) == "saved-query-not-found"
    listed = do(office, Act.LIST, role=Role.SUPERVISOR, sub="gs-1").json()
    assert listed["saved"] == []


def test_nothing_is_kept_when_it_cannot_be_recorded() -> None:
    office = Office(history(), pages=FakePages(fails=True))
    assert code(do(office, Act.SAVE, **SAVE)) == "cannot-record"
    assert office.saved.kept == {}


def test_the_page_is_never_called_released_when_the_query_was_not_kept() -> None:
    office = Office(history())
    office.saved.fails_to_keep = True
    refused = do(office, Act.SAVE, **SAVE)
    assert (refused.status_code, code(refused)) == (503, "saved-queries-unavailable")
    assert refused.json()["receipt"]["record_id"] == office.records[0].id
    office.saved.fails_to_keep = False
    saved(office)
    assert office.headers[-1].released is None


def test_nothing_is_asked_when_saved_queries_cannot_be_read() -> None:
    office = Office(history())
    office.saved.fails = True
    assert code(run(office, "ab" * 16)) == "saved-queries-unavailable"
    assert (office.records, office.shelf.asked) == ([], [])

"""The citizen's usage service, as the data tracker of Estonia calls it."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_consumers.officers.rules import Role

from tests.fakes.officers import AT, FakeShelf, GrowingShelf
from tests.unit.lookup_samples import LAN, MOTHER
from tests.unit.officers_office import Office, bearer, case, deferred, history

CODE = f"VN{LAN.number}"


def found(office: Office, query: str = "", *, role: Role = Role.CITIZEN, **headers: str) -> Any:
    """The answer to findUsage of a citizen."""
    given = bearer(role) | {"X-Road-UserId": CODE} | headers
    return office.get(f"/findUsage?userCode={CODE}{query}", **given)


def test_usages_are_told_with_five_fields_and_a_proof_when_a_citizen_asks() -> None:
    office = Office(history())
    told = found(office).json()
    assert (told["totalUsages"], told["hiddenUsages"]) == (2, 1)
    newest, oldest = told["usages"]
    assert (newest["receiverCode"], oldest["receiverCode"]) == ("mps", "bank")
    assert oldest["action"] == "credit.verify-customer"
    assert oldest["logtime"] == AT.isoformat()
    assert {"receiverName", "receiverSystem"} <= oldest.keys()
    proof = office.get(oldest["proof"], **bearer(Role.CITIZEN))
    assert proof.text == "proof of leaf 1\n"
    [record] = office.records
    assert record.kind == "citizen.query"


def test_no_deferred_reading_is_told_or_counted_when_it_is_indexed_while_he_asks() -> None:
    office = Office(GrowingShelf(history().entries, after=deferred(10, case("open"))))
    told = found(office, "&limit=2").json()
    assert (told["totalUsages"], told["hiddenUsages"]) == (2, 1)
    receivers = [usage["receiverCode"] for usage in told["usages"]]
    assert receivers == ["mps", "bank"]
    assert office.shelf.entries[-1].index == 10


def test_total_stays_when_offset_and_limit_choose() -> None:
    office = Office(history())
    first, second = found(office, "&limit=1").json(), found(office, "&limit=1&offset=1").json()
    assert [one["totalUsages"] for one in (first, second)] == [2, 2]
    codes = [one["usages"][0]["receiverCode"] for one in (first, second)]
    assert codes == ["mps", "bank"]


@pytest.mark.parametrize(
    ("period", "count"),
    [
        ("&periodStart={day}T08:00:00Z", 2),
        ("&periodEnd={day}T08:00:00Z", 0),
        ("&periodStart={day}T15:00:00&periodEnd={day}T15:00:01", 2),  # Vietnam's time
        ("&periodStart={day}T15:00:00+07:00", 2),  # the plus is not escaped
    ],
)
def test_only_the_period_is_told_when_one_is_named(period: str, count: int) -> None:
    told = found(Office(history()), period.format(day=AT.date()))
    assert told.json()["totalUsages"] == count


@pytest.mark.parametrize(
    ("path", "user", "role"),
    [
        (f"/findUsage?userCode=VN{MOTHER.number}", CODE, Role.CITIZEN),
        (f"/findUsage?userCode={CODE}", MOTHER.number, Role.CITIZEN),
        ("/findUsage", CODE, Role.CITIZEN),
        (f"/findUsage?userCode={CODE}", "", Role.CITIZEN),
        (f"/findUsage?userCode={CODE}", CODE, Role.OFFICER),
    ],
    ids=["another person", "another user", "no person", "no user", "an officer"],
)
def test_nothing_is_told_when_the_person_is_not_the_one_of_the_token(
    path: str, user: str, role: Role
) -> None:
    office = Office(history())
    answer = office.get(path, **bearer(role), **{"X-Road-UserId": user})
    assert (answer.status_code, answer.json()["code"]) == (403, "user-is-not-the-person")
    assert (office.records, office.shelf.asked) == ([], [])


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ("&limit=0", "limit"),
        ("&limit=1001", "limit"),
        ("&limit=010", "limit"),
        ("&limit=-5", "limit"),
        ("&offset=1e3", "offset"),
        ("&offset=100001", "offset"),
        ("&periodStart=yesterday", "periodStart"),
        ("&periodStart=2026-11-22T08:00:00Z&periodEnd=2026-11-21T08:00:00Z", "periodEnd"),
        ("&limit=1&limit=2", "query"),
        ("&what=1", "query"),
    ],
)
def test_call_is_refused_with_its_repair_when_a_parameter_is_wrong(query: str, member: str) -> None:
    office = Office(history())
    answer = found(office, query)
    assert (answer.status_code, answer.json()["member"]) == (400, member)
    assert office.records == []


def test_period_and_heartbeat_need_no_token_when_the_ledger_answers() -> None:
    office = Office(history())
    assert office.get("/usagePeriod").json() == {"periodStart": AT.isoformat()}
    assert office.get("/heartbeat").json()["status"] == "OK"
    assert office.records == []


def test_heartbeat_fails_when_no_usage_could_be_found() -> None:
    office = Office(history())
    office.shelf.no_index = True
    assert office.get("/usagePeriod").status_code == 200
    assert office.get("/heartbeat").json()["status"] == "FAIL"


def test_usages_say_how_many_newer_leaves_were_not_looked_at_when_the_index_is_behind() -> None:
    office = Office(history())
    assert found(office).json()["notIndexed"] == 0
    office.shelf.later = 7
    assert found(office).json()["notIndexed"] == 7


def test_no_period_is_told_when_the_ledger_is_silent_or_empty() -> None:
    office = Office(FakeShelf())
    assert office.get("/usagePeriod").status_code == 503
    office.shelf.fails = True
    assert office.get("/usagePeriod").json()["code"] == "index-unavailable"

"""The weekly report through HTTP and by command: on record first, for supervisors alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.officers.client import OfficersClient
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.weekly import desk
from civicbus_consumers.officers.weekly.service import PATH
from civicbus_consumers.officers.weekly.weeks import Week
from civicbus_deploy.oversight import reporting
from civicbus_deploy.oversight.questions import app as questions
from civicbus_schemas.errors import Misused
from civicbus_schemas.record import commitment
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from typer.testing import CliRunner

from tests.fakes.lookup import FakePages
from tests.fakes.officers import FakeShelf, entry
from tests.fakes.vault import opened
from tests.unit.officers_office import (
    INSPECTOR,
    PERSONAL,
    Office,
    bearer,
    history,
    official,
    subject,
)
from tests.unit.test_officers_cases import code

LAST = Week.of(datetime.now(UTC)).earlier(1)
NOON = LAST.starts + timedelta(days=2, hours=12)
HIM, OTHER, OWN = official(), official("tt-0043"), official("gs-1")


def asked(index: int, officer: str | None, **values: Any) -> Any:
    """A question's leaf."""
    given = {"kind": RecordKind.OFFICER_QUERY, "at": NOON, "actor": "mps", "recipient": "mps"}
    return entry(index, officer=officer, **given | values)


def trail() -> FakeShelf:
    """A week in which one officer asked about twelve people at noon, and others did little."""
    return FakeShelf(
        [
            entry(0, recipient="bank", subject=subject(), at=NOON),  # a reading is no act
            *(asked(n, HIM, subject=f"{n:032x}", case_id="c" * 32) for n in range(1, 13)),
            asked(13, OTHER, decision=Outcome.DENY, reason=Reason.CASE_MISSING),
            asked(14, OTHER, kind=RecordKind.OFFICER_EXPORT, rule="two-officials"),
            asked(15, OWN, purpose="oversight.supervision"),
            asked(16, None, kind=RecordKind.OFFICER_CASE, decision=Outcome.DENY),
            asked(17, HIM, at=LAST.starts - timedelta(microseconds=1)),
            asked(18, HIM, at=LAST.ends),
            entry(19, kind=RecordKind.CITIZEN_QUERY, subject=subject(), at=NOON),
        ]
    )


def report(
    office: Office, *, role: Role = Role.SUPERVISOR, sub: str | None = "gs-1", **body: Any
) -> Any:
    """One report with a fresh token."""
    headers = bearer(role, sub=sub)
    return office.serve(lambda client: client.post(PATH, json=body, headers=headers))


def test_a_supervisor_is_told_what_each_official_did_in_the_last_whole_week() -> None:
    office = Office(trail())
    office.shelf.later = 3
    told = report(office).json()
    assert (told["week"], told["ended"]) == (str(LAST), True)
    assert (told["since"], told["until"]) == (LAST.starts.isoformat(), LAST.ends.isoformat())
    assert told["range"]["since"] == LAST.earlier(4).starts.isoformat()
    assert (told["range"]["indexed"], told["range"]["not_indexed"]) == (20, 3)
    assert told["left_out"] == {"own": 1, "unnamed": 1}
    first, second = told["officials"]
    assert (first["agency"], first["officer"]) == ("mps", HIM)
    assert first["measures"]["acts"] == {"count": 12, "median_before": 0, "median_of_others": 2}
    assert [one["measure"] for one in first["stands_out"]] == ["people"]
    assert first["stands_out"][0]["vi"].startswith("12 người bị tra cứu: ")
    assert (second["officer"], second["stands_out"], second["cases"]) == (OTHER, [], 0)
    assert (second["exports_by_two"], second["measures"]["refused"]["count"]) == (1, 1)
    assert not [secret for secret in PERSONAL if secret in json.dumps(told)]


def test_it_is_on_record_before_it_is_read_and_what_was_read_is_sealed() -> None:
    office = Office(trail())
    told = report(office, week=str(LAST)).json()
    [record] = office.records
    assert told["receipt"]["record_id"] == record.id
    assert (record.kind, record.decision) == (RecordKind.OFFICER_REPORT, Outcome.PERMIT)
    assert (record.actor.role, record.actor.officer, record.subject) == ("supervisor", OWN, None)
    assert (record.purpose, record.fields) == ("oversight.supervision", ("since", "until"))
    salt, secret = opened(office.pages.pages[0].sealed[0], record)
    assert record.sealed == commitment(salt, secret)
    find = json.loads(json.loads(secret)["question"])["find"]
    assert find == {name: told["range"][name] for name in ("since", "until")}


def test_nothing_is_read_when_it_cannot_be_recorded() -> None:
    office = Office(trail(), pages=FakePages(fails=True))
    assert code(report(office)) == "cannot-record"
    assert office.shelf.asked == []


@pytest.mark.parametrize(
    ("role", "sub"),
    [(Role.OFFICER, INSPECTOR), (Role.AUDITOR, "kt-1"), (Role.CITIZEN, None)],
)
def test_nobody_but_a_supervisor_is_given_it_and_the_refusal_is_on_record(
    role: Role, sub: str | None
) -> None:
    office = Office(trail())
    answer = report(office, role=role, sub=sub)
    assert (answer.status_code, code(answer)) == (403, "not-for-this-role")
    [record] = office.records
    assert (record.kind, record.decision) == (RecordKind.OFFICER_REPORT, Outcome.DENY)
    assert answer.json()["receipt"]["record_id"] == record.id
    assert office.shelf.asked == []


def test_a_supervisor_is_in_no_row_of_his_own_report_and_in_his_colleagues() -> None:
    office = Office(trail())
    his = {one["officer"] for one in report(office, sub=INSPECTOR).json()["officials"]}
    theirs = {one["officer"] for one in report(office, sub="gs-2").json()["officials"]}
    assert (his, theirs) == ({OTHER, OWN}, {HIM, OTHER, OWN})


@pytest.mark.parametrize("body", [{"week": "2026-W54"}, {"week": "2999-W01"}, {"weeks": "x"}])
def test_it_is_refused_and_not_recorded_when_the_week_is_none(body: dict[str, Any]) -> None:
    office = Office(trail())
    answer = report(office, **body)
    assert (answer.status_code, code(answer)) == (400, "malformed-query")
    assert {"member", "got", "expected", "next_step"} <= answer.json().keys()
    assert (office.records, office.shelf.asked) == ([], [])


def test_a_week_that_goes_on_says_so() -> None:
    told = report(Office(trail()), week=str(LAST.earlier(-1))).json()
    assert (told["ended"], told["officials"][0]["measures"]["acts"]["count"]) == (False, 1)
    assert told["officials"][0]["measures"]["acts"]["median_before"] == 0.5  # of 12, 1, 0 and 0


def test_every_act_is_counted_when_there_are_more_than_one_search_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("civicbus_audit.index.oversight.MAX_LIMIT", 5)
    first, second = report(Office(trail())).json()["officials"]
    assert (first["measures"]["acts"]["count"], second["measures"]["acts"]["count"]) == (12, 2)


def test_it_is_refused_with_the_limit_when_there_are_too_many_acts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk, "MAX_ACTS", 16)
    answer = report(Office(trail()))
    assert (answer.status_code, code(answer)) == (422, "report-too-large")
    told = answer.json()
    assert (told["got"], told["expected"]) == ("17 acts in five weeks", "at most 16")
    assert told["receipt"]["record_id"]
    monkeypatch.setattr(desk, "MAX_ACTS", 17)
    assert report(Office(trail())).status_code == 200


@pytest.mark.parametrize(
    ("fault", "told"), [("fails", "index-unavailable"), ("broken", "evidence-broken")]
)
def test_there_is_no_report_when_index_and_ledger_do_not_vouch_for_it(
    fault: str, told: str
) -> None:
    office = Office(trail())
    setattr(office.shelf, fault, True)
    answer = report(office)
    assert code(answer) == told
    assert answer.json()["receipt"]["record_id"] == office.records[0].id


def test_the_report_is_in_other_supervisors_trail_and_in_nobody_elses() -> None:
    office = Office(history())
    made = asked(30, OWN, kind=RecordKind.OFFICER_REPORT, at=datetime.now(UTC) - timedelta(hours=1))
    office.shelf.entries.append(made)
    supervision = {"purpose": "oversight.supervision"}
    other = office.ask(supervision, role=Role.SUPERVISOR, sub="gs-2").json()["rows"]
    assert [row["kind"] for row in other].count("officer.report") == 1
    own = office.ask(supervision, role=Role.SUPERVISOR, sub="gs-1").json()["rows"]
    assert "officer.report" not in {row["kind"] for row in (*own, *office.ask().json()["rows"])}


def run(monkeypatch: pytest.MonkeyPatch, answer: Any, *options: str) -> Any:
    """The command, whose client is given this answer."""
    client = OfficersClient(url="http://nowhere", token="x")
    monkeypatch.setattr(reporting, "client_of", lambda *_, **__: client)
    given = answer.status_code, answer.json()
    monkeypatch.setattr(OfficersClient, "report", lambda _, asked: asked_for.append(asked) or given)
    asked_for: list[Any] = []
    done = CliRunner().invoke(
        questions, ["report", "--name", "gs-1", *options], catch_exceptions=True
    )
    done.asked = asked_for  # type: ignore[attr-defined]
    return done


def test_the_command_prints_a_table_and_lines_and_narrates_beside_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    office = Office(trail())
    office.shelf.later = 3
    answer = report(office)
    done = run(monkeypatch, answer, "--home", str(tmp_path), "--lang", "vi")
    assert (done.exit_code, done.asked) == (0, [{}])
    assert "12 người bị tra cứu" in done.stdout
    assert f"{LAST}" not in done.stdout
    told = done.stderr
    assert "acts left out: 1 of your own, 1 of no official" in told
    assert f"record {office.records[0].id}; it is made from the first 20 leaves" in told
    assert "3 newer leaves are not indexed yet" in told
    as_json = run(monkeypatch, answer, "--week", str(LAST), "--json")
    assert as_json.asked == [{"week": str(LAST)}]
    assert json.loads(as_json.stdout) == answer.json()


def test_the_command_is_misused_when_the_week_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = report(Office(trail()), week="2026-47")
    done = run(monkeypatch, answer, "--week", "2026-47")
    assert isinstance(done.exception, Misused)  # which every command ends with 2 on
    for part in ("got malformed-query (400), 7 characters", "such as 2026-W47", "correct --week"):
        assert part in str(done.exception)

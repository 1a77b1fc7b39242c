"""What a reviewer is told: who newly sees which field about whom, and on which terms."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from civicbus_deploy.agreements.changes import Change, Kind, changes, sights
from civicbus_deploy.agreements.cli import app
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation
from civicbus_deploy.provisioning.officers import appoint, approve_all, keep_statements
from civicbus_schemas.policy import parse_policy_set
from typer.testing import CliRunner

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import BIRTH, PERSON, Document

Edit = Callable[[Document], Any]
CARD = "agreements/bank.customer-card.yaml"


def changed(edit: Edit) -> list[Change]:
    document = samples.policy()
    before = parse_policy_set(samples.policy_bytes(document))
    edit(document)
    return changes(sights(before), sights(parse_policy_set(samples.policy_bytes(document))))


def deal(document: Document, index: int = 0) -> Document:
    found: Document = document["agreements"][index]
    return found


def told(found: list[Change]) -> list[tuple[Kind, str, str, str, str]]:
    return [(c.kind, c.sight.recipient, c.sight.way, c.sight.path, c.sight.about) for c in found]


def test_nothing_is_told_when_nobody_sees_anything_else() -> None:
    assert changed(dict) == []
    assert changed(lambda d: deal(d).update(version=9, retention="P9Y")) == []


def test_a_field_and_the_person_it_is_about_are_told_when_somebody_newly_sees_it() -> None:
    found = changed(lambda d: deal(d)["releases"][BIRTH]["fields"].append("parents[].full_name"))
    assert told(found) == [(Kind.NEW, "vss", "release", "parents[].full_name", "parents")]
    assert (found[0].before, len(found[0].after)) == ((), 1)


def test_the_question_is_told_when_a_field_is_released_as_its_answer() -> None:
    band = {"child.date_of_birth": {"age-band": [6, 15]}}
    [change] = changed(lambda d: deal(d)["releases"][BIRTH]["fields"].append(band))
    assert "age-band 6, 15" in str(change.after[0])

    def narrow(document: Document) -> None:
        deal(document)["releases"][BIRTH]["fields"][0] = {"child.pin": "pairwise-pseudonym"}

    [change] = changed(narrow)
    assert (change.kind, change.sight.path) == (Kind.CHANGED, "child.pin")
    assert str(change.before[0]).startswith("as-is")
    assert str(change.after[0]).startswith("pairwise-pseudonym")


def test_everything_is_told_when_an_agreement_goes() -> None:
    found = changed(lambda d: d["agreements"].pop(1))
    assert told(found) == [(Kind.GONE, "bank", "verify", "full_name", "person")]


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (lambda d: deal(d)["valid"].update(until="2029-12-31"), "2028-12-31", "2029-12-31"),
        (lambda d: deal(d)["releases"][BIRTH].pop("only_if"), "under 6 years", ""),
        (lambda d: d.update(rules={}), "", ""),
        (
            lambda d: d["purposes"]["insurance.enrol"].update(groups=[]),
            "",
            "not about minors (minors-for-named-purposes-only)",
        ),
    ],
)
def test_terms_are_told_when_they_change(edit: Edit, before: str, after: str) -> None:
    found = [change for change in changed(edit) if change.sight.recipient == "vss"]
    kind = Kind.DAYS if after == "2029-12-31" else Kind.CHANGED
    assert {change.kind for change in found} == ({kind} if before or after else set())
    for change in found:
        [old], [new] = change.before, change.after
        assert before in str(old)
        assert after in str(new)
        assert str(old) != str(new)


def _succeed(document: Document, *, ends: str, until: str) -> Document:
    """The first agreement ends on this day, and a next version goes on from the day after."""
    former = deal(document)
    former["valid"]["until"] = ends
    begins = date.fromisoformat(ends) + timedelta(days=1)
    later: Document = copy.deepcopy(former)
    later |= {"version": 9, "valid": {"from": begins.isoformat(), "until": until}}
    document["agreements"].append(later)
    return later


def test_only_a_new_field_is_told_when_a_later_version_goes_on_with_the_others() -> None:
    def edit(document: Document) -> None:
        later = _succeed(document, ends="2027-12-31", until="2028-12-31")
        later["releases"][BIRTH]["fields"].append("parents[].full_name")

    [change] = changed(edit)
    assert (change.kind, change.sight.path) == (Kind.NEW, "parents[].full_name")
    assert "2028-01-01 to 2028-12-31" in str(change.after[0])


def test_days_are_told_when_a_later_version_goes_on_for_longer() -> None:
    found = changed(lambda d: _succeed(d, ends="2028-12-31", until="2030-12-31"))
    assert {change.kind for change in found} == {Kind.DAYS}
    for change in found:
        [before], [after] = change.before, change.after
        assert "2026-01-01 to 2028-12-31" in str(before)
        assert "2026-01-01 to 2030-12-31" in str(after)


def test_later_terms_are_judged_by_those_before_when_both_versions_stand() -> None:
    def edit(document: Document) -> None:
        later = _succeed(document, ends="2028-12-31", until="2030-12-31")
        later["releases"][BIRTH]["fields"][0] = {"child.pin": "pairwise-pseudonym"}

    [change] = [c for c in changed(edit) if c.kind is Kind.CHANGED]
    [before], [after] = change.before, change.after
    assert (before.form, after.form) == ("as-is", "pairwise-pseudonym")
    assert before.valid_until < after.valid_from


def test_reading_is_another_sight_than_verifying() -> None:
    found = changed(lambda d: deal(d, 1).update(reads={PERSON: {"read": ["full_name"]}}))
    assert told(found) == [
        (Kind.NEW, "bank", "read", "full_name", "person"),
        (Kind.GONE, "bank", "verify", "full_name", "person"),
    ]


# --- as the officer calls it ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "vietnam"
    shutil.copytree(packaged_nation(), copy, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    return copy


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_lint_says_that_the_nation_is_sound(folder: Path) -> None:
    counts = json.loads(run("lint", "--nation", str(folder), "--json"))
    assert (counts["agreements"], counts["rules"]) == (28, 3)
    assert (counts["policy"], counts["signed"]) == (load_nation(folder).policy.version, False)
    said = run("lint", "--nation", str(folder))
    assert counts["policy"] in said
    assert "announced under another hash" in said


def test_lint_names_file_line_rule_and_law_when_an_agreement_breaks_one(folder: Path) -> None:
    file = folder / "agreements/mps.birth-residence.yaml"
    file.write_text(file.read_text().replace("child.sex", "child.ethnicity"))
    with pytest.raises(InvalidNation) as caught:
        run("lint", "--nation", str(folder))
    said = str(caught.value)
    assert said.startswith("agreements/mps.birth-residence.yaml:")
    assert all(word in said for word in ("no-origin-for-one-stop", "child.ethnicity", "Law 91"))


def test_list_says_what_is_in_force_on_a_day(tmp_path: Path) -> None:
    def states(day: str) -> dict[str, str]:
        listed = json.loads(run(*asked, "--home", str(home.home), "--on", day, "--json"))
        return {row["agreement"]: row["state"] for row in listed["agreements"]}

    asked = ("list", "--nation", "vietnam")
    home = StateFolder.at(tmp_path / "home")
    home.make()
    assert set(states("2026-06-01").values()) == {"draft"}
    agreements = load_nation().policy.agreements
    appoint(home, (party for a in agreements for party in a.approved_by))
    keep_statements(home, approve_all(home, agreements))
    assert states("2026-06-01")["bank.customer-card@1"] == "in force"
    assert states("2025-12-31")["bank.customer-card@1"] == "not yet in force"
    assert states("2035-01-01")["bank.customer-card@1"] == "expired"
    assert "bank.customer-card@1" in run(*asked, "--home", str(home.home), "--on", "2026-06-01")


def test_diff_says_who_newly_sees_what_between_two_folders(folder: Path) -> None:
    file = folder / CARD
    lines = file.read_text()
    assert "holder.sex" not in lines
    file.write_text(lines.replace("holder.pin", "holder.pin, holder.sex", 1))
    arguments = ("diff", "--from", "vietnam", "--nation", str(folder))
    told = json.loads(run(*arguments, "--json"))
    assert (told["to"]["policy"], told["to"]["signed"]) == (
        load_nation(folder).policy.version, False,
    )  # fmt: skip
    assert told["from"] == {"policy": load_nation().policy.version, "signed": False}
    [change] = told["changes"]
    assert (change["kind"], change["recipient"], change["path"], change["about"]) == (
        "new", "bank", "holder.sex", "holder",
    )  # fmt: skip
    assert "not about minors (minors-for-named-purposes-only)" in change["after"]
    assert "holder.sex" in run(*arguments)
    assert "nobody sees anything else" in run("diff", "--from", "vietnam")


def test_diff_tells_that_look_ups_are_for_emergencies_or_hidden(folder: Path) -> None:
    for name in ("hospital-cho-ray.emergency", "mps.investigation"):
        (folder / f"agreements/{name}.yaml").unlink()
    found = json.loads(run("diff", "--from", str(folder), "--nation", "vietnam", "--json"))
    told = {(change["agreement"], change["after"].split(", ")[4]) for change in found["changes"]}
    assert told == {
        ("hospital-cho-ray.emergency", "break-glass access"),
        ("mps.investigation", "deferred access"),
    }

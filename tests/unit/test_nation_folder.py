"""A nation's folder is taken whole or refused with file, line, reason and next step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.vocabulary import ConsentRule, Sensitivity

INSURANCE = "agreements/vss.child-health-insurance.yaml"
STATISTICS = "agreements/moh.death-statistics.yaml"
BIRTH = "contracts/civil-status/BirthRegistered.avsc"
CARD = "agreements/bank.customer-card.yaml"

Edit = Callable[[str], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged nation, to be spoilt."""
    copy = tmp_path / "vietnam"
    shutil.copytree(packaged_nation(), copy, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    return copy


def swap(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def test_the_packaged_nation_is_accepted_when_it_is_loaded() -> None:
    nation = load_nation()
    agreements = nation.policy.agreements
    assert len(agreements) >= 12
    assert any(a.consent is ConsentRule.REQUIRED for a in agreements)
    assert any(a.valid_until.year == 2025 for a in agreements), "one is expired"
    sensitive = {
        path
        for a in agreements
        for event_type, release in a.releases.items()
        for path in release.paths
        if nation.policy.contracts[event_type].fields[path].sensitivity is Sensitivity.SENSITIVE
    }
    assert "visit.main_diagnosis_code" in sensitive


def test_a_one_stop_read_has_neither_ethnicity_nor_religion_when_it_runs_without_consent() -> None:
    policy = load_nation().policy
    for agreement in policy.agreements:
        if policy.purposes[agreement.purpose].function != "Decree 63/2024":
            continue
        for event_type, release in agreement.releases.items():
            fields = policy.contracts[event_type].fields
            assert {fields[p].category for p in release.paths}.isdisjoint(
                {"pd:Ethnicity", "pd:Religion"}
            )


def test_the_version_is_the_same_when_the_folder_is_read_elsewhere(folder: Path) -> None:
    assert load_nation(folder).policy.version == load_nation().policy.version


def test_a_process_reads_the_same_set_when_the_bytes_arrive() -> None:
    nation = load_nation()
    assert parse_policy_set(rfc8785.dumps(nation.document)) == nation.policy


@pytest.mark.parametrize(
    ("file", "edit", "place", "reason"),
    [
        pytest.param(INSURANCE, swap("retention: P2Y", "retain: P2Y"),
                     f"{INSURANCE}:13", "unknown keys", id="agreement with an unknown key"),
        pytest.param(INSURANCE, swap("child.full_name", "child.salary"),
                     f"{INSURANCE}:10", "no field 'child.salary'", id="field not in the contract"),
        pytest.param(INSURANCE, swap("age-under-years", "age-over-years"),
                     f"{INSURANCE}:11", "unknown condition", id="unknown condition"),
        pytest.param(INSURANCE, swap("pairwise-pseudonym", "rounded"),
                     f"{INSURANCE}:10", "unknown form", id="unknown form"),
        pytest.param(INSURANCE, swap("valid:", "limits: {per_week: 200}\nvalid:"),
                     f"{INSURANCE}:", "unknown keys", id="unknown limit"),
        pytest.param(INSURANCE, swap("enrol-child", "sell-data"),
                     f"{INSURANCE}:5", "unknown purpose", id="unknown purpose"),
        pytest.param(INSURANCE, swap("law.state-management", "law.convenience"),
                     f"{INSURANCE}:6", "unknown legal basis", id="unknown basis"),
        pytest.param(INSURANCE, swap("provider: moj", "provider: mof"),
                     f"{INSURANCE}:3", "unknown agency", id="unknown agency"),
        pytest.param(INSURANCE, swap("version: 3", "version: 3\nversion: 4"),
                     f"{INSURANCE}:3", "given twice", id="key given twice"),
        pytest.param(INSURANCE, swap('"parents[].pin"', "parents[].pin"),
                     f"{INSURANCE}:10", "not YAML", id="path not quoted"),
        pytest.param(INSURANCE, swap("from: 2026-01-01", "from: 2026-13-01"),
                     f"{INSURANCE}:12: valid: from; got '2026-13-01'", "a whole day",
                     id="no such month"),
        pytest.param(INSURANCE, swap("until: 2034-12-31", "until: 2034-02-30"),
                     f"{INSURANCE}:12: valid: until; got '2034-02-30'", "YYYY-MM-DD",
                     id="no such day"),
        pytest.param(INSURANCE, swap("until: 2034-12-31", "until: 2034-12-31 09:00:00"),
                     f"{INSURANCE}:12: valid: until", "YYYY-MM-DD", id="a time of day"),
        pytest.param(INSURANCE, swap("valid: {from: 2026-01-01", "valid:\n  {from: soon"),
                     f"{INSURANCE}:13: valid: from", "YYYY-MM-DD", id="a day in words"),
        pytest.param(INSURANCE, swap(", {agency: mps, role: data-protection}", ""),
                     f"{INSURANCE}:14: approved_by", "no officer for data-protection",
                     id="one officer"),
        pytest.param(INSURANCE, swap("role: data-protection}", "role: provider}"),
                     f"{INSURANCE}:14: approved_by", "no officer for data-protection",
                     id="two officers in one role"),
        pytest.param(INSURANCE, swap("P2Y", "a while"),
                     f"{INSURANCE}:13", "retention", id="retention is no period"),
        pytest.param(INSURANCE, lambda _: "", f"{INSURANCE}:1", "no mapping", id="empty file"),
        pytest.param(CARD, swap("consent: required", "consent: not-required"),
                     f"{CARD}:", "basis and consent disagree", id="consent basis without consent"),
        pytest.param(CARD, swap("consent.data-subject", "law.state-management"),
                     f"{CARD}:", "may not rest on", id="bank on state management"),
        pytest.param("agreements/bank.customer-address.yaml", swap("registered_at", "head.pin"),
                     "agreements/bank.customer-address.yaml:11", "about others",
                     id="consent for another person's field"),
        pytest.param("agencies.yaml", swap("publishes: [health]", "publishes: health"),
                     "agencies.yaml:18", "valid list", id="a text for a list"),
        pytest.param("agencies.yaml", swap("kind: state-agency", "sort: state-agency"),
                     "agencies.yaml:", "kind", id="agency with an unknown key"),
        pytest.param("agencies.yaml", swap("receives: []", "receives: [tax]"),
                     "agencies.yaml:", "unknown families", id="family without contract"),
        pytest.param("agencies.yaml", swap("keeps: []", "keeps: [tax]"),
                     "agencies.yaml:", "unknown families", id="view without contract"),
        pytest.param("agencies.yaml", swap("keeps: [population]", "keeps: []"),
                     "agreements/bank.borrower-check.yaml:", "does not keep population",
                     id="look-ups in a view that is another's"),
        pytest.param("purposes.yaml", swap("needs_consent: false", "needs_consent: maybe"),
                     "purposes.yaml:", "valid boolean", id="consent is neither yes nor no"),
        pytest.param(BIRTH, swap('"owner": "identity", ', ""),
                     f"{BIRTH}:14", "unlabelled", id="unlabelled field"),
        pytest.param(BIRTH, swap('"owner": "moj"', '"owner": "mof"'),
                     f"{BIRTH}:", "owner of child.date_of_birth", id="owner is no agency"),
        pytest.param(BIRTH, swap("pd:Gender", "gender"),
                     f"{BIRTH}:", "category of child.sex", id="category of no vocabulary"),
        pytest.param(BIRTH, swap('"doc": "The child."', '"docs": "The child."'),
                     f"{BIRTH}:", "unknown keys", id="contract with an unknown key"),
        pytest.param(BIRTH, swap('"fields": [', '"fields": [{]'),
                     f"{BIRTH}:", "not JSON", id="broken JSON"),
    ],
)  # fmt: skip
def test_place_and_reason_are_named_when_a_file_is_wrong(
    folder: Path, file: str, edit: Edit, place: str, reason: str
) -> None:
    target = folder / file
    target.write_text(edit(target.read_text("utf-8")), "utf-8")
    with pytest.raises(InvalidNation) as caught:
        load_nation(folder)
    assert str(caught.value).startswith(place), str(caught.value)
    assert reason in str(caught.value)


def test_the_set_is_refused_when_a_file_is_not_named_after_its_agreement(folder: Path) -> None:
    (folder / INSURANCE).rename(folder / "agreements/insurance.yaml")
    with pytest.raises(InvalidNation, match="not named after what it holds"):
        load_nation(folder)


def test_the_set_is_refused_when_two_versions_bind_on_the_same_day(folder: Path) -> None:
    older = (folder / STATISTICS).read_text("utf-8")
    newer = older.replace("version: 1", "version: 2")
    (folder / "agreements/moh.death-statistics@2.yaml").write_text(newer, "utf-8")
    with pytest.raises(InvalidNation, match="in force on the same days"):
        load_nation(folder)


def test_both_versions_are_kept_when_one_ends_before_the_other(folder: Path) -> None:
    older = (folder / STATISTICS).read_text("utf-8")
    newer = older.replace("version: 1", "version: 2").replace("2026-01-01", "2035-01-01")
    newer = newer.replace("2034-12-31", "2036-12-31")
    (folder / "agreements/moh.death-statistics@2.yaml").write_text(newer, "utf-8")
    assert len(load_nation(folder).policy.agreements) == len(load_nation().policy.agreements) + 1


def test_a_file_is_named_when_the_folder_lacks_it(folder: Path) -> None:
    (folder / "purposes.yaml").unlink()
    with pytest.raises(InvalidNation, match=r"purposes\.yaml cannot be read"):
        load_nation(folder)


@pytest.mark.parametrize("chosen", ["atlantis", "./atlantis", "/nowhere/vietnam"])
def test_the_choice_is_refused_when_there_is_no_such_nation(chosen: str) -> None:
    with pytest.raises(InvalidNation, match="there is no such nation"):
        load_nation(chosen)


def test_a_packaged_nation_is_meant_when_its_name_is_given() -> None:
    assert load_nation("vietnam") == load_nation()


def test_a_key_given_twice_is_refused_when_a_contract_holds_it(folder: Path) -> None:
    target = folder / BIRTH
    document = json.loads(target.read_text("utf-8"))
    target.write_text('{"family": "health", ' + json.dumps(document)[1:], "utf-8")
    with pytest.raises(InvalidNation, match="given twice"):
        load_nation(folder)

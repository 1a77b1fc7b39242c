"""Past decisions under another policy set: what would flip, and what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.places import Places
from civicbus_consumers.explain.rules import compile_law
from civicbus_consumers.replay.past import Past
from civicbus_consumers.replay.reading import past_decisions
from civicbus_consumers.replay.shadow import Flip, Shadow, Untold, Way, shadow
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.hindsight.archive import library, open_ledger, stored_sets
from civicbus_deploy.hindsight.shadowing import app
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.vocabulary import Reason
from typer.testing import CliRunner

from tests.unit.replay_archive import VAULT, announced, make_archive

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands open the archive's vault, which is in memory."""
    monkeypatch.setattr(Places, "vault", lambda _: VAULT)


@pytest.fixture(scope="module")
def pasts(home: Path) -> list[Past]:
    """Every decision in the archive."""
    return list(past_decisions(open_ledger(StateFolder(home)), VAULT))


def changed(id_: str, change: Change) -> bytes:
    """The announced set with one agreement changed."""
    document = json.loads(announced())
    [agreement] = [a for a in document["agreements"] if a["agreement"] == id_]
    change(agreement)
    return canonical_json(document)


def shadowed(home: Path, pasts: list[Past], other: bytes) -> Shadow:
    """The past under another set."""
    law = compile_law(parse_policy_set(other))
    return shadow(pasts, library(stored_sets(home / "sets")), law)


def test_nothing_flips_when_the_other_set_is_the_same(home: Path, pasts: list[Past]) -> None:
    same = shadowed(home, pasts, announced())
    assert (same.flipped, same.flips, same.untold) == (0, {}, {})
    assert same.decisions == len(pasts) - 1  # but the further person


def test_fields_are_lost_when_the_other_set_does_not_name_them(
    home: Path, pasts: list[Past]
) -> None:
    def fewer(agreement: dict[str, Any]) -> None:
        agreement["releases"]["civil-status.BirthRegistered"]["fields"].remove("child.full_name")

    found = shadowed(home, pasts, changed("vss.child-health-insurance", fewer))
    lost = Flip(
        agreement="vss.child-health-insurance",
        field="child.full_name",
        way=Way.LOST,
        reason=Reason.FIELD_NOT_IN_AGREEMENT,
    )
    assert (found.flips, found.flipped) == ({lost: 3}, 3)


def test_all_is_lost_when_the_agreement_has_ended_or_is_gone(home: Path, pasts: list[Past]) -> None:
    def ended(agreement: dict[str, Any]) -> None:
        agreement["valid"]["until"] = "2026-01-02"

    expired = shadowed(home, pasts, changed("vss.child-health-insurance", ended))
    assert {(f.way, f.reason) for f in expired.flips} == {(Way.LOST, Reason.EXPIRED)}
    document = json.loads(announced())
    document["agreements"] = [
        a for a in document["agreements"] if a["agreement"] != "vss.child-health-insurance"
    ]
    gone = shadowed(home, pasts, canonical_json(document))
    assert {(f.way, f.reason) for f in gone.flips} == {(Way.LOST, Reason.NO_AGREEMENT)}
    assert {f.field for f in gone.flips} == {f.field for f in expired.flips}


def test_look_ups_are_gained_and_lost_when_the_agreement_has_another_purpose(
    home: Path, pasts: list[Past]
) -> None:
    other = changed("vss.population", lambda a: a.update(purpose="statistics.births"))
    found = shadowed(home, pasts, other)
    assert {(f.agreement, f.field, f.way, f.reason) for f in found.flips} == {
        ("vss.population", "permanent_address", way, Reason.PURPOSE_MISMATCH) for way in Way
    }
    assert found.untold == {}


def test_it_is_not_told_when_the_other_set_asks_what_was_not_read(
    home: Path, pasts: list[Past]
) -> None:
    def conditional(agreement: dict[str, Any]) -> None:
        release = agreement["releases"]["civil-status.BirthRegistered"]
        release["only_if"] = [{"parents[].date_of_birth": {"age-under-years": 50}}]

    facts = shadowed(home, pasts, changed("npd.civil-status", conditional))
    assert (facts.flips, facts.untold) == ({}, {Untold.FACTS: 6})  # child and mother, three births

    def on_consent(agreement: dict[str, Any]) -> None:
        agreement |= {"basis": "consent.data-subject", "consent": "required"}
        agreement["purpose"] = "account.update-customer"
        agreement["releases"] = {"identity.PinIssued": agreement["releases"]["identity.PinIssued"]}

    consents = shadowed(home, pasts, changed("npd.identity", on_consent))
    assert consents.untold == {Untold.CONSENTS: 4}
    assert {flip.reason for flip in consents.flips} == {Reason.FORBIDDEN_BY_RULE}  # minors


def test_added_agreement_is_counted_once_an_event_when_a_birth_is_about_two(
    home: Path, pasts: list[Past]
) -> None:
    document = json.loads(announced())
    [former] = [a for a in document["agreements"] if a["agreement"] == "vss.child-health-insurance"]
    added = former | {"agreement": "vss.another", "purpose": "statistics.births"}
    added["releases"] = {"civil-status.BirthRegistered": {"fields": ["child.sex"]}}
    document["agreements"].append(added)
    found = shadowed(home, pasts, canonical_json(document))
    gained = Flip(
        agreement="vss.another", field="child.sex", way=Way.GAINED, reason=Reason.NO_AGREEMENT
    )
    assert (found.flips, found.flipped) == ({gained: 3}, 3)


def test_command_tells_flips_by_agreement_field_and_reason(home: Path, tmp_path: Path) -> None:
    def older(agreement: dict[str, Any]) -> None:
        release = agreement["releases"]["civil-status.BirthRegistered"]
        release["only_if"] = [{"child.date_of_birth": {"age-under-years": 1}}]
        agreement["valid"]["until"] = "2026-01-02"

    other = tmp_path / "other.json"
    other.write_bytes(changed("vss.child-health-insurance", older))
    arguments = [str(other), "--home", str(home), "--sets", str(home / "sets")]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["flipped"], told["untold"]) == (0, 6, {})
    assert {row["reason"] for row in told["flips"]} == {Reason.EXPIRED}
    people = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "6 of " in people.stdout

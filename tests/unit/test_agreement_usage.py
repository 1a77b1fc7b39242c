"""Which granted fields nobody has had for some days, as the records tell."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from civicbus_deploy.agreements.cli import app
from civicbus_deploy.agreements.usage import Granted, last_uses, unused
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import Outcome, Reason
from typer.testing import CliRunner

from tests.fakes.pages import AT, decision
from tests.unit import lookup_samples as samples
from tests.unit.replay_archive import make_archive

CARD = "vss.child-health-insurance"


def field(name: str) -> Granted:
    """A field of the births that social security gets."""
    record = decision()
    assert record.dataset is not None
    return Granted(agreement=CARD, dataset=record.dataset, field=name)


def test_newest_use_counts_when_a_field_was_had_more_than_once() -> None:
    early, late = decision(minutes=1), decision(minutes=9)
    uses = last_uses([late, early])
    assert uses == dict.fromkeys([field("child.pin"), field("child.full_name")], late.at)


def test_refusal_is_no_use_when_a_field_was_asked_for() -> None:
    denied = decision(outcome=Outcome.DENY, reason=Reason.NO_CONSENT)
    assert last_uses([denied]) == {}


def test_use_under_an_older_version_counts_when_there_is_a_newer_one() -> None:
    older = replace(decision(), agreement=AgreementRef(CARD, 1))
    assert field("child.pin") in last_uses([older])


@pytest.mark.parametrize(("minutes", "left"), [(0, []), (-1, ["child.full_name", "child.pin"])])
def test_field_is_unused_when_its_last_use_lies_before_the_time(
    minutes: int, left: list[str]
) -> None:
    uses = last_uses([decision(minutes=minutes)])
    found = unused(samples.policy(), uses, since=AT, now=AT)
    mine = [row for row in found if row.granted.agreement == CARD]
    assert [row.granted.field for row in mine if row.last_use is not None] == left
    assert {row.granted.field for row in mine if row.last_use is None} == {
        "child.date_of_birth", "parents[].pin",
    }  # fmt: skip


def test_agreement_is_left_out_when_it_does_not_bind() -> None:
    long_ago = AT - timedelta(days=9_000)
    assert unused(samples.policy(), {}, since=AT, now=long_ago) == []


def test_agreement_is_left_out_when_it_is_suspended() -> None:
    policy = samples.policy()
    stopped = tuple(replace(a, standing=Standing.SUSPENDED) for a in policy.agreements)
    assert unused(replace(policy, agreements=stopped), {}, since=AT, now=AT) == []


def test_command_lists_what_was_never_used(tmp_path: Path) -> None:
    home = make_archive(tmp_path)
    arguments = ["unused", "--days", "30", "--nation", "vietnam", "--home", str(home)]
    rows = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["unused"]
    named = {(row["agreement"], row["field"]) for row in rows}
    assert ("vss.population", "population.Person:sex") in named
    assert ("vss.population", "population.Person:permanent_address") not in named
    assert {row["last use"] for row in rows} == {"never"}
    assert "vss.population" in CliRunner().invoke(app, arguments).stdout

"""What an officer is told who has typed something wrong, before anything is looked up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_consumers.officers.rules import Role
from civicbus_deploy.agreements.cli import app as agreements
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight import acting
from civicbus_deploy.oversight.acting import Officer, Verdict
from civicbus_deploy.oversight.asking import answered, token_of
from civicbus_deploy.oversight.orders import app as orders
from civicbus_schemas.errors import BusError, InvalidIdentifier, Misused, Refused, Unavailable
from civicbus_schemas.ids import AgencyId
from typer.testing import CliRunner

from tests.unit import lookup_samples as samples


@pytest.mark.parametrize(
    ("role", "name", "error", "told"),
    [
        (Role.CITIZEN, "12", InvalidIdentifier, "malformed PIN; got 2 characters"),
        (Role.OFFICER, " ", Misused, "1 to 64 characters in --name"),
        (Role.OFFICER, "x" * 65, Misused, "1 to 64 characters in --name"),
        (Role.AUDITOR, "kt-1", Misused, "--issuer AGENCY"),
    ],
)
def test_a_name_is_refused_when_no_token_can_carry_it(
    tmp_path: Path, role: Role, name: str, error: type[BusError], told: str
) -> None:
    with pytest.raises(error, match=told):
        token_of(StateFolder(tmp_path), role, name, issuer=None)


@pytest.mark.parametrize(
    ("status", "error"), [(400, Misused), (401, Refused), (403, Refused), (503, Unavailable)]
)
def test_an_answer_is_an_error_of_its_kind_when_it_is_none(
    status: int, error: type[BusError]
) -> None:
    with pytest.raises(BusError) as caught:
        answered(status, {"title": "No", "code": "no", "detail": "Fill in `case`."})
    assert type(caught.value) is error
    assert str(caught.value) == f"No; got no ({status}). Next: Fill in --case."


def test_members_are_told_as_options_when_a_question_is_malformed() -> None:
    document = {
        "title": "The question is malformed",
        "got": "a case alone",
        "expected": "find.agency beside it",
        "next_step": "correct find.case",
    }
    told = r"\(400\), a case alone; expected --agency beside it\. Next: correct --agency-case"
    with pytest.raises(Misused, match=told):
        answered(400, document)


SITE: Any = SimpleNamespace(announced=samples.policy)
NOBODY = Officer(agency=AgencyId("nope"), name="tt-1")


def test_the_agency_is_named_when_an_act_is_of_none_that_is_known() -> None:
    known = r"no such agency; got nope; expected \['bank'"
    with pytest.raises(Refused, match=known):
        acting.close_case(SITE, "TT-1", by=NOBODY)
    with pytest.raises(Refused, match=known):
        acting.review(SITE, "ab" * 16, Verdict.JUSTIFIED, by=NOBODY, note="why")


def test_a_record_is_wrong_usage_when_its_id_is_malformed() -> None:
    with pytest.raises(InvalidIdentifier, match="record's id"):
        acting.review(SITE, "12", Verdict.JUSTIFIED, by=NOBODY, note="why")


@pytest.mark.parametrize(
    "asked",
    [
        ["--unseal", "12", "--reason", "why"],
        ["--unseal", "ab" * 16, "--reason", " "],
        ["--unseal", "ab" * 16, "--erase", "-", "--reason", "why"],
    ],
)
def test_an_order_is_wrong_usage_when_it_orders_nothing(asked: list[str], tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    command = ["request", str(file), "--name", "tt-1", "--home", str(tmp_path), *asked]
    with pytest.raises(Misused):
        CliRunner().invoke(orders, command, catch_exceptions=False)
    assert not file.exists()


@pytest.mark.parametrize("word", ["suspend", "resume", "revoke"])
def test_a_word_about_an_agreement_is_wrong_usage_when_its_reason_is_empty(word: str) -> None:
    told = CliRunner().invoke(agreements, [word, "x.y", "--as", "provider", "--reason", ""])
    assert told.exit_code == 2
    assert "--reason" in told.stderr
    assert "one line of 1 to" in told.stderr

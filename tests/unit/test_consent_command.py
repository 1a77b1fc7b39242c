"""`civicbus consent`: what it prints, and what it says of mistakes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.consent.registry import calls, cli
from civicbus_consumers.consent.registry.client import RegistryAnswer
from civicbus_schemas.errors import Misused
from typer.testing import CliRunner

IDS = [f"0198f2c4-5d6e-7a8b-9c0d-{number:012}" for number in (1, 2)]
CONSENTS = [
    {
        "consent_id": consent_id,
        "version": 12,
        "standing": "withdrawn",
        "recipient": "bank",
        "purpose": "credit.verify-customer",
        "fields": ["person:full_name", "person:date_of_birth"],
        "valid_until": "2027-11-22T08:00:00+07:00",
    }
    for consent_id in IDS
]


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_every_id_is_whole_when_the_terminal_is_narrow_or_wide(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    def call(*_: Any, **__: Any) -> RegistryAnswer:
        return RegistryAnswer(status=200, code=None, document={"consents": CONSENTS})

    monkeypatch.setattr(cli, "call", call)
    result = CliRunner().invoke(cli.app, ["list", "001190012345"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0
    for consent_id in IDS:
        assert f"{consent_id}@12" in result.stdout
    assert "…" not in result.stdout


def test_nothing_is_asked_when_a_period_is_given_without_a_number_of_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli, "shown_today", lambda *_: "00")
    monkeypatch.setattr(cli, "call", lambda *_, **__: pytest.fail("the registry was asked"))
    given = ["give", "001190012345", "--recipient", "bank", "--purpose", "credit.verify-customer"]
    result = CliRunner().invoke(cli.app, [*given, "--field", "person:full_name", "--per", "day"])
    assert result.exit_code == 2
    assert "--uses" in result.output


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"member": "consent_id", "rule": "a UUID"}, "consent_id: a UUID"),
        ({"fields": ["person:pin"]}, "without person:pin"),
        ({"eid_level": 2}, "eID level 2 of who signs"),
    ],
)
def test_what_was_wrong_is_named_when_the_registry_refuses(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], wanted: str
) -> None:
    refused = RegistryAnswer(status=400, code="malformed-request", document={"title": "No"} | told)
    monkeypatch.setattr(calls, "_client", lambda *_: nullcontext(FakeClient(refused)))
    with pytest.raises(Misused, match=wanted):
        calls.call(Path(), "vneid", "refuse", body={})


@dataclass
class FakeClient:
    """A registry that answers one thing."""

    answer: RegistryAnswer

    def call(self, *_: Any) -> RegistryAnswer:
        return self.answer

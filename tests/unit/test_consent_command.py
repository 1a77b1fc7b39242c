"""`civicbus consent list` in terminals of any width."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_consumers.consent.registry import cli
from civicbus_consumers.consent.registry.client import RegistryAnswer
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

"""`civicbus explain`, offline on the packaged nation."""

from __future__ import annotations

import json

from civicbus_deploy.agreements.explaining import app
from typer.testing import CliRunner

ASKED = (
    "--nation", "vietnam", "--recipient", "bank", "--dataset", "population.Person",
    "--field", "marital_status", "--purpose", "credit.verify-customer", "--action", "verify",
    "--day", "2026-11-22",
)  # fmt: skip


def run(*more: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, [*ASKED, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_officer_reads_why_when_it_is_asked() -> None:
    assert run("--consent", "--age", "36").endswith("Law 91/2025 Art 9).\n")
    refused = run("--age", "17", "--lang", "vi").splitlines()
    assert "không được đối chiếu marital_status" in refused[0]
    assert [line.partition(":")[0] for line in refused[1:]] == ["cần", "cần"]


def test_command_says_what_the_web_process_says_when_json_is_asked() -> None:
    told = json.loads(run("--age", "17", "--json"))
    assert told["decision"] is False
    assert [need["reason"] for need in told["context"]["needed"]] == [
        "no-consent", "forbidden-by-rule",
    ]  # fmt: skip


def test_command_is_refused_when_a_look_up_names_no_field() -> None:
    bare = [word for word in ASKED if word not in {"--field", "marital_status"}]
    assert CliRunner().invoke(app, bare).exit_code == 2

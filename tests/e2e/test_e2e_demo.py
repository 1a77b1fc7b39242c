"""The demo as its user calls it: the story, every check, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.broker

BIN = Path(sys.executable).parent
TOTALS = {
    "published", "permitted", "denied", "delivered", "dead_lettered", "lookups", "lookups_refused",
    "records", "leaves", "checkpoint_size", "view_persons", "checks", "events_per_second",
}  # fmt: skip


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of ours, to its end."""
    return subprocess.run(
        [BIN / program, *arguments], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder that does not exist yet."""
    folder = tmp_path_factory.mktemp("demo") / "home"
    yield folder
    run("civicbus", "down", "--home", folder)


@pytest.fixture(scope="module")
def played(home: Path) -> subprocess.CompletedProcess[str]:
    """A small demo without a terminal."""
    size = ("--persons", "100", "--events", "600")
    return run("civicbus", "demo", "--json", *size, "--home", home)


def test_every_check_holds_when_the_demo_is_played(
    played: subprocess.CompletedProcess[str],
) -> None:
    assert played.returncode == 0, played.stderr[-4000:]
    totals: dict[str, Any] = json.loads(played.stdout.splitlines()[-1])
    assert totals.keys() == TOTALS
    assert [name for name, holds in totals["checks"].items() if holds is not True] == []
    assert len(totals["checks"]) >= 14
    assert totals["leaves"] == totals["checkpoint_size"] > totals["records"]
    assert (totals["lookups"], totals["lookups_refused"]) == (3, 2)


@pytest.mark.usefixtures("played")
def test_ledger_verifies_and_addresses_are_told_when_the_demo_is_over(home: Path) -> None:
    assert json.loads(run("civicbus", "status", "--json", "--home", home).stdout)["phase"] == "down"
    assert run("civicbus-audit", "verify", "--home", home).returncode == 0
    agency = json.loads(run("civicbus", "env", "--json", "--agency", "moj", "--home", home).stdout)
    assert agency["agency"] == "moj"


def test_demo_refuses_when_the_folder_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")
    refused = run("civicbus", "demo", "--home", tmp_path)
    assert refused.returncode == 3
    assert "name another one with --home" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]

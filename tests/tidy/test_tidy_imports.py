"""The directions of the house hold, and lint-imports catches a wrong import planted in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.rules import PACKAGES, ROOT

# Each in a module of its own, so that one run shows all of them.
PLANTED = [
    ("schemas", "civicbus_schemas.planted_up", "civicbus_producers"),
    ("audit", "civicbus_audit.planted_aside", "civicbus_producers"),
    ("producers", "civicbus_producers.planted_aside", "civicbus_audit"),
    ("consumers", "civicbus_consumers.planted_up", "civicbus_deploy"),
    ("audit", "civicbus_audit.planted_kafka", "confluent_kafka"),
    ("schemas", "civicbus_schemas.planted_yaml", "yaml"),
    ("schemas", "civicbus_schemas.planted_file", "pathlib"),
    ("audit", "civicbus_audit.merkle", "os"),
    ("consumers", "civicbus_consumers.access.planted", "sqlalchemy"),
    ("consumers", "civicbus_consumers.planted.rules", "socket"),
    ("producers", "civicbus_producers.planted_web", "starlette"),
    ("consumers", "civicbus_consumers.subscription", "faust"),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lint-imports on the packages that lie in `folder`."""
    paths = os.pathsep.join(str(folder / member) for member in PACKAGES)
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def copied_house(folder: Path) -> Path:
    """A copy of the packages' code and of the contracts."""
    shutil.copy(ROOT / ".importlinter", folder)
    for member in PACKAGES:
        for file in (ROOT / member / f"civicbus_{member}").rglob("*.py"):
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy in which every wrong import was planted."""
    house = copied_house(tmp_path_factory.mktemp("house"))
    for member, module, imported in PLANTED:
        file = house / member / f"{module.replace('.', '/')}.py"
        if not file.parent.exists():
            file.parent.mkdir()
            (file.parent / "__init__.py").touch()
        with file.open("a", encoding="utf-8") as text:
            text.write(f"\nimport {imported}\n")
    result = lint_imports(house)
    assert result.returncode == 1, result.stdout + result.stderr
    return " ".join(result.stdout.split())


def test_the_directions_hold_when_the_house_is_as_it_is(tmp_path: Path) -> None:
    result = lint_imports(copied_house(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("module", "imported"), [(m, i) for _, m, i in PLANTED])
def test_a_wrong_import_is_caught_when_it_is_planted(
    report: str, module: str, imported: str
) -> None:
    assert f"{module} -> {imported} (l." in report


def test_every_contract_breaks_when_each_kind_of_import_is_planted(report: str) -> None:
    assert "0 kept, 5 broken" in report

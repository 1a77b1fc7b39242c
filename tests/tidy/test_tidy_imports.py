"""The directions of the house hold, and lint-imports catches a wrong import planted in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.rules import PACKAGES, ROOT

PLANTED = [
    ("schemas/civicbus_schemas/planted.py", "import civicbus_producers", "layers"),
    ("audit/civicbus_audit/planted.py", "import civicbus_producers", "layers"),
    ("producers/civicbus_producers/planted.py", "import civicbus_audit", "layers"),
    ("consumers/civicbus_consumers/planted.py", "import civicbus_deploy", "layers"),
    ("audit/civicbus_audit/planted.py", "import confluent_kafka", "audit-knows-no-kafka"),
    ("schemas/civicbus_schemas/planted.py", "import yaml", "language-stands-on-fastavro"),
    ("schemas/civicbus_schemas/planted.py", "from pathlib import Path", "pure-core"),
    ("audit/civicbus_audit/merkle.py", "import os", "pure-core"),
    ("consumers/civicbus_consumers/access/planted.py", "import sqlalchemy", "pure-core"),
    ("consumers/civicbus_consumers/planted/rules.py", "import socket", "pure-core"),
    ("producers/civicbus_producers/planted.py", "import starlette", "light-sdks"),
]


def lint_imports(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run lint-imports on the packages that lie in `folder`."""
    paths = os.pathsep.join(str(folder / member) for member in PACKAGES)
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the packages' code and of the contracts."""
    shutil.copy(ROOT / ".importlinter", tmp_path)
    for member in PACKAGES:
        for file in (ROOT / member / f"civicbus_{member}").rglob("*.py"):
            target = tmp_path / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return tmp_path


def test_the_directions_hold_when_the_house_is_as_it_is(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("path", "line", "contract"), PLANTED)
def test_a_wrong_import_is_caught_when_it_is_planted(
    house: Path, path: str, line: str, contract: str
) -> None:
    file = house / path
    if not file.parent.exists():
        file.parent.mkdir(parents=True)
        (file.parent / "__init__.py").touch()
    file.write_text(f"{file.read_text('utf-8') if file.exists() else ''}\n{line}\n", "utf-8")
    result = lint_imports(house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout
    assert line.split()[1] in result.stdout

"""The directions of the house hold, and lint-imports catches a wrong import planted in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
        [Path(sys.executable).parent / "lint-imports", "--no-logo", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages' code and of the contracts; who plants something takes it out."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / ".importlinter", folder)
    for member in PACKAGES:
        for file in (ROOT / member / f"civicbus_{member}").rglob("*.py"):
            target = folder / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return folder


def test_the_directions_hold_when_the_house_is_as_it_is(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("path", "line", "contract"), PLANTED)
def test_a_wrong_import_is_caught_when_it_is_planted(
    house: Path, path: str, line: str, contract: str
) -> None:
    with planted(house / path, line):
        result = lint_imports(house, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken" in result.stdout
    assert line.split()[1] in result.stdout


@contextmanager
def planted(file: Path, line: str) -> Iterator[None]:
    """The file with one more line; before and after it is as it was."""
    before = file.read_text("utf-8") if file.exists() else None
    strange = not file.parent.exists()
    if strange:
        file.parent.mkdir()
        (file.parent / "__init__.py").touch()
    file.write_text(f"{before or ''}\n{line}\n", "utf-8")
    yield
    if before is not None:
        file.write_text(before, "utf-8")
    elif strange:
        shutil.rmtree(file.parent)
    else:
        file.unlink()

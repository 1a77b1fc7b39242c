"""What a killed test run has left behind is removed by the next, however far it had come."""

import tempfile
from pathlib import Path

import pytest
from civicbus_deploy.embedded.state import write_json

from tests.stack import sweep


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _left_behind(temporary_folder: Path, **owner: object) -> Path:
    home = temporary_folder / "civicbus-test-left"
    (home / "run").mkdir(parents=True)
    write_json(home / "run" / "owner.json", owner)
    return home


def test_sweep_removes_the_folder_of_an_ended_run_when_its_removal_was_interrupted(
    temporary_folder: Path,
) -> None:
    home = _left_behind(temporary_folder, pid=2**22 + 1, started_at=0.0)
    sweep()
    assert not home.exists()


def test_sweep_keeps_a_folder_when_nobody_is_named_as_its_owner(temporary_folder: Path) -> None:
    home = _left_behind(temporary_folder)
    sweep()
    assert home.exists()

"""What tests' stacks start Java with, where caches of classes are there, and where they are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from civicbus_deploy.embedded import java

from tests import warm_java


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def kept() -> Path:
    """Something in the place of Kafka's cache that is none."""
    cache = warm_java.cache_of("kafka")
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"no cache")
    return cache


def started(part: str, tmp_path: Path) -> tuple[tuple[str, ...], str]:
    home = tmp_path / part
    home.mkdir()
    command = warm_java.command(["-version"], argfile=home / "start.args")
    return command, (home / "start.args").read_text()


def test_java_is_told_of_the_cache_when_its_part_has_one(kept: Path, tmp_path: Path) -> None:
    assert started("kafka", tmp_path)[1] == f'"-XX:AOTCache={kept}"\n"-version"\n'
    assert started("registry", tmp_path)[1] == '"-version"\n'


def test_java_starts_without_it_when_the_cache_is_broken_or_gone(
    kept: Path, tmp_path: Path
) -> None:
    command, _ = started("kafka", tmp_path)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    kept.unlink()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_cache_is_not_taken_when_it_was_made_by_another_java(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "VERSION", "1.4")
    assert warm_java.cache_of("kafka") != kept
    assert started("kafka", tmp_path)[1] == '"-version"\n'

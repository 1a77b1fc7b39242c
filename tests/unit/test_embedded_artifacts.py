"""Parts: nothing is used, or kept, whose bytes are not the committed ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from civicbus_deploy.embedded import artifacts, download
from civicbus_deploy.embedded.artifacts import Artifact
from civicbus_deploy.embedded.failures import ChecksumMismatch, DiskFull, NoNetwork
from rich.console import Console

GENUINE = b"the committed bytes"


def _artifact(**changes: object) -> Artifact:
    genuine = Artifact(
        group="g",
        name="part",
        version="1",
        classifier="",
        packaging="jar",
        sha256=hashlib.sha256(GENUINE).hexdigest(),
        size=len(GENUINE),
    )
    return replace(genuine, **changes)  # type: ignore[arg-type]


class FakeRegistry:
    """Serves the given bytes; `breaks` stops in the middle as a lost connection does."""

    def __init__(self, content: bytes = GENUINE, *, breaks: bool = False) -> None:
        self.content, self.breaks, self.fetched = content, breaks, 0

    def fetch(self, artifact: Artifact, into: Path) -> Path:
        self.fetched += 1
        path = into / artifact.filename
        path.write_bytes(self.content[: len(self.content) // 2] if self.breaks else self.content)
        if self.breaks:
            raise NoNetwork("the connection was lost")
        return path


def _ensure(cache: Path, registry: FakeRegistry, **changes: object) -> Path:
    said: list[str] = []
    (path,) = artifacts.ensure(
        [_artifact(**changes)], cache=cache, fetcher=registry, say=said.append
    )
    return path


def test_part_is_fetched_once_when_it_is_genuine(tmp_path: Path) -> None:
    registry = FakeRegistry()
    assert _ensure(tmp_path, registry).read_bytes() == GENUINE
    assert _ensure(tmp_path, registry).read_bytes() == GENUINE
    assert registry.fetched == 1


def test_part_is_refused_and_not_kept_when_its_bytes_differ(tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch, match=r"part-1\.jar has a wrong checksum"):
        _ensure(tmp_path, FakeRegistry(b"the committed bytez"))
    assert list(tmp_path.iterdir()) == []


def test_half_a_download_is_not_kept_when_the_connection_is_lost(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork):
        _ensure(tmp_path, FakeRegistry(breaks=True))
    assert list(tmp_path.iterdir()) == []


def test_cached_part_is_not_used_when_one_byte_was_changed(tmp_path: Path) -> None:
    path = _ensure(tmp_path, FakeRegistry())
    path.write_bytes(GENUINE.replace(b"c", b"C", 1))
    offline = FakeRegistry(breaks=True)
    with pytest.raises(NoNetwork):
        _ensure(tmp_path, offline)
    assert _ensure(tmp_path, FakeRegistry()).read_bytes() == GENUINE


def test_other_parts_are_kept_when_one_is_refused(tmp_path: Path) -> None:
    good, bad = _artifact(), _artifact(name="other", sha256="0" * 64)
    with pytest.raises(ChecksumMismatch):
        artifacts.ensure([good, bad], cache=tmp_path, fetcher=FakeRegistry(), say=str)
    assert [path.name for path in tmp_path.iterdir()] == ["part-1.jar"]


def test_download_is_refused_when_the_disk_has_no_room(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="bytes free; expected at least"):
        _ensure(tmp_path, FakeRegistry(), size=1 << 60)


def test_missing_network_is_named_when_the_registry_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_arguments: object, **_options: object) -> None:
        raise requests.ConnectionError("no route")

    monkeypatch.setattr("requests.request", unreachable)
    monkeypatch.setattr(download, "PAUSE_S", 0)
    fetcher = download.MavenFetcher(lambda _count: None)
    with pytest.raises(NoNetwork, match="HTTPS_PROXY") as caught:
        fetcher.fetch(_artifact(), tmp_path)
    assert "no route" not in str(caught.value)


def test_nothing_is_drawn_when_nothing_is_to_be_fetched() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with download.shown(0, console) as advance:
        advance(1)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_bytes_and_time_are_drawn_when_something_is_fetched() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with download.shown(2_000_000, console) as advance:
        advance(2_000_000)
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "2.0/2.0 MB" in drawn
    assert "0:00:0" in drawn


@pytest.mark.parametrize("part", artifacts.PARTS)
def test_committed_list_has_a_sum_and_a_size_for_every_part(part: str) -> None:
    listed = artifacts.committed(part)
    assert listed
    for artifact in listed:
        assert len(bytes.fromhex(artifact.sha256)) == 32
        assert artifact.size > 0
        if artifact.packaging == "tar.gz" or part == "postgres":
            assert len(bytes.fromhex(artifact.tree_sha256 or "")) == 32
    assert len({artifact.filename for artifact in listed}) == len(listed)


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Artifact, Path]:
    """A small archive of two files, as the registry's is, and its committed sums."""
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o755)
    (source / "readme").write_text("text")
    path = tmp_path / "part-1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(source, arcname=".")
    return _artifact(packaging="tar.gz", tree_sha256=artifacts.tree_sha256_of(source)), path


def _change(tree: Path) -> None:
    (tree / "readme").write_text("tex7")


def _add(tree: Path) -> None:
    (tree / "more.jar").write_text("")


def _drop(tree: Path) -> None:
    (tree / "readme").unlink()


def _make_executable(tree: Path) -> None:
    (tree / "readme").chmod(0o755)


@pytest.mark.parametrize("tamper", [_change, _add, _drop, _make_executable])
def test_unpacked_tree_is_made_anew_when_tampered_with(
    archive: tuple[Artifact, Path], tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    artifact, path = archive
    tree = artifacts.unpacked(artifact, path, into=tmp_path / "place")
    tamper(tree)
    assert artifacts.tree_sha256_of(tree) != artifact.tree_sha256
    again = artifacts.unpacked(artifact, path, into=tmp_path / "place")
    assert artifacts.tree_sha256_of(again) == artifact.tree_sha256


def test_unpacked_tree_is_refused_when_it_is_not_the_committed_one(
    archive: tuple[Artifact, Path], tmp_path: Path
) -> None:
    artifact, path = archive
    with pytest.raises(ChecksumMismatch, match="unpacked from"):
        artifacts.unpacked(replace(artifact, tree_sha256="0" * 64), path, into=tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []


def test_both_get_the_tree_when_two_unpack_it_at_once(
    archive: tuple[Artifact, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, path = archive
    extract = artifacts._extract

    def overtaken(archive: Path, into: Path) -> None:
        monkeypatch.setattr(artifacts, "_extract", extract)
        artifacts.unpacked(artifact, path, into=tmp_path / "place")
        extract(archive, into)

    monkeypatch.setattr(artifacts, "_extract", overtaken)
    tree = artifacts.unpacked(artifact, path, into=tmp_path / "place")
    assert artifacts.tree_sha256_of(tree) == artifact.tree_sha256
    assert list((tmp_path / "place").iterdir()) == [tree]

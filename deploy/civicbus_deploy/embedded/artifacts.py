"""The Java and native parts of the stack: committed coordinates, verified bytes, one cache.

Order is safety here. A part is (1) downloaded into a folder of its own, (2) compared with the
committed SHA-256, (3) renamed into the cache; what is in the cache is (4) compared again before
every use. Nothing else is ever put on a class path or started.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from civicbus_deploy.embedded.failures import ChecksumMismatch, DiskFull

PARALLEL_DOWNLOADS = 8
PARTS = ("kafka", "postgres", "registry", "zipkin")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One committed file: where it is named, what it must be."""

    group: str
    name: str
    version: str
    classifier: str
    packaging: str
    sha256: str
    size: int
    tree_sha256: str | None = None

    @property
    def filename(self) -> str:
        """The name in the cache, unique within our lists."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{classifier}.{self.packaging}"


class Fetcher(Protocol):
    """Brings one artifact's bytes from its registry; knows the address, which we do not."""

    def fetch(self, artifact: Artifact, into: Path) -> Path:
        """Download into the empty folder `into` and return the file; raises `NoNetwork`."""


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/civicbus`, or `~/.cache/civicbus`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "civicbus"


def committed(part: str) -> tuple[Artifact, ...]:
    """The committed list of one part (`kafka`, `postgres`, `registry`, `zipkin`)."""
    text = (resources.files(__package__) / f"{part}.lock").read_text()
    lines = (line.split("#")[0].split() for line in text.splitlines())
    return tuple(_parse(fields) for fields in lines if fields)


def _parse(fields: Sequence[str]) -> Artifact:
    coordinate, _, packaging = fields[0].partition("@")
    group, name, version, *classifier = coordinate.split(":")
    return Artifact(
        group=group,
        name=name,
        version=version,
        classifier=classifier[0] if classifier else "",
        packaging=packaging or "jar",
        sha256=fields[1],
        size=int(fields[2]),
        tree_sha256=fields[3] if len(fields) > 3 else None,
    )


def ensure(
    artifacts: Iterable[Artifact], *, cache: Path, fetcher: Fetcher, say: Say
) -> tuple[Path, ...]:
    """Return the verified files in the cache, fetching those that are missing or tampered with."""
    wanted = tuple(artifacts)
    cache.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        genuine = list(pool.map(lambda artifact: _is_genuine(artifact, cache, say), wanted))
        missing = [artifact for artifact, good in zip(wanted, genuine, strict=True) if not good]
        _check_room(cache, sum(artifact.size for artifact in missing))
        tasks = [pool.submit(_download, artifact, cache, fetcher) for artifact in missing]
        try:
            for task in tasks:
                task.result()
        finally:
            pool.shutdown(cancel_futures=True)  # where one failed, the others do not begin
    return tuple(cache / artifact.filename for artifact in wanted)


def missing_bytes(artifacts: Iterable[Artifact], cache: Path) -> int:
    """How many bytes `ensure` would fetch, judged by name and size only."""
    return sum(a.size for a in artifacts if _size(cache / a.filename) != a.size)


def _is_genuine(artifact: Artifact, cache: Path, say: Say) -> bool:
    path = cache / artifact.filename
    if not path.exists():
        return False
    if _size(path) == artifact.size and sha256_of(path) == artifact.sha256:
        return True
    say(f"{artifact.filename} in the cache is not the committed part; fetching it anew")
    path.unlink(missing_ok=True)
    return False


def _download(artifact: Artifact, cache: Path, fetcher: Fetcher) -> None:
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=cache) as aside:
        try:
            arrived = fetcher.fetch(artifact, Path(aside))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise DiskFull.at(cache, needed=artifact.size) from error
        got = sha256_of(arrived)
        if got != artifact.sha256:
            raise ChecksumMismatch(
                f"the part {artifact.filename} has a wrong checksum",
                got=f"SHA-256 {got}",
                expected=f"SHA-256 {artifact.sha256}",
                next_step="nothing was kept; try again, and if it stays do not use this network: "
                "somebody between you and the registry changes files",
            )
        arrived.replace(cache / artifact.filename)


def _check_room(folder: Path, needed: int) -> None:
    if needed > shutil.disk_usage(folder).free:
        raise DiskFull.at(folder, needed=needed)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpacked(artifact: Artifact, archive: Path, *, into: Path) -> Path:
    """Return the folder of the unpacked archive, verified against the committed tree sum.

    A tree that was tampered with, or half written by a crash, is unpacked anew from the archive,
    whose own sum the caller has checked.
    """
    target = into / archive.name.removesuffix(".tar.gz").removesuffix(".jar")
    if target.exists():
        if tree_sha256_of(target) == artifact.tree_sha256:
            return target
        shutil.rmtree(target)
    into.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=into))
    try:
        _extract(archive, aside)
        got = tree_sha256_of(aside)
        if got != artifact.tree_sha256:
            raise ChecksumMismatch(
                f"the files unpacked from {archive.name} are not the committed ones",
                got=f"tree SHA-256 {got}",
                expected=f"tree SHA-256 {artifact.tree_sha256}",
                next_step="nothing was kept; check the disk, then try again",
            )
        aside.chmod(0o755)
        _put(aside, target, artifact)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _put(aside: Path, target: Path, artifact: Artifact) -> None:
    """Move a verified tree to its place, unless another start has put the same there meanwhile."""
    try:
        aside.replace(target)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY or tree_sha256_of(target) != artifact.tree_sha256:
            raise


def _extract(archive: Path, into: Path) -> None:
    if archive.suffix != ".jar":
        with archive.open("rb") as stream:
            _untar(stream, into)
        return
    with zipfile.ZipFile(archive) as jar:
        (inner,) = (name for name in jar.namelist() if name.endswith(".txz"))
        with jar.open(inner) as stream:
            _untar(stream, into)


def _untar(stream: IO[bytes], into: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r:*") as tar:
        # the archive is one of ours, byte for byte; the filter is a second belt where Python has it
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        tar.extractall(into)  # noqa: S202


def tree_sha256_of(folder: Path) -> str:
    """One sum over every path below `folder`, with the files' bytes, targets of links, x bits."""
    paths = sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        lines = pool.map(lambda path: _tree_line(path, folder), paths)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _tree_line(path: Path, folder: Path) -> str:
    name = PurePosixPath(path.relative_to(folder))
    if path.is_symlink():
        return f"link {path.readlink()} {name}\n"
    kind = "exec" if path.stat().st_mode & 0o100 else "file"
    return f"{kind} {sha256_of(path)} {name}\n"

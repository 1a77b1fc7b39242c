"""Files that outlive a crash: a port of single system calls, and the orders that make them safe.

A name or a byte is durable only after `sync` of its directory or file. Paths are relative to the
ledger, with `/`; `.` is the ledger itself.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from civicbus_schemas.errors import Fenced


class DurableFiles(Protocol):
    """One system call a method, each of which may fail with `OSError` before or after its effect.

    The fake in `tests/fakes/durable_files.py` forgets in a crash whatever was not synced.
    """

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises `FileNotFoundError`."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is a file or a directory of that name."""
        ...

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted; none if there is no such directory."""
        ...

    def make_directory(self, path: str) -> None:
        """Makes one directory, unless it is there."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Makes a file or replaces its content; not durable yet."""
        ...

    def sync(self, path: str) -> None:
        """Makes a file's content, or the names in a directory, durable."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Gives a file another name, replacing what had it; atomic, not durable yet."""
        ...

    def remove(self, path: str) -> None:
        """Removes a file, or an empty directory."""
        ...

    def lock(self, path: str) -> None:
        """Takes a lock that ends with `close` or the process; raises `Fenced` if it is held."""
        ...

    def close(self) -> None:
        """Lets go of the lock."""
        ...


class PosixFiles:
    """The port on a real directory, which is made if it is missing."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = root
        self._lock: int | None = None

    def read(self, path: str) -> bytes:
        """See `DurableFiles`."""
        return (self._root / path).read_bytes()

    def exists(self, path: str) -> bool:
        """See `DurableFiles`."""
        return (self._root / path).exists()

    def names(self, path: str) -> list[str]:
        """See `DurableFiles`."""
        try:
            return sorted(file.name for file in (self._root / path).iterdir())
        except FileNotFoundError:
            return []

    def make_directory(self, path: str) -> None:
        """See `DurableFiles`."""
        (self._root / path).mkdir(mode=0o700, exist_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """See `DurableFiles`."""
        (self._root / path).write_bytes(data)

    def sync(self, path: str) -> None:
        """See `DurableFiles`."""
        handle = os.open(self._root / path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, source: str, target: str) -> None:
        """See `DurableFiles`."""
        (self._root / source).replace(self._root / target)

    def remove(self, path: str) -> None:
        """See `DurableFiles`."""
        file = self._root / path
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)

    def lock(self, path: str) -> None:
        """See `DurableFiles`."""
        handle = os.open(self._root / path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Fenced(
                "another process writes this ledger", next_step="end it before starting a second"
            ) from None
        self._lock = handle

    def close(self) -> None:
        """See `DurableFiles`."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def store_all(files: DurableFiles, contents: Mapping[str, bytes]) -> None:
    """Writes files into new or old directories and makes contents and names durable."""
    make_parents(files, contents)
    for path, data in contents.items():
        files.write(path, data)
    for path in contents:  # after all are written: one commit of the disk's journal serves many
        files.sync(path)
    sync_parents(files, contents)


def replace_atomically(files: DurableFiles, path: str, data: bytes) -> None:
    """Whoever reads the path, now or after a crash, gets all of the old bytes or all of the new."""
    fresh = f"{path}.new"
    files.write(fresh, data)
    files.sync(fresh)
    files.rename(fresh, path)
    files.sync(parent(path))


def make_parents(files: DurableFiles, paths: Iterable[str]) -> None:
    """Makes the directories above these paths; `sync_parents` makes them durable."""
    for directory in sorted(_ancestors(paths)):
        files.make_directory(directory)


def sync_parents(files: DurableFiles, paths: Iterable[str]) -> None:
    """Makes the names of these paths durable, and those of the directories above them."""
    for directory in sorted({*_ancestors(paths), "."}, reverse=True):
        files.sync(directory)


def _ancestors(paths: Iterable[str]) -> set[str]:
    return {str(above) for path in paths for above in PurePosixPath(path).parents} - {"."}


def remove_directory(files: DurableFiles, path: str) -> None:
    """Removes a directory of files; harmless when it is gone."""
    for name in files.names(path):
        files.remove(f"{path}/{name}")
    if files.exists(path):
        files.remove(path)


def parent(path: str) -> str:
    """The directory of a path."""
    return str(PurePosixPath(path).parent)

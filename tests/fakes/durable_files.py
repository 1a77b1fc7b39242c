"""A file system in memory that forgets what was not synced, and whose calls fail when told to.

`crash()` loses every byte and name that was not synced (or, given a random source, each of them
perhaps); of a rename it keeps at least one name, as journalling file systems do. `fail_at = n`
makes the n-th changing call from now raise `OSError`, and `mode` says what became of it: `lost`,
`persisted`, or `torn` (half of the bytes were written).
"""

from __future__ import annotations

import copy
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from random import Random
from typing import Literal

from civicbus_schemas.errors import Fenced

Mode = Literal["lost", "persisted", "torn"]


@dataclass(slots=True)
class _File:
    data: bytes = b""
    synced: bytes = b""


@dataclass(slots=True)
class _Directory:
    names: dict[str, _File | _Directory] = field(default_factory=dict)
    synced: dict[str, _File | _Directory] = field(default_factory=dict)


class FakeDurableFiles:
    """The port in memory; `calls` lists the changing calls as they came."""

    def __init__(self) -> None:
        self._root = _Directory()
        self._locked = False
        self._renamed: list[tuple[_Directory, str, str, _File | _Directory]] = []
        self.fail_at: int | None = None
        self.mode: Mode = "lost"
        self.calls: list[str] = []

    def read(self, path: str) -> bytes:
        node = self._find(path)
        if not isinstance(node, _File):
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return node.data

    def exists(self, path: str) -> bool:
        return self._find(path) is not None

    def names(self, path: str) -> list[str]:
        node = self._find(path)
        return sorted(node.names) if isinstance(node, _Directory) else []

    def make_directory(self, path: str) -> None:
        self._change("make_directory", path, lambda: self._make(path))

    def write(self, path: str, data: bytes) -> None:
        self._change("write", path, lambda: self._put(path, data))

    def sync(self, path: str) -> None:
        node = self._find(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        self._change("sync", path, lambda: self._sync(path))

    def rename(self, source: str, target: str) -> None:
        def move() -> None:
            above, name = self._above(source), PurePosixPath(source).name
            node = above.names.pop(name)
            self._above(target).names[PurePosixPath(target).name] = node
            self._renamed.append((above, name, target, node))

        self._change("rename", target, move)

    def remove(self, path: str) -> None:
        node = self._find(path)
        if isinstance(node, _Directory) and node.names:
            raise OSError(errno.ENOTEMPTY, "not empty", path)
        gone = PurePosixPath(path).name
        self._change("remove", path, lambda: self._above(path).names.pop(gone, None))

    def lock(self, path: str) -> None:  # noqa: ARG002 - one lock is enough here
        if self._locked:
            raise Fenced("another process writes this ledger")
        self._locked = True

    def close(self) -> None:
        self._locked = False

    def crash(self, chance: Random | None = None) -> None:
        """The machine loses its power: what is not on disk is gone, or perhaps gone."""
        self._locked, self.fail_at = False, None
        _forget(self._root, chance)
        for above, name, target, node in self._renamed:
            if self._find(target) is not node:  # a rename is atomic: one of the names is left
                above.names[name] = above.synced[name] = node
        self._renamed.clear()

    def tile_paths(self) -> Iterator[str]:
        yield from (path for path in self.paths() if path.startswith("tile/"))

    def paths(self) -> Iterator[str]:
        """Every file, by its path."""
        yield from _walk(self._root, "")

    def copy(self) -> FakeDurableFiles:
        return copy.deepcopy(self)

    def _change(self, call: str, path: str, effect: Callable[[], object]) -> None:
        self.calls.append(f"{call} {path}")
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at == 0:
                if self.mode == "persisted" or (self.mode == "torn" and call == "write"):
                    effect()
                if self.mode == "torn" and isinstance(node := self._find(path), _File):
                    node.data = node.data[: len(node.data) // 2] if call == "write" else node.data
                raise OSError(errno.EIO, "injected", path)
        effect()

    def _find(self, path: str) -> _File | _Directory | None:
        node: _File | _Directory | None = self._root
        for part in _parts(path):
            node = node.names.get(part) if isinstance(node, _Directory) else None
        return node

    def _above(self, path: str) -> _Directory:
        node = self._find(str(PurePosixPath(path).parent))
        if not isinstance(node, _Directory):
            raise FileNotFoundError(errno.ENOENT, "no such directory", path)
        return node

    def _make(self, path: str) -> None:
        self._above(path).names.setdefault(PurePosixPath(path).name, _Directory())

    def _put(self, path: str, data: bytes) -> None:
        node = self._above(path).names.setdefault(PurePosixPath(path).name, _File())
        assert isinstance(node, _File)
        node.data = data

    def _sync(self, path: str) -> None:
        match self._find(path):
            case _File() as file:
                file.synced = file.data
            case _Directory() as directory:
                directory.synced = dict(directory.names)


@lru_cache(4096)
def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def _forget(directory: _Directory, chance: Random | None) -> None:
    def survives() -> bool:
        return chance is not None and chance.random() < 0.5

    for name in {*directory.names, *directory.synced}:
        now, then = directory.names.get(name), directory.synced.get(name)
        kept = now if now is then or survives() else then
        if kept is None:
            directory.names.pop(name, None)
        else:
            directory.names[name] = kept
    directory.synced = dict(directory.names)
    for node in directory.names.values():
        if isinstance(node, _Directory):
            _forget(node, chance)
        else:
            node.data = node.data if survives() else node.synced
            node.synced = node.data


def _walk(directory: _Directory, prefix: str) -> Iterator[str]:
    for name, node in sorted(directory.names.items()):
        if isinstance(node, _Directory):
            yield from _walk(node, f"{prefix}{name}/")
        else:
            yield prefix + name

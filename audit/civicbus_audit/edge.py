"""The right edge of a growing log: what its next append needs to know, and what it writes. Pure.

This is the first of the two ways to a root (`merkle`): it adds leaf by leaf and reads nothing back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from civicbus_schemas.errors import Refused

from civicbus_audit.merkle import CompactRange, leaf_hash, perfect_root
from civicbus_audit.sealed import decode_sealed, encode_sealed, sealed_path
from civicbus_audit.stored import Read, StoredLog
from civicbus_audit.tiles import (
    ENTRIES,
    MAX_LEVEL,
    WIDTH,
    Tile,
    changed_tiles,
    encode_bundle,
    encode_hashes,
    tile_at,
)

Files = dict[str, bytes]
"""Bytes by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The peaks, and per level the hashes, entries and sealed parts of what is not yet full.

    `entries` and `sealed` are those of the last bundle; `hashes[L]` those of level L's last tile.
    """

    peaks: CompactRange
    entries: tuple[bytes, ...] = ()
    sealed: tuple[bytes, ...] = ()
    hashes: tuple[tuple[bytes, ...], ...] = ()

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.peaks.size

    @classmethod
    def load(cls, log: StoredLog, *, read: Read) -> Edge:
        """The edge of a stored log."""
        peaks, start = list[bytes](), 0
        for height in reversed(range(log.size.bit_length())):
            if log.size >> height & 1:
                peaks.append(log.node(height, start >> height))
                start += 1 << height
        hashes = list[tuple[bytes, ...]]()
        while count := log.size >> 8 * len(hashes):
            last, width = divmod(count, WIDTH)
            hashes.append(tuple(log.hashes(len(hashes), last)) if width else ())
        last, width = divmod(log.size, WIDTH)
        bundle = Tile(level=ENTRIES, index=last, width=width) if width else None
        return cls(
            peaks=CompactRange(size=log.size, peaks=tuple(peaks)),
            entries=tuple(log.bundle(last)) if bundle else (),
            sealed=tuple(decode_sealed(read(sealed_path(bundle)), bundle)) if bundle else (),
            hashes=tuple(hashes),
        )

    def grown(self, leaves: Sequence[bytes], sealed: Sequence[bytes]) -> tuple[Edge, Files]:
        """The edge after these leaves, and the files that a log of its size has and this has not.

        `sealed[i]` lies beside `leaves[i]`, empty where there is none.
        """
        if len(leaves) != len(sealed):
            raise Refused(
                "leaves and sealed parts do not match", got=len(sealed), expected=len(leaves)
            )
        if not leaves:
            return self, {}
        size = self.size + len(leaves)
        entries, parts = [*self.entries, *leaves], [*self.sealed, *sealed]
        files: Files = {}
        for start in range(0, len(entries), WIDTH):
            tile = tile_at(ENTRIES, (self.size + start) // WIDTH, size=size)
            files[tile.path] = encode_bundle(entries[start : start + WIDTH])
            files[sealed_path(tile)] = encode_sealed(parts[start : start + WIDTH])
        counted = [leaf_hash(leaf) for leaf in leaves]
        hashes = self._add_tiles(counted, size=size, files=files)
        rest = size % WIDTH
        return Edge(
            peaks=self.peaks.extended(counted),
            entries=tuple(entries[len(entries) - rest :]),
            sealed=tuple(parts[len(parts) - rest :]),
            hashes=hashes,
        ), files

    def _add_tiles(
        self, new: Sequence[bytes], *, size: int, files: Files
    ) -> tuple[tuple[bytes, ...], ...]:
        """Adds the changed tiles of all levels to `files`; gives what is not yet full of each."""
        pending = list(self.hashes)
        for level in range(MAX_LEVEL + 1):
            if not new:
                break
            if level == len(pending):
                pending.append(())
            hashes = [*pending[level], *new]
            first = (self.size >> 8 * level) // WIDTH
            parents = list[bytes]()
            for start in range(0, len(hashes), WIDTH):
                part = hashes[start : start + WIDTH]
                tile = tile_at(level, first + start // WIDTH, size=size)
                files[tile.path] = encode_hashes(part)
                if not tile.partial:
                    parents.append(perfect_root(part))
            pending[level] = tuple(hashes[len(hashes) - len(hashes) % WIDTH :])
            new = parents
        return tuple(pending)


def changed_paths(old_size: int, new_size: int) -> list[str]:
    """The files that a log of `new_size` has and one of `old_size` has not."""
    paths = [tile.path for tile in changed_tiles(old_size, new_size)]
    if old_size < new_size:
        for index in range(old_size // WIDTH, -(-new_size // WIDTH)):
            bundle = tile_at(ENTRIES, index, size=new_size)
            paths += [bundle.path, sealed_path(bundle)]
    return paths


def superseded(old_size: int, new_size: int) -> list[str]:
    """The directories of partial tiles of size `old_size` that are full at `new_size`."""
    still_partial = set(partial_directories(new_size))
    return [path for path in partial_directories(old_size) if path not in still_partial]


def partial_directories(size: int) -> list[str]:
    """The directories of the partial tiles of a log of this size."""
    directories = list[str]()
    for level in range(MAX_LEVEL + 1):
        index, width = divmod(size >> 8 * level, WIDTH)
        if not width:
            continue
        directories.append(f"{Tile(level=level, index=index).path}.p")
        if level == 0:
            bundle = Tile(level=ENTRIES, index=index)
            directories += [f"{bundle.path}.p", f"{sealed_path(bundle)}.p"]
    return directories

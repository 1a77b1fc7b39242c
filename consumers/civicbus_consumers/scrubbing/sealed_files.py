"""Sealed parts by their files: those of older sizes, which readers of the published size read."""

from __future__ import annotations

from collections.abc import Iterator

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.quorum import Trust
from civicbus_audit.sealed import SEALED, decode_sealed, sealed_path
from civicbus_audit.tiles import ENTRIES, WIDTH, Tile, is_within, tile_at
from civicbus_audit.verify import published
from civicbus_schemas.errors import InvalidBytes

from civicbus_consumers.scrubbing.rules import Comparison, Fault, Kind


def sealed_files(directory: LedgerDirectory, trust: Trust, *, size: int) -> Iterator[Fault]:
    """Files that are not the beginning of what took their place, are no one's, or are missing."""
    for path in _paths(directory):
        if not _is_well(directory, path, size=size):
            yield _fault(path)
    before = None
    while (now := published(directory, trust)[0].size) != before:  # publishing moves it meanwhile
        before, missing = now, _missing(directory, now)
    if missing:
        yield _fault(missing)


def _paths(directory: LedgerDirectory) -> list[str]:
    folder = directory.path / SEALED
    files = (file for file in folder.rglob("*") if not file.is_dir())
    return sorted(file.relative_to(directory.path).as_posix() for file in files)


def _is_well(directory: LedgerDirectory, path: str, *, size: int) -> bool:
    try:
        bundle = Tile.parse(path.replace(SEALED, f"tile/{ENTRIES}", 1))
        if not bundle.partial or not is_within(bundle, size):
            return True
        parts = directory.read(path)
        decode_sealed(parts, bundle)
        newest = sealed_path(tile_at(ENTRIES, bundle.index, size=size))
        return directory.read(newest).startswith(parts)
    except FileNotFoundError:  # sealing drops what is full; what is newest is compared elsewhere
        return True
    except InvalidBytes:
        return False


def _missing(directory: LedgerDirectory, size: int) -> str | None:
    """The sealed parts beside the last bundle of a published size, if nothing has them."""
    if not size % WIDTH:
        return None
    bundle = tile_at(ENTRIES, size // WIDTH, size=size)
    paths = [sealed_path(bundle), sealed_path(Tile(level=ENTRIES, index=bundle.index))]
    return None if any((directory.path / path).exists() for path in paths) else paths[0]


def _fault(path: str) -> Fault:
    return Fault(comparison=Comparison.TOPIC, kind=Kind.SEALED_PART, why=path)

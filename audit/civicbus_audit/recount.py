"""The root of a log, counted again from its stored entries. Pure, given the stored bytes.

This is the second of the two ways to a root (`merkle`): it believes neither tiles nor memory, and
names the first place where they contradict the entries.
"""

from __future__ import annotations

from functools import partial

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.crew import ALONE, Crew
from civicbus_audit.merkle import leaf_hash, perfect_root, root_of_range
from civicbus_audit.stored import Progress, StoredLog
from civicbus_audit.tiles import ENTRIES, MAX_LEVEL, WIDTH, tile_at

AT_ONCE = 64  # tiles


def recount(
    log: StoredLog,
    *,
    since: int = 0,
    on_progress: Progress | None = None,
    crew: Crew = ALONE,
) -> bytes:
    """The root of the whole log; leaves before the tile that holds leaf `since` count as tiles say.

    1. Every entry that is kept has the hash that its level-0 tile gives it.
    2. Every full tile has the root that the tile above gives it.
    3. The root follows from the tiles by the RFC's definition.
    """
    bottom = range(since // WIDTH, -(-log.size // WIDTH))
    for size in crew.each(partial(_check_bottom, log), bottom, at_once=AT_ONCE):
        if on_progress:
            on_progress(size)
    for level in range(1, MAX_LEVEL + 1):
        for index in range(since >> 8 * (level + 1), (log.size >> 8 * level) // WIDTH):
            _check_parent(log, level, index)
    return root_of_range(0, log.size, log.node)


def _check_bottom(log: StoredLog, index: int) -> int:
    """The size up to which the leaves of this bundle are counted, with its tile."""
    size = min(log.size, (index + 1) * WIDTH)
    if index in log.bundles:
        _check_entries(log, index)
    if size == (index + 1) * WIDTH:
        _check_parent(log, 0, index)
    return size


def _check_entries(log: StoredLog, index: int) -> None:
    hashes, entries = log.hashes(0, index), log.bundle(index)
    counted = [leaf_hash(entry) for entry in entries]
    if counted == hashes:
        return
    place = next(i for i, (a, b) in enumerate(zip(counted, hashes, strict=True)) if a != b)
    raise EvidenceBroken(
        f"leaf {index * WIDTH + place} in {tile_at(ENTRIES, index, size=log.size).path} "
        f"is not the one that {tile_at(0, index, size=log.size).path} was made from"
    )


def _check_parent(log: StoredLog, level: int, index: int) -> None:
    above, place = divmod(index, WIDTH)
    if perfect_root(log.hashes(level, index)) != log.hashes(level + 1, above)[place]:
        raise EvidenceBroken(
            f"{tile_at(level, index, size=log.size).path} is not the tile that hash {place} of "
            f"{tile_at(level + 1, above, size=log.size).path} was made from"
        )

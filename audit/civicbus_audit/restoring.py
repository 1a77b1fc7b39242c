"""What is made from the entries of a ledger, made anew: its state file, and its hash tiles.

Entries and checkpoints are evidence and are never written here: whoever finds those damaged
restores them from a mirror.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from civicbus_schemas.errors import EvidenceBroken, Refused

from civicbus_audit.canonical import HASH_BYTES
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.durable import (
    DurableFiles,
    PosixFiles,
    make_parents,
    replace_atomically,
    sync_parents,
)
from civicbus_audit.edge import Edge
from civicbus_audit.ledger import LOCK
from civicbus_audit.memory import Memory
from civicbus_audit.pruning import open_log
from civicbus_audit.quorum import Trust
from civicbus_audit.state import STATE, LedgerState
from civicbus_audit.stored import Progress, StoredLog
from civicbus_audit.tiles import ENTRIES, WIDTH, Tile, is_within, tile_at
from civicbus_audit.verify import published, signed_head, verify_ledger

_AT_ONCE = 64 * WIDTH


def rebuild_state(
    ledger_dir: Path, *, trust: Trust, position: int = 0, on_progress: Progress | None = None
) -> LedgerState:
    """Verifies the whole ledger, then writes the state that it and the source position make.

    With position 0 the page topic is read again from its beginning, and what was sealed is dropped
    as repeated; a later position is for a topic that no longer begins at 0, and must not lie behind
    a page that was never sealed. A pruned ledger needs one, and forgets recorders that wrote no
    page since.
    """
    directory, files = LedgerDirectory(ledger_dir), PosixFiles(ledger_dir)
    files.lock(LOCK)
    try:
        if files.exists(STATE):
            raise Refused(
                f"{ledger_dir} has its {STATE}", next_step="use it; this is for a lost one"
            )
        verify_ledger(directory, trust, on_progress=on_progress)
        checkpoint = signed_head(directory, trust)  # leaves that wait for witnesses are sealed, too
        log = open_log(directory.read, checkpoint.size)
        if log.first and not position:
            raise Refused(
                "a pruned ledger does not know the pages that it pruned, and would seal them again",
                expected="the first offset that the page topic still has, behind those",
                next_step="say it with --position",
            )
        leaves = log.leaves()
        state = LedgerState(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=checkpoint.root,
            position=position,
            since=checkpoint.size,
            memory=Memory.of_leaves(leaves).to_json(),
        )
        replace_atomically(files, STATE, state.encode())
    finally:
        files.close()
    return state


def repair_tiles(
    ledger_dir: Path, *, trust: Trust, on_progress: Progress | None = None
) -> list[str]:
    """Makes hash tiles anew that are missing or wrong; returns their paths. Sealing must not run.

    Nothing is written unless the entries themselves lead to the signed root: raises
    `EvidenceBroken` where they do not. Of what was pruned the hashes are all that is left: they are
    evidence then, and are not made anew.
    """
    directory, files = LedgerDirectory(ledger_dir), PosixFiles(ledger_dir)
    files.lock(LOCK)
    try:
        checkpoint, _ = published(directory, trust)
        log = open_log(directory.read, checkpoint.size)
        made: dict[str, bytes] = {}
        edge = _pruned_edge(log)
        for edge, tiles in _tiles(log):
            made |= {path: data for path, data in tiles.items() if not _holds(files, path, data)}
            if on_progress:
                on_progress(edge.size)
        if edge.peaks.root() != checkpoint.root:
            raise EvidenceBroken(
                f"the entries do not lead to the signed root of size {checkpoint.size}",
                next_step="restore the entries from a mirror; nothing was repaired",
            )
        make_parents(files, made)
        for path, data in made.items():
            replace_atomically(files, path, data)
        sync_parents(files, made)
        return [*made, *_repair_superseded(directory, files, log)]
    finally:
        files.close()


def _tiles(log: StoredLog) -> Iterator[tuple[Edge, dict[str, bytes]]]:
    """The edge as it grows, and the hash tiles that a log of the whole size has."""
    edge, leaves = _pruned_edge(log), chain.from_iterable(map(log.bundle, log.bundles))
    while some := list(islice(leaves, _AT_ONCE)):
        edge, grown = edge.grown(some, [b""] * len(some))
        yield edge, {path: data for path, data in grown.items() if _is_final(path, log.size)}


def _pruned_edge(log: StoredLog) -> Edge:
    """The edge before the first bundle that is kept, as the tiles below it tell."""
    return Edge.load(log.prefix(log.bundles.start * WIDTH), read=lambda _path: b"")


def _is_final(path: str, size: int) -> bool:
    """Whether a hash tile of this path is the one that a log of this size has in its place."""
    if not path.startswith("tile/") or path.startswith(f"tile/{ENTRIES}/"):
        return False
    tile = Tile.parse(path)
    return tile_at(tile.level, tile.index, size=size) == tile


def _repair_superseded(
    directory: LedgerDirectory, files: DurableFiles, log: StoredLog
) -> list[str]:
    """Narrower tiles of earlier sizes are the beginning of what has taken their place."""
    repaired = []
    for path in sorted(directory.tile_paths()):
        tile = Tile.parse(path)
        if tile.level == ENTRIES or not tile.partial or not is_within(tile, log.size):
            continue
        fuller = log.stored(tile_at(tile.level, tile.index, size=log.size))
        beginning = fuller[: tile.width * HASH_BYTES]
        if directory.read(path) != beginning:
            replace_atomically(files, path, beginning)
            repaired.append(path)
    return repaired


def _holds(files: DurableFiles, path: str, data: bytes) -> bool:
    try:
        return files.read(path) == data
    except FileNotFoundError:
        return False

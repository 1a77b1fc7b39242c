"""Deleting what a leaf of kind `retention.prune` says: the one place where entries are deleted.

What it deletes was ordered, recorded and published before; here is only the order of the steps that
makes it safe against any crash. Read `discard`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from civicbus_schemas.errors import Refused

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.durable import (
    DurableFiles,
    PosixFiles,
    parent,
    remove_directory,
    replace_atomically,
)
from civicbus_audit.minimum import MINIMUM, Minimum
from civicbus_audit.pruning import Pruning, find_pruning, open_log, widest_pruning
from civicbus_audit.quorum import Trust
from civicbus_audit.sealed import sealed_path
from civicbus_audit.stored import Progress
from civicbus_audit.tiles import ENTRIES, WIDTH, Tile
from civicbus_audit.verify import verify_ledger

LOCK = "minimum.lock"


def prune(
    ledger_dir: Path, *, trust: Trust, on_progress: Progress | None = None
) -> tuple[Pruning, int]:
    """Does what the leaf says that prunes most; that, and how many files it deleted.

    Sealing may run: it has the other end of the ledger. Nothing is deleted from a ledger that does
    not hold. Raises `Refused` where no published leaf prunes.
    """
    directory, files = LedgerDirectory(ledger_dir), PosixFiles(ledger_dir)
    files.lock(LOCK)
    try:
        checkpoint = verify_ledger(directory, trust, on_progress=on_progress)
        pruning = widest_pruning(open_log(directory.read, checkpoint.size))
        if pruning is None:
            raise Refused(
                "no published leaf says that anything is to be pruned",
                got=f"{checkpoint.size} leaves",
                next_step="two officials order it; the order is sealed within seconds",
            )
        return pruning, discard(files, pruning, size=checkpoint.size)
    finally:
        files.close()


def discard(files: DurableFiles, pruning: Pruning, *, size: int) -> int:
    """Deletes entries and sealed parts below a minimum; how many files.

    1. The minimum is durable, and never lower than before. 2. Sealed parts go, which say most, then
    entries. 3. Their absence is durable. After a crash behind 1 readers pass over what is left, and
    whoever calls again deletes it.
    """
    before = find_pruning(files.read, size)
    if before is not None and pruning.minimum < before.minimum:  # 1
        raise Refused("a minimum never goes down", got=pruning.minimum, expected=before.minimum)
    if before is None or before.leaf != pruning.leaf:
        told = Minimum(minimum=pruning.minimum, leaf=pruning.leaf)
        replace_atomically(files, MINIMUM, told.encode())
    deleted, touched = 0, set[str]()
    for path in _paths(pruning.minimum // WIDTH):  # 2
        if files.exists(path):
            files.remove(path)
            touched.add(parent(path))
            deleted += 1
        if files.exists(f"{path}.p"):
            deleted += len(files.names(f"{path}.p"))
            remove_directory(files, f"{path}.p")
            touched.add(parent(path))
    for above in sorted(touched):  # 3
        files.sync(above)
    return deleted


def _paths(bundles: int) -> Iterator[str]:
    for number in range(bundles):
        yield sealed_path(Tile(level=ENTRIES, index=number))
    for number in range(bundles):
        yield Tile(level=ENTRIES, index=number).path

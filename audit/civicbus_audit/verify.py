"""Verification, offline: a whole ledger, one proof, an older checkpoint.

Needs whom to believe (`quorum.Trust`: the log's key, or a policy that demands witnesses too) from
somewhere other than the ledger, and nothing else. What does not hold raises `EvidenceBroken` (or
`InvalidBytes`, when it is not even well-formed), naming what and where; returning means it holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.completeness.checking import check_commit
from civicbus_audit.completeness.commit import INDEX_COMMIT, Tally
from civicbus_audit.crew import ALONE, Crew
from civicbus_audit.merkle import (
    consistency_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from civicbus_audit.proof import parse_proof
from civicbus_audit.pruning import open_log
from civicbus_audit.quorum import Trust, open_trusted, without_witnesses
from civicbus_audit.recount import AT_ONCE, recount
from civicbus_audit.stored import CHECKPOINT, PENDING, Progress, StoredLog
from civicbus_audit.tiles import ENTRIES, WIDTH, Tile, is_within, tile_at

_PUBLISHING_S = 2.0


class Directory(Protocol):
    """Where the ledger's files are (`directory.LedgerDirectory`)."""

    def read(self, path: str) -> bytes:
        """The bytes at a path; raises `FileNotFoundError`."""
        ...

    def tile_paths(self) -> Iterable[str]:
        """The paths of all files below `tile/`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedLeaf:
    """A leaf that is in the log, and the checkpoint that says so."""

    leaf: bytes
    index: int
    checkpoint: Checkpoint


def published(directory: Directory, trust: Trust) -> tuple[Checkpoint, bytes]:
    """The ledger's checkpoint, its signatures checked, and the note that carries it."""
    try:
        note = directory.read(CHECKPOINT)
    except FileNotFoundError:
        raise EvidenceBroken("the checkpoint is missing") from None
    return open_trusted(note, trust), note


def published_log(directory: Directory, trust: Trust) -> StoredLog:
    """The log as far as its checkpoint vouches for it, from the first leaf that is kept on."""
    return open_log(directory.read, published(directory, trust)[0].size)


def signed_head(directory: Directory, trust: Trust) -> Checkpoint:
    """The newest checkpoint that the log has signed, be it published or waiting for witnesses.

    Raises `EvidenceBroken` if the leaves that wait do not lead to its root.
    """
    checkpoint, _ = published(directory, trust)
    try:
        pending = open_trusted(directory.read(PENDING), without_witnesses(trust))
    except FileNotFoundError:
        return checkpoint
    if pending.size <= checkpoint.size:
        return checkpoint
    if recount(StoredLog(directory.read, pending.size), since=checkpoint.size) != pending.root:
        raise EvidenceBroken(f"the entries do not lead to the pending root of size {pending.size}")
    return pending


def verify_ledger(
    directory: Directory,
    trust: Trust,
    *,
    on_progress: Progress | None = None,
    crew: Crew = ALONE,
) -> Checkpoint:
    """The checkpoint of a ledger in which everything holds; each leaf is told to have passed twice.

    1. The log signed the checkpoint, and so did the witnesses whom `trust` demands. 2. Every entry
    and every tile leads to its root. 3. Below `tile/` there is nothing that a log of this size may
    not have. 4. What smaller trees published there, and larger ones superseded, is the beginning of
    what took its place. 5. Every index commit is the one that the leaves before it make. Entries
    may be missing, and commits not be made again, only before what a leaf says was pruned.
    """
    checkpoint, _ = published(directory, trust)
    stored = open_log(directory.read, checkpoint.size)
    root = recount(stored, on_progress=on_progress, crew=crew)
    if root != checkpoint.root:
        raise EvidenceBroken(
            f"the entries do not lead to the signed root of size {checkpoint.size}",
            got=root.hex(),
            expected=checkpoint.root.hex(),
        )
    _check_extent(directory, trust)
    _check_superseded(directory, stored)
    _check_commits(stored, on_progress=on_progress, crew=crew)
    return checkpoint


def verify_proof(data: bytes, trust: Trust, *, leaf: bytes | None = None) -> ProvedLeaf:
    """The leaf that a `.tlog-proof` file proves; `leaf` where the file does not carry it."""
    proof = parse_proof(data)
    content = proof.extra if leaf is None else leaf
    if content is None:
        raise Refused("the proof does not carry its leaf", next_step="give the leaf beside it")
    checkpoint = open_trusted(proof.checkpoint, trust)
    verify_inclusion(
        proof.hashes,
        leaf=leaf_hash(content),
        index=proof.index,
        size=checkpoint.size,
        root=checkpoint.root,
    )
    return ProvedLeaf(leaf=content, index=proof.index, checkpoint=checkpoint)


def verify_prefix(directory: Directory, trust: Trust, *, older: bytes) -> Checkpoint:
    """The older checkpoint (a signed note), of which the ledger is a continuation.

    The log's signature suffices for it: whoever kept it is its witness.
    """
    newer, _ = published(directory, trust)
    old = open_trusted(older, without_witnesses(trust))
    if old.size > newer.size:
        raise EvidenceBroken(
            "the ledger is shorter than the older checkpoint",
            got=f"{newer.size} leaves",
            expected=f"at least {old.size}",
        )
    if old.size == 0:
        return old
    nodes = StoredLog(directory.read, newer.size).node
    verify_consistency(
        consistency_proof(old.size, newer.size, nodes),
        old_size=old.size,
        new_size=newer.size,
        old_root=old.root,
        new_root=newer.root,
    )
    return old


def _check_extent(directory: Directory, trust: Trust) -> None:
    """Tiles beyond the checkpoint mean that it was rolled back, or that sealing stands still.

    Only what the log has signed and witnesses have not cosigned yet may lie there (`pending`).
    """
    deadline = time.monotonic() + _PUBLISHING_S
    while beyond := _beyond(directory, signed_head(directory, trust).size):
        if time.monotonic() > deadline:
            raise EvidenceBroken(
                f"{beyond} lies beyond the checkpoint: it was rolled back, or sealing was cut off",
                next_step="let the sealing process finish, then verify again",
            )
        time.sleep(0.05)


def _beyond(directory: Directory, size: int) -> str | None:
    for path in directory.tile_paths():
        try:
            tile = Tile.parse(path)
        except InvalidBytes:
            raise EvidenceBroken(f"{path!a} does not belong into a ledger") from None
        if not is_within(tile, size):
            return path
    return None


def _check_commits(log: StoredLog, *, on_progress: Progress | None, crew: Crew) -> None:
    """Each commit by itself; the leaves behind the newest are under none yet."""
    found = crew.each(partial(_commits_in, log), log.bundles, at_once=AT_ONCE)
    commits = [at for places in found for at in places]
    # pieces that others do are told when they are done
    check = partial(_check_commit, log, on_progress if crew.alone else None)
    for end in crew.each(check, pairwise([log.first, *commits])):
        if on_progress:
            on_progress(log.size + end)
    if on_progress:
        on_progress(2 * log.size)


def _commits_in(log: StoredLog, bundle: int) -> list[int]:
    leaves = log.containing(INDEX_COMMIT.single_object_header, [bundle])
    return [at for at, leaf in leaves if INDEX_COMMIT.wrote(leaf) and at > log.first]


def _check_commit(log: StoredLog, on_progress: Progress | None, span: tuple[int, int]) -> int:
    """Checks the commit at the span's end, which covers the leaves before it; where that is."""
    first, end = span
    tally = Tally(first)
    for bundle in range(first // WIDTH, -(-end // WIDTH)):
        begun = bundle * WIDTH
        if on_progress:
            on_progress(log.size + begun)
        tally.extend(log.bundle(bundle)[max(0, first - begun) : end - begun])
    check_commit(log.leaf(end), tally)
    return end


def _check_superseded(directory: Directory, log: StoredLog) -> None:
    """Old proofs may still lead to superseded partial tiles, so these must tell the same.

    Sealing may go on meanwhile: it adds tiles of a larger log, and removes partial tiles once the
    full one is there.
    """
    for path in directory.tile_paths():
        tile = Tile.parse(path)
        if not tile.partial or not is_within(tile, log.size):
            continue
        if tile.level == ENTRIES and tile.index not in log.bundles:
            continue  # left by a crash of whoever pruned
        try:
            beginning = directory.read(path)
        except FileNotFoundError:
            continue
        fuller = tile_at(tile.level, tile.index, size=log.size)
        if not log.stored(fuller).startswith(beginning):
            raise EvidenceBroken(f"{path} is not the beginning of {fuller.path}")

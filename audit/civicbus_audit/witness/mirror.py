"""A full mirror: it holds every leaf before it cosigns, so that no leaf can be made to vanish.

It fetches what is new from the log, counts the root from what it has stored itself, makes every
index commit again, and lets the witness cosign only if all is as the log says. Its folder is a log
in C2SP's layout, which `civicbus-audit verify` reads. Unlike C2SP tlog-mirror it is not sent the
entries but fetches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from threading import Lock

from civicbus_schemas.errors import EvidenceBroken, Unavailable

from civicbus_audit.checkpoint import Checkpoint, open_checkpoint
from civicbus_audit.completeness.checking import CommitsChecked
from civicbus_audit.completeness.commit import Tally
from civicbus_audit.durable import DurableFiles, remove_directory, replace_atomically, store_all
from civicbus_audit.edge import Edge, superseded
from civicbus_audit.merkle import CompactRange, root_of_range
from civicbus_audit.note import Verifier
from civicbus_audit.pruning import open_log
from civicbus_audit.recount import recount
from civicbus_audit.sealed import encode_sealed
from civicbus_audit.stored import CHECKPOINT, Read, StoredLog
from civicbus_audit.tiles import WIDTH
from civicbus_audit.witness.rules import Submitted

LOCK = "lock"
_STEP = 64 * WIDTH  # leaves in memory at once


class Mirror:
    """The copy of one log. What is under its `checkpoint` is durable and was counted."""

    def __init__(self, files: DurableFiles, fetch: Read, *, log: Verifier) -> None:
        files.lock(LOCK)
        self._files, self._fetch = files, fetch
        self._copying = Lock()
        self._edge, self._commits = _load(files, log)
        self._open_range = self._commits.tally.first

    @property
    def size(self) -> int:
        """How many leaves are held."""
        return self._edge.size

    def copy(self, submitted: Submitted) -> None:
        """Return when all leaves under this checkpoint are held and lead to its root.

        1. Fetch what is new, make its index commits again, count its root in memory, and store it
        durably. 2. Count the root again from the stored bytes, by the second way. 3. Keep the
        checkpoint, which is the commit. Raises `EvidenceBroken` if a root or an index commit is
        another one, and `Unavailable` if the log cannot be read, or while another copy is under
        way.
        """
        if not self._copying.acquire(blocking=False):
            raise Unavailable("the mirror is copying", next_step="ask again when it is done")
        try:
            if submitted.checkpoint.size <= self._edge.size:
                self._check_held(submitted.checkpoint)
            else:
                self._grow(submitted)
        except OSError as error:
            raise Unavailable(
                "the mirror's files cannot be read or written", got=type(error).__name__
            ) from None
        finally:
            self._copying.release()

    def _check_held(self, checkpoint: Checkpoint) -> None:
        log = StoredLog(self._files.read, self._edge.size)
        _check_root(root_of_range(0, checkpoint.size, log.node), checkpoint)

    def _grow(self, submitted: Submitted) -> None:
        checkpoint, edge = submitted.checkpoint, self._edge
        old = edge.size
        commits = self._commits_until(old)
        for size, leaves in self._new(checkpoint.size):  # 1
            commits.see_all(leaves)
            edge, contents = edge.grown(leaves, [b""] * len(leaves))
            if size == checkpoint.size:
                _check_root(edge.peaks.root(), checkpoint)
            store_all(self._files, {p: d for p, d in contents.items() if p.startswith("tile/")})
            self._drop(superseded(size - len(leaves), size))
        stored = StoredLog(self._files.read, checkpoint.size)
        _check_root(recount(stored, since=old), checkpoint)  # 2
        replace_atomically(self._files, CHECKPOINT, submitted.note)  # 3
        self._edge, self._open_range = edge, commits.tally.first

    def _commits_until(self, size: int) -> CommitsChecked:
        """The commits checked so far; read anew where a copy was broken off after it had begun."""
        if self._commits.size != size:
            tally = Tally(self._open_range)
            for _, leaf in StoredLog(self._files.read, size).leaves(self._open_range):
                tally.add(leaf)
            self._commits = CommitsChecked(tally)
        return self._commits

    def _new(self, end: int) -> Iterator[tuple[int, list[bytes]]]:
        """Leaves that are not held yet, some bundles at a time, with the size that they lead to."""
        start = self._edge.size
        source = StoredLog(self._fetch, end)
        stops = range(start - start % _STEP + _STEP, end, _STEP)
        for first, last in pairwise([start, *stops, end]):
            leaves = list[bytes]()
            for _, leaf in source.leaves(first):
                leaves.append(leaf)
                if len(leaves) == last - first:
                    break
            yield last, leaves

    def _drop(self, directories: list[str]) -> None:
        for directory in directories:
            remove_directory(self._files, directory)


def _load(files: DurableFiles, log: Verifier) -> tuple[Edge, CommitsChecked]:
    """What is held; all of it counted anew, so that a copy that was changed is found."""
    commits = CommitsChecked()
    try:
        checkpoint = open_checkpoint(files.read(CHECKPOINT), log)
    except FileNotFoundError:
        return Edge(peaks=CompactRange()), commits
    stored = open_log(files.read, checkpoint.size)
    _check_root(recount(stored), checkpoint)
    commits = CommitsChecked.beginning(stored)
    for _, leaf in stored.leaves(commits.size):
        commits.see(leaf)
    no_sealed_parts = encode_sealed([b""] * (checkpoint.size % WIDTH))  # these are not mirrored
    return Edge.load(stored, read=lambda _path: no_sealed_parts), commits


def _check_root(root: bytes, checkpoint: Checkpoint) -> None:
    if root != checkpoint.root:
        raise EvidenceBroken(
            f"the mirrored leaves do not lead to the root of size {checkpoint.size}",
            got=root.hex(),
            expected=checkpoint.root.hex(),
        )

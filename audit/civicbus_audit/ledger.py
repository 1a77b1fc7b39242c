"""The ledger's store: appends leaves and publishes their checkpoint, safe against any crash.

It holds its directory under a lock; one ledger has one writer. See `append` for the order that
makes it safe, and README.md for what whoever can change the files can and cannot do. With a policy
of witnesses an append is committed and signed at once, and published when a quorum has cosigned.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from civicbus_schemas.errors import BusError, EvidenceBroken, Fenced, Refused, Stopped

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.durable import (
    DurableFiles,
    PosixFiles,
    make_parents,
    remove_directory,
    replace_atomically,
    store_all,
    sync_parents,
)
from civicbus_audit.edge import Edge, Files, changed_paths
from civicbus_audit.merkle import CompactRange
from civicbus_audit.note import Signature, Signer
from civicbus_audit.pruning import open_log
from civicbus_audit.publishing import Publishing
from civicbus_audit.quorum import Policy
from civicbus_audit.recount import recount
from civicbus_audit.sealed import QUARANTINE
from civicbus_audit.state import STATE, LedgerState
from civicbus_audit.stored import CHECKPOINT, PENDING, StoredLog

LOCK = "lock"
STAGES = "staging"


class Ledger:
    """An open ledger; made by `Ledger.open`, closed by `close` or as a context manager."""

    def __init__(self, files: DurableFiles, *, publishing: Publishing, state: LedgerState) -> None:
        self._files, self._publishing, self._state = files, publishing, state
        self._edge = Edge(peaks=CompactRange())
        self._usable = True

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        origin: str,
        signer: Signer,
        policy: Policy | None = None,
        files: DurableFiles | None = None,
    ) -> Ledger:
        """Takes the ledger over: finishes or drops what a crash left, then checks what is there.

        With a policy nothing is published but by `publish`. Raises `Fenced` if another process has
        it, `EvidenceBroken` if state, tiles and checkpoint contradict each other, `Stopped` if a
        part is missing or the disk fails.
        """
        files = files or PosixFiles(directory)
        files.lock(LOCK)
        try:
            publishing = Publishing(files, signer=signer, policy=policy)
            ledger = cls(files, publishing=publishing, state=_read_state(files, origin=origin))
            ledger._recover()
        except OSError as error:
            files.close()
            raise _disk_failed(error) from error
        except BusError:
            files.close()
            raise
        return ledger

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint: committed and signed; published, if no witnesses are asked."""
        return self._state.checkpoint

    @property
    def published(self) -> Checkpoint | None:
        """The published checkpoint; None while the policy's quorum has not cosigned it."""
        return self._publishing.published()

    @property
    def witnessed_s(self) -> int | None:
        """When a witness last cosigned what `checkpoint` tells (POSIX seconds); None if nobody."""
        return self._publishing.witnessed_s()

    @property
    def pending(self) -> bytes:
        """The newest checkpoint as a note that the log alone has signed."""
        return self._publishing.pending()

    @property
    def position(self) -> int:
        """The next offset of the source to seal."""
        return self._state.position

    @property
    def memory(self) -> Mapping[str, Any]:
        """What the last append was told to remember."""
        return self._state.memory

    def log(self) -> StoredLog:
        """The leaves and hashes as they are stored, from the first leaf that is kept on."""
        return open_log(self._files.read, self._state.size)

    def append(
        self,
        leaves: Sequence[bytes],
        sealed: Sequence[bytes],
        *,
        position: int,
        memory: Mapping[str, Any] | None = None,
        quarantine: Mapping[str, bytes] | None = None,
    ) -> Checkpoint:
        """Adds the leaves that came from the source before `position`; all of them or none.

        1. Compute root and files in memory. 2. Stage the files under a fresh name and sync them.
        3. Read them back and recount the root by the second way; both must agree. 4. Replace the
        state, which commits size, root, position and stage at once. 5. Move the files into their
        places and sync. 6. Sign the checkpoint; with no policy of witnesses, that publishes it.
        7. Drop what is superseded and not published.

        A crash before 4 leaves nothing but a stage to drop; after 4, `open` finishes 5 to 7.
        An error leaves the ledger unusable: it is to be opened again, which finds out what held.
        """
        if not self._usable:
            raise Stopped("the ledger failed before", next_step="open it again")
        if position < self._state.position:
            raise Refused("the source went back", got=position, expected=self._state.position)
        self._usable = False
        try:
            # 1
            edge, files = self._edge.grown(leaves, sealed)
            files |= {f"{QUARANTINE}/{name}": data for name, data in (quarantine or {}).items()}
            state = replace(
                self._state,
                size=edge.size,
                root=edge.peaks.root(),
                position=position,
                since=self._state.size,
                stage=secrets.token_hex(8) if files else None,
                memory=self._state.memory if memory is None else memory,
            )
            if state.stage:
                self._stage(state.stage, files)  # 2
                self._recount(state, files)  # 3
            self._commit(state)  # 4
            if state.stage:
                self._place()  # 5
            self._sign()  # 6
            self._drop_superseded()  # 7
        except OSError as error:
            raise _disk_failed(error) from error
        self._edge, self._usable = edge, True
        return self.checkpoint

    def publish(self, cosignatures: Iterable[Signature]) -> Checkpoint:
        """Publishes the newest checkpoint with these cosignatures of it.

        Raises `EvidenceBroken` if they do not satisfy the policy; the published one stays then.
        """
        if not self._usable:
            raise Stopped("the ledger failed before", next_step="open it again")
        try:
            return self._publishing.publish(cosignatures)
        except OSError as error:
            self._usable = False
            raise _disk_failed(error) from error

    def close(self) -> None:
        """Lets go of the lock."""
        self._usable = False
        self._files.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _stage(self, stage: str, contents: Files) -> None:
        store_all(self._files, {_staged(stage, path): data for path, data in contents.items()})

    def _recount(self, state: LedgerState, contents: Files) -> None:
        """Reads staged files from the stage and the others from their places."""
        stage = state.stage or ""

        def read(path: str) -> bytes:
            return self._files.read(_staged(stage, path) if path in contents else path)

        root = recount(StoredLog(read, state.size), since=state.since)
        if root != state.root:
            raise EvidenceBroken(
                f"the two ways to the root of size {state.size} disagree; nothing was signed",
                got=root.hex(),
                expected=state.root.hex(),
                next_step="check memory and disk of this machine",
            )

    def _commit(self, state: LedgerState) -> None:
        """Swaps the state, if it is still the one this writer knows."""
        if self._files.read(STATE) != self._state.encode():
            raise Fenced("another process has written this ledger's state")
        replace_atomically(self._files, STATE, state.encode())
        self._state = state

    def _place(self) -> None:
        """Step 5; harmless when it was done before."""
        files, stage = self._files, f"{STAGES}/{self._state.stage}"
        places = {f"{stage}/{name}": name.replace(",", "/") for name in files.names(stage)}
        make_parents(files, places.values())
        for staged, place in places.items():
            files.rename(staged, place)
        # Also what a crashed predecessor had moved and not yet synced.
        changed = changed_paths(self._state.since, self._state.size)
        for path in changed:
            if not files.exists(path):
                raise EvidenceBroken(f"{path} is missing after a crash")
        sync_parents(files, [*places.values(), *changed])

    def _sign(self) -> None:
        """Step 6; harmless when it was done before."""
        state = self._state
        nodes = StoredLog(self._files.read, state.size).node
        self._publishing.sign(state.checkpoint, nodes, first=state.since == 0)

    def _drop_superseded(self) -> None:
        """Step 7."""
        self._publishing.drop_superseded(self._state.since, self._state.size)
        for stage in self._files.names(STAGES):
            remove_directory(self._files, f"{STAGES}/{stage}")

    def _recover(self) -> None:
        """Finishes the last append where a crash left it; signs only after a recount."""
        state = self._state
        if state.stage:
            self._place()
        log = self.log()
        if recount(log, since=state.size) != state.root:
            raise EvidenceBroken(
                f"the stored leaves do not lead to the root of size {state.size}",
                next_step="verify the ledger, and restore it from a copy",
            )
        self._sign()
        self._drop_superseded()
        self._edge = Edge.load(log, read=self._files.read)


def _read_state(files: DurableFiles, *, origin: str) -> LedgerState:
    """The ledger's state; of a new ledger, an empty one that is made durable here."""
    try:
        state = LedgerState.decode(files.read(STATE))
    except FileNotFoundError:
        if {CHECKPOINT, PENDING, "tile"} & set(files.names(".")):
            raise Stopped(
                f"{STATE} is missing beside a ledger",
                next_step="run `civicbus-audit rebuild-state`",
            ) from None
        state = LedgerState(origin=origin, memory={})
        replace_atomically(files, STATE, state.encode())
    if state.origin != origin:
        raise Refused("this is another ledger", got=ascii(state.origin), expected=ascii(origin))
    return state


def _staged(stage: str, path: str) -> str:
    return f"{STAGES}/{stage}/{path.replace('/', ',')}"


def _disk_failed(error: OSError) -> Stopped:
    code = errno.errorcode.get(error.errno or 0, "an error without a number")
    return Stopped(
        "the ledger's files cannot be read or written",
        got=code,
        next_step="look at the disk's space and health, then start again",
    )

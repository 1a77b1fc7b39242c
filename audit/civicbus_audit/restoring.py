"""The state file of a ledger, made anew from the ledger itself after it was lost."""

from __future__ import annotations

from pathlib import Path

from civicbus_schemas.errors import Refused

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.durable import PosixFiles, replace_atomically
from civicbus_audit.ledger import LOCK
from civicbus_audit.quorum import Trust
from civicbus_audit.recount import Progress
from civicbus_audit.sequencing import Chains
from civicbus_audit.state import STATE, LedgerState
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import verify_ledger


def rebuild_state(
    ledger_dir: Path, *, trust: Trust, position: int = 0, on_progress: Progress | None = None
) -> LedgerState:
    """Verifies the whole ledger, then writes the state that it and the source position make.

    With position 0 the page topic is read again from its beginning, and what was sealed is dropped
    as repeated; a later position is for a topic that no longer begins at 0, and must not lie behind
    a page that was never sealed.
    """
    directory, files = LedgerDirectory(ledger_dir), PosixFiles(ledger_dir)
    files.lock(LOCK)
    try:
        if files.exists(STATE):
            raise Refused(
                f"{ledger_dir} has its {STATE}", next_step="use it; this is for a lost one"
            )
        checkpoint = verify_ledger(directory, trust, on_progress=on_progress)
        leaves = StoredLog(directory.read, checkpoint.size).leaves()
        state = LedgerState(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=checkpoint.root,
            position=position,
            since=checkpoint.size,
            memory=Chains.of_leaves(leaf for _, leaf in leaves).to_json(),
        )
        replace_atomically(files, STATE, state.encode())
    finally:
        files.close()
    return state

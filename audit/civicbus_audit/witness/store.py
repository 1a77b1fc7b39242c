"""What a witness holds, in SQLite: one row for each log, durable before anything is answered.

Whoever can change this file can make the witness forget what it saw, and so cosign a second
history; that is why witnesses are several, and in other hands than the log.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from civicbus_schemas.errors import EvidenceBroken, Unavailable

from civicbus_audit.checkpoint import parse_checkpoint
from civicbus_audit.note import parse_note
from civicbus_audit.witness.rules import Held, Refusal

_BUSY_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS held (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    note BLOB NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What is held from now on, and the cosigned note that says so."""

    held: Held
    note: bytes


Judge = Callable[[Held], Accepted | Refusal]
"""The decision on one checkpoint, given what is held of its log."""


class WitnessStore:
    """One row per origin; every decision and its keeping are one transaction."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        with _sqlite_errors_translated(file):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            file.chmod(0o600)
            # A commit is on the disk when it returns, and so is the removal of its journal: with
            # FULL alone a power cut could bring the journal back and undo what was answered.
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("PRAGMA synchronous = EXTRA")
            self._connection.execute(_SCHEMA)
        self._file = file

    def decide(self, origin: str, judge: Judge) -> Accepted | Refusal:
        """What `judge` says of what is held; if it accepts, that is on the disk on return.

        Exactly one of two racing decisions sees what the other left, also in two processes.
        """
        with self._transaction() as connection:
            verdict = judge(_held(connection, origin))
            if isinstance(verdict, Accepted):
                connection.execute(
                    "INSERT OR REPLACE INTO held (origin, size, root, note) VALUES (?, ?, ?, ?)",
                    (origin, verdict.held.size, verdict.held.root, verdict.note),
                )
        return verdict

    def held(self, origin: str) -> Held:
        """What is held of a log; raises `EvidenceBroken` if the store contradicts itself."""
        with self._transaction() as connection:
            return _held(connection, origin)

    def find_note(self, origin: str) -> bytes | None:
        """The checkpoint of a log that was cosigned last, with the cosignature."""
        with self._transaction() as connection:
            _held(connection, origin)
            row = connection.execute("SELECT note FROM held WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # leaving the connection commits, or rolls back what an error left
        with self._lock, _sqlite_errors_translated(self._file), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection


def _held(connection: sqlite3.Connection, origin: str) -> Held:
    """Raises `EvidenceBroken` where size and root are not those of the note beside them."""
    wanted = "SELECT size, root, note FROM held WHERE origin = ?"
    row = connection.execute(wanted, (origin,)).fetchone()
    if row is None:
        return Held()
    held = Held(size=row[0], root=bytes(row[1]))
    told = parse_checkpoint(parse_note(bytes(row[2])).unverified_text)
    if (told.size, told.root, told.origin) != (held.size, held.root, origin):
        raise EvidenceBroken(
            "the witness's store contradicts itself: somebody has edited it",
            next_step="cosign nothing; restore it, or begin with a new key",
        )
    return held


@contextmanager
def _sqlite_errors_translated(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(
            f"the witness's store {file} cannot be used",
            got=type(error).__name__,
            next_step="look at the disk's space and health",
        ) from None

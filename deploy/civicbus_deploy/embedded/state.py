"""The state folder H: where everything lies, and how a file in it is written.

A file is written aside, flushed to disk and renamed, so that a crash leaves the old or the new one.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civicbus_deploy.embedded.failures import StateUnreadable

DEFAULT_HOME = ".civicbus"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The layout of one state folder; makes its folders, knows nothing of their contents."""

    home: Path

    @classmethod
    def at(cls, home: Path | None = None) -> StateFolder:
        """The folder given, or `$CIVICBUS_HOME`, or `.civicbus` here; absolute, not yet made."""
        chosen = home or Path(os.environ.get("CIVICBUS_HOME") or DEFAULT_HOME)
        return cls(chosen.expanduser().resolve())

    def make(self) -> None:
        """Make the folders. H itself is only passed through by others; what it holds is closed."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(self.expected_mode)
        for folder in self.closed_folders:
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def closed_folders(self) -> tuple[Path, ...]:
        """The folders that nobody but the owner may enter."""
        return (
            self.secrets,
            self.agencies,
            self.processes,
            self.keys,
            self.ledger,
            self.witnesses,
            self.logs,
            self.run,
        )

    @property
    def expected_mode(self) -> int:
        """As root PostgreSQL's user must pass through H (not list it); else nobody else may."""
        return 0o711 if os.geteuid() == 0 else 0o700

    @property
    def exists(self) -> bool:
        """Whether `up` has ever chosen ports here."""
        return self.stack_file.exists()

    @property
    def stack_file(self) -> Path:
        """Ports and versions, no secrets."""
        return self.home / "stack.json"

    @property
    def secrets(self) -> Path:
        """One file per secret, mode 0600."""
        return self.home / "secrets"

    @property
    def agencies(self) -> Path:
        """One connection file per agency."""
        return self.home / "agencies"

    @property
    def processes(self) -> Path:
        """One settings file per own process."""
        return self.home / "processes"

    @property
    def keys(self) -> Path:
        """Public keys: of recorders, of agencies, of the ledger."""
        return self.home / "keys"

    @property
    def ledger(self) -> Path:
        """The ledger's tiles."""
        return self.home / "ledger"

    @property
    def witnesses(self) -> Path:
        """A folder for each witness, with its key and what it holds."""
        return self.home / "witnesses"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """What is true only while something runs: lock, supervisor, status."""
        return self.home / "run"

    @property
    def status_file(self) -> Path:
        """What the supervisor last saw."""
        return self.run / "status.json"

    @property
    def plan_file(self) -> Path:
        """Which own processes the supervisor is to keep alive."""
        return self.run / "plan.json"

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.logs / f"{name}.log"


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data` atomically and durably."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # it is there still where something failed


def write_json(path: Path, document: object, *, mode: int = 0o600) -> None:
    """Replace `path` by a readable JSON document."""
    write_file(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), mode=mode)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; an absent file is an empty object, a damaged one an error."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StateUnreadable(
            f"{path} cannot be read",
            got="text that is not JSON",
            expected="a JSON object written by civicbus",
            next_step=f"stop the stack, restore or remove {path.name}, then civicbus up",
        ) from error
    if not isinstance(document, dict):
        raise StateUnreadable(f"{path} cannot be read", got="no object", expected="a JSON object")
    return document

"""Where past decisions and the policy sets of then come from: ledger, vault, announcements."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from civicbus_audit.places import Places
from civicbus_audit.stored import StoredLog
from civicbus_audit.vault.store import PostgresVault
from civicbus_consumers.explain.rules import Law, compile_law
from civicbus_schemas.announcement import read_announced
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.policy import PolicySet, parse_policy_set

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.nation import load_nation


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One state folder's ledger, as far as its checkpoint is signed, and its vault."""

    log: StoredLog
    vault: PostgresVault
    law_of: Callable[[PolicyVersion], Law | None]

    @classmethod
    def open(cls, home: Path | None, *, sets: Path | None) -> Archive:
        """The archive of a state folder; policy sets come from a folder, else from the bus."""
        folder = StateFolder.at(home)
        found = announced_sets(folder) if sets is None else stored_sets(sets)
        return cls(
            log=open_ledger(folder),
            vault=Places.under(folder.home).vault(),
            law_of=library(found),
        )


def open_ledger(folder: StateFolder) -> StoredLog:
    """The ledger up to its signed checkpoint."""
    return Places.under(folder.home).log()


def announced_sets(folder: StateFolder) -> Mapping[PolicyVersion, bytes]:
    """Every set that was ever announced on the running bus."""
    return _by_version(map(read_announced, Site.open(folder.home).policies.read_all()))


def stored_sets(folder: Path) -> Mapping[PolicyVersion, bytes]:
    """The sets in a folder's `.json` files, each in the bytes that its version is the hash of."""
    return _by_version(path.read_bytes() for path in sorted(folder.glob("*.json")))


def _by_version(sets: Iterable[bytes]) -> Mapping[PolicyVersion, bytes]:
    return {PolicyVersion(hashlib.sha256(data).hexdigest()): data for data in sets}


def library(sets: Mapping[PolicyVersion, bytes]) -> Callable[[PolicyVersion], Law | None]:
    """Finds a law by its version; each set is compiled once, when it is first asked for."""
    compiled: dict[PolicyVersion, Law | None] = {}

    def law_of(version: PolicyVersion) -> Law | None:
        if version not in compiled:
            data = sets.get(version)
            compiled[version] = None if data is None else compile_law(parse_policy_set(data))
        return compiled[version]

    return law_of


def read_set(chosen: str) -> PolicySet:
    """The policy set in a file of its bytes, or in a nation's folder (all of it approved)."""
    path = Path(chosen)
    if path.is_file():
        try:
            return parse_policy_set(path.read_bytes())
        except OSError as error:
            raise Refused(f"{path} cannot be read", got=type(error).__name__) from None
    return load_nation(chosen).policy


def days_ago(days: int | None) -> datetime | None:
    """So many days before now; None stays None."""
    return None if days is None else datetime.now(UTC) - timedelta(days=days)

"""Where the command finds ledger, keys and database: one state folder, or each by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from civicbus_schemas.errors import Refused
from civicbus_schemas.subject import VaultKey

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.note import Verifier
from civicbus_audit.policy import parse_policy
from civicbus_audit.quorum import Trust
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published_log

if TYPE_CHECKING:
    from civicbus_audit.vault.store import PostgresVault

POLICY = "keys/audit-policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The files of a state folder (`--home`), each of which an option may replace."""

    ledger_dir: Path
    vkey_file: Path
    policy_file: Path | None
    dsn_file: Path
    vault_key_file: Path
    vault_dsn_file: Path

    @classmethod
    def under(
        cls,
        home: Path,
        *,
        ledger_dir: Path | None = None,
        vkey_file: Path | None = None,
        policy_file: Path | None = None,
        dsn_file: Path | None = None,
    ) -> Places:
        """The places of a state folder, with these exceptions.

        A policy that is named must be there. The folder's own counts where it is there, unless a
        verifier key was named instead.
        """
        if policy_file is None and vkey_file is None and (home / POLICY).exists():
            policy_file = home / POLICY
        return cls(
            ledger_dir=ledger_dir or home / "ledger",
            vkey_file=vkey_file or home / "keys" / "ledger.vkey",
            policy_file=policy_file,
            dsn_file=dsn_file or home / "secrets" / "postgres-indexing-dsn",
            vault_key_file=home / "secrets" / "vault-key",
            vault_dsn_file=home / "secrets" / "vault-reader-dsn",
        )

    def with_vault(self, key_file: Path | None, dsn_file: Path | None) -> Places:
        """These places with another vault."""
        return replace(
            self,
            vault_key_file=key_file or self.vault_key_file,
            vault_dsn_file=dsn_file or self.vault_dsn_file,
        )

    def directory(self) -> LedgerDirectory:
        """The ledger; raises `Unavailable` if there is none."""
        return LedgerDirectory(self.ledger_dir)

    def log(self) -> StoredLog:
        """The ledger as far as its checkpoint vouches for it, from the first leaf that is kept."""
        return published_log(self.directory(), self.trust())

    def trust(self) -> Trust:
        """Whom to believe: the policy's log and witnesses, or else the log's key alone."""
        if self.policy_file is None:
            return self.verifier()
        data = _read(self.policy_file, what="the policy of witnesses", option="--policy")
        try:
            return parse_policy(data)
        except Refused as error:
            raise Refused(f"{self.policy_file}: {error}") from None

    def verifier(self) -> Verifier:
        """The log's public key, which must not come from the ledger's own folder."""
        text = _read_text(self.vkey_file, what="the log's verifier key", option="--vkey")
        try:
            return Verifier.parse(text)
        except Refused as error:
            raise Refused(f"{self.vkey_file}: {error}") from None

    def vault(self) -> PostgresVault:
        """The vault of names and sealing keys, to be closed; needs the extra `ledger`."""
        from civicbus_audit.vault.store import PostgresVault

        text = _read_text(self.vault_key_file, what="the vault's key", option="--vault-key")
        dsn = _read_text(self.vault_dsn_file, what="the vault's address", option="--vault-dsn-file")
        try:
            key = VaultKey(bytes.fromhex(text))
        except (ValueError, Refused):
            expected = "64 hex characters"
            raise Refused(f"{self.vault_key_file} holds no key", expected=expected) from None
        return PostgresVault(dsn, key)


def _read_text(path: Path, *, what: str, option: str) -> str:
    return _read(path, what=what, option=option).decode("utf-8", "replace").strip()


def _read(path: Path, *, what: str, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(
            f"{what} cannot be read from {path}",
            got=type(error).__name__,
            next_step=f"name its file with {option}, or the state folder with --home",
        ) from None

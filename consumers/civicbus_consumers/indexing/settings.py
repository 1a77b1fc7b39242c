"""The settings of the indexing process, which has no login at the broker and no key."""

from __future__ import annotations

from pathlib import Path

from civicbus_audit.places import Places

from civicbus_consumers.runtime.settings import OwnSettings


class IndexingSettings(OwnSettings):
    """Which ledger is indexed where, and whom to believe: the policy's quorum, or the log's key."""

    ledger_dir: Path
    ledger_vkey_file: Path
    witness_policy_file: Path | None = None
    postgres_dsn_file: Path

    @property
    def places(self) -> Places:
        """As the ledger's readers know them."""
        return Places.under(
            self.ledger_dir.parent,
            ledger_dir=self.ledger_dir,
            vkey_file=self.ledger_vkey_file,
            policy_file=self.witness_policy_file,
            dsn_file=self.postgres_dsn_file,
        )

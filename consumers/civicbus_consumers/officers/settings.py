"""The settings of the officers' process."""

from __future__ import annotations

from pathlib import Path

from civicbus_consumers.recording.settings import AnsweringSettings


class OfficersSettings(AnsweringSettings):
    """Where it listens, whose tokens count, index and ledger, and the keys of its records.

    At `unread_url` answers who may read delivery topics, to the holder of `unread_token_file`.
    Bundles are signed with `export_key_file` and made in `exports_dir`, which is this process's own
    and empty but for the one that is being made.
    """

    postgres_dsn_file: Path
    ledger_dir: Path
    ledger_vkey_file: Path
    witness_policy_file: Path | None = None
    issuers_file: Path
    unread_url: str
    unread_token_file: Path
    policy_sets_dir: Path
    export_key_file: Path
    exports_dir: Path
    export_max_records: int = 100_000
    export_alone_max: int = 1_000
    export_s: int = 600
    reading_s: int = 5
    max_connections: int = 128

"""The settings of one enforcement process."""

from __future__ import annotations

from pathlib import Path

from civicbus_schemas.topics import GROUPS, PARTITIONS

from civicbus_consumers.runtime.settings import ProcessSettings


class EnforcementSettings(ProcessSettings):
    """Group k of G, the keys of its pseudonyms, seal and signature, and the size of a batch.

    `uses_dsn_file`: where uses of consents are counted; connected to when one is.
    """

    group: int
    groups: int = GROUPS
    partitions: int = PARTITIONS
    topic_key_file: Path
    ledger_key_file: Path
    pairwise_keys_file: Path
    seal_key_file: Path
    signing_key_file: Path
    uses_dsn_file: Path
    policy_keys_file: Path
    batch_events: int = 1000
    batch_wait_s: float = 0.1
    transaction_timeout_s: float = 15.0

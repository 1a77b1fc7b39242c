"""The settings of one enforcement process."""

from __future__ import annotations

from pathlib import Path

from civicbus_schemas.topics import GROUPS, PARTITIONS

from civicbus_consumers.recording.settings import RecordingSettings


class EnforcementSettings(RecordingSettings):
    """Group k of G, the keys of pseudonyms, whom the bus trusts, and the size of a batch.

    `uses_dsn_file`: where uses of consents are counted; connected to when one is.
    """

    group: int
    groups: int = GROUPS
    partitions: int = PARTITIONS
    topic_key_file: Path
    pairwise_keys_file: Path
    uses_dsn_file: Path
    policy_keys_file: Path
    batch_events: int = 1000
    batch_wait_s: float = 0.1
    transaction_timeout_s: float = 15.0

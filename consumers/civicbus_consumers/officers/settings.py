"""The settings of the officers' process."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from civicbus_producers.settings import require_private_path
from pydantic import model_validator

from civicbus_consumers.recording.settings import RecordingSettings


class OfficersSettings(RecordingSettings):
    """Where it listens, whose tokens count, index and ledger, and the keys of its records.

    It speaks plain HTTP and so listens on loopback only; TLS ends in front of it.
    """

    host: str
    port: int
    postgres_dsn_file: Path
    ledger_dir: Path
    ledger_vkey_file: Path
    witness_policy_file: Path | None = None
    issuers_file: Path
    policy_sets_dir: Path
    body_timeout_s: float = 3.0
    reading_s: int = 5
    max_connections: int = 128

    @model_validator(mode="after")
    def _no_answers_in_the_clear(self) -> Self:
        require_private_path(f"{self.host}:{self.port}", security_protocol="PLAINTEXT")
        return self

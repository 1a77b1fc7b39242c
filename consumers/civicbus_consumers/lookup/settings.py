"""The settings of the look-ups' process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from civicbus_producers.settings import InvalidSettings, require_private_path
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, agency_id
from pydantic import model_validator

from civicbus_consumers.recording.settings import RecordingSettings


class LookupSettings(RecordingSettings):
    """Where it listens, the agencies' public keys, and its time limits.

    It speaks plain HTTP and so listens on loopback only; TLS ends in front of it.
    The consent registry, which lives in this process, publishes as the agency of
    `consent_agency_file` and seals with `consent_key_file`.
    """

    host: str
    port: int
    postgres_dsn_file: Path
    consent_dsn_file: Path
    consent_key_file: Path
    consent_agency_file: Path
    agency_keys_file: Path
    topic_key_file: Path
    policy_keys_file: Path
    answer_timeout_s: float = 4.0
    body_timeout_s: float = 3.0
    max_connections: int = 512

    @model_validator(mode="after")
    def _no_answers_in_the_clear(self) -> Self:
        require_private_path(f"{self.host}:{self.port}", security_protocol="PLAINTEXT")
        return self


def read_agency_keys(path: Path) -> Mapping[AgencyId, bytes]:
    """The agencies' raw Ed25519 public keys: a JSON object of ids and 64 hex characters."""
    try:
        document = json.loads(path.read_bytes())
        keys = {agency_id(name): bytes.fromhex(key) for name, key in document.items()}
    except (OSError, ValueError, TypeError, AttributeError, InvalidIdentifier) as error:
        raise InvalidSettings(
            "the agencies' keys cannot be read", got=f"{path}: {type(error).__name__}"
        ) from None
    if not keys or any(len(key) != 32 for key in keys.values()):
        raise InvalidSettings(
            f"malformed keys in {path}", expected="an Ed25519 public key in hex for each agency"
        )
    return keys

"""The settings of the look-ups' process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, agency_id

from civicbus_consumers.recording.settings import AnsweringSettings


class LookupSettings(AnsweringSettings):
    """Where it listens, the agencies' public keys, and its time limits.

    The consent registry, which lives in this process, publishes as the agency of
    `consent_agency_file` and seals with `consent_key_file`.
    """

    postgres_dsn_file: Path
    consent_dsn_file: Path
    consent_key_file: Path
    consent_agency_file: Path
    agency_keys_file: Path
    topic_key_file: Path
    policy_keys_file: Path
    answer_timeout_s: float = 4.0
    max_connections: int = 512


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

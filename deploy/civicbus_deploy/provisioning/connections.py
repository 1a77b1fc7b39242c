"""The agencies' connection files: where the bus is, and by path the secrets of each agency.

An agency's folder is its own in life; here all lie in one state folder, mode 0600.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from civicbus_schemas.policy import Agency
from civicbus_schemas.topics import delivery_topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the servers listen."""

    bootstrap: str
    registry_url: str
    lookup_url: str
    security_protocol: str = "SASL_PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyFile:
    """What stands in `H/agencies/<agency>.json`; paths start at that file's folder."""

    agency: str
    bootstrap: str
    security_protocol: str
    sasl_mechanism: str
    username: str
    password_file: str
    registry_url: str
    topic_key_file: str | None
    lookup_url: str
    token_key_file: str
    families_published: tuple[str, ...]
    delivery_topics: tuple[str, ...]
    group_prefix: str

    def to_json(self) -> bytes:
        """The file's bytes."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"


def agency_file(agency: Agency, addresses: Addresses, *, secrets: Path) -> AgencyFile:
    """The connection of one agency; only publishers get the key of topic pseudonyms."""
    return AgencyFile(
        agency=agency.id,
        bootstrap=addresses.bootstrap,
        security_protocol=addresses.security_protocol,
        sasl_mechanism=addresses.sasl_mechanism,
        username=agency.id,
        password_file=str(secrets / f"kafka-{agency.id}"),
        registry_url=addresses.registry_url,
        topic_key_file=str(secrets / "topic-key") if agency.publishes else None,
        lookup_url=addresses.lookup_url,
        token_key_file=str(secrets / f"token-{agency.id}.pem"),
        families_published=agency.publishes,
        delivery_topics=tuple(delivery_topic(agency.id, family) for family in agency.receives),
        group_prefix=f"{agency.id}.",
    )

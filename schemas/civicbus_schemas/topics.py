"""Names of topics and groups. Partition counts are fixed for the life of `v1`."""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, agency_id, family_id

PARTITIONS = 12
GROUPS = 2

AUDIT_PAGE = "audit.page.v1"
STATE_CONSENT = "state.consent.v1"
STATE_POLICY = "state.policy.v1"

MAX_EVENT_BYTES = 256 * 1024
MAX_PAGE_BYTES = 4 * 1024 * 1024
MAX_RECORD_BYTES = 65_535

CONSENT_FAMILY = "consent"


@dataclass(frozen=True, slots=True, order=True)
class SourceTopic:
    """Where one agency publishes one family: `src.<agency>.<family>.v1`."""

    agency: AgencyId
    family: str

    @property
    def name(self) -> str:
        """The topic's name on the broker."""
        return f"src.{self.agency}.{self.family}.v1"

    @property
    def dead_letters(self) -> str:
        """Where its undecodable messages go."""
        return f"{self.name}.dlq"

    @classmethod
    def parse(cls, name: str) -> SourceTopic:
        """The source topic of that name; raises `InvalidIdentifier`."""
        parts = name.split(".")
        if len(parts) != 4 or parts[0] != "src" or parts[3] != "v1":
            raise InvalidIdentifier(
                "not a source topic", got=ascii(name[:64]), expected="src.<agency>.<family>.v1"
            )
        return cls(agency_id(parts[1]), family_id(parts[2]))


def delivery_topic(recipient: AgencyId, family: str) -> str:
    """Where one recipient's deliveries of one family lie: `dlv.<agency>.<family>.v1`."""
    return f"dlv.{recipient}.{family}.v1"


SEALING = "sealing"
"""`group.id` of the sealing process; its position on `AUDIT_PAGE` says what is in the ledger."""

FLAGS = "flags"
"""`group.id` of the flags process, which reads `AUDIT_PAGE` too."""


UNREAD = "unread"
"""`group.id` of the process that looks at what lies unread; it commits nothing."""


def enforcement_group(group: int) -> str:
    """`transactional.id` and `group.id` of enforcement group k (p mod G = k)."""
    return f"enforce-{group}"


def consent_group(group: int) -> str:
    """`transactional.id` and `group.id` of consent group k."""
    return f"consent-{group}"


def partitions_of(group: int, *, groups: int = GROUPS, partitions: int = PARTITIONS) -> list[int]:
    """The partition numbers that group k holds: all p with p mod G = k."""
    return list(range(group, partitions, groups))

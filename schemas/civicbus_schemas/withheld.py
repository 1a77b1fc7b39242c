"""Notices: a recipient is told that something was withheld from it, why, and nothing more.

A notice travels as a delivery does: on the recipient's topic, under its own pseudonym of the
person, naming agreement and record. Its event type is `<family>.Withheld`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from civicbus_schemas.codec import AvroType
from civicbus_schemas.contract import RESERVED_NAME
from civicbus_schemas.errors import InvalidBytes, InvalidIdentifier
from civicbus_schemas.ids import EventType, event_type
from civicbus_schemas.shapes import struct

WITHHELD = AvroType(
    struct(RESERVED_NAME, namespace="civicbus.delivery", event_type="string", reason="string")
)


class WithheldReason(StrEnum):
    """Why, as coarsely as a recipient needs: whether it may go on with what it holds."""

    CONSENT_CHANGED = "consent-changed"
    AGREEMENT_SUSPENDED = "agreement-suspended"
    AGREEMENT_ENDED = "agreement-ended"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a notice holds: the type of the event that was withheld, and why."""

    event_type: EventType
    reason: WithheldReason

    def encode(self) -> bytes:
        """The notice's Avro body."""
        return WITHHELD.encode({"event_type": self.event_type, "reason": self.reason.value})

    @classmethod
    def decode(cls, body: bytes) -> Notice:
        """The notice of an Avro body; raises `InvalidBytes`."""
        datum = WITHHELD.decode(body)
        try:
            reason = WithheldReason(datum["reason"])
            return cls(event_type=event_type(datum["event_type"]), reason=reason)
        except (ValueError, InvalidIdentifier):
            raise InvalidBytes("a notice says a word that this version does not know") from None


def notice_type(family: str) -> EventType:
    """The event type of the notices of a family."""
    return EventType(f"{family}.{RESERVED_NAME}")


def is_notice(type_: EventType) -> bool:
    """Whether messages of this type are notices."""
    return type_.partition(".")[2] == RESERVED_NAME

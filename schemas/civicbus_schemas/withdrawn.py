"""Notices that a consent was withdrawn: they hold no data and name nobody.

Such a notice is headers alone, without key and value: the state of consents does not tell whose
they are. Deliveries name the consent that they rest on, so the recipient knows whom it concerns.
Its event type is `<family>.Withdrawn`, its ground is that of the deliveries which end with it.
"""

from __future__ import annotations

from civicbus_schemas.contract import WITHDRAWN_NAME
from civicbus_schemas.ids import EventType

SOURCE = "/bus"


def withdrawn_type(family: str) -> EventType:
    """The event type of these notices in a family."""
    return EventType(f"{family}.{WITHDRAWN_NAME}")


def is_withdrawn(type_: EventType) -> bool:
    """Whether messages of this type are such notices."""
    return type_.partition(".")[2] == WITHDRAWN_NAME

"""Fakes of what tells which deliveries lie unread, with a fault switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from civicbus_consumers.unread.rules import Asked
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import RecordId


@dataclass
class FakeUnread:
    """What lies unread, by record; both the process's deliveries and its caller's client.

    `fails`: does not answer. `asked` keeps every question.
    """

    lying: Mapping[str, datetime] = field(default_factory=dict)
    fails: bool = False
    asked: list[tuple[Asked, ...]] = field(default_factory=list)

    def unread(self, asked: Sequence[Asked]) -> dict[RecordId, datetime]:
        """As `reading.Deliveries` tells."""
        self.asked.append(tuple(asked))
        if self.fails:
            raise Unavailable("the broker does not answer")
        return {one.record: self.lying[one.record] for one in asked if one.record in self.lying}

    since = unread

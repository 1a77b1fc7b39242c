"""What is asked of the process that knows what lies unread, and what it tells. Pure.

Asked is by records: who does not know a record's id learns nothing of its delivery. Nobody is
named, and nothing of a delivery is told but since when it lies there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from civicbus_schemas.errors import InvalidBytes, InvalidIdentifier
from civicbus_schemas.ids import AgencyId, RecordId, agency_id, family_id, hex_id
from civicbus_schemas.topics import PARTITIONS, SourceTopic, delivery_topic

MAX_ASKED = 500
SLACK = timedelta(seconds=60)
"""How far the clocks of a record and of its delivery may be apart; enforcement allows 2 s."""

_MEMBERS = {"record", "recipient", "family", "partition", "at"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{8,15}[+-]\d\d:\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A delivery that may lie unread: its record, where it was delivered, when it was recorded."""

    record: RecordId
    recipient: AgencyId
    family: str
    partition: int
    at: datetime

    @classmethod
    def of(cls, *, record: str, recipient: str, source: str, partition: int, at: datetime) -> Asked:
        """The delivery of an event of this source topic; raises `InvalidIdentifier`."""
        return cls(
            record=RecordId(hex_id(record, what="record")),
            recipient=agency_id(recipient),
            family=SourceTopic.parse(source).family,
            partition=partition,
            at=at,
        )

    @property
    def place(self) -> tuple[str, int]:
        """Topic and partition: deliveries lie in their source's partition."""
        return delivery_topic(self.recipient, self.family), self.partition

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "record": self.record,
            "recipient": self.recipient,
            "family": self.family,
            "partition": self.partition,
            "at": self.at.isoformat(),
        }


def parse_asked(document: Mapping[str, Any]) -> tuple[Asked, ...]:
    """The deliveries that are asked about; raises `InvalidBytes`."""
    items = document.get("deliveries")
    if document.keys() != {"deliveries"} or not isinstance(items, list) or len(items) > MAX_ASKED:
        raise InvalidBytes("no question about deliveries", expected=f"up to {MAX_ASKED} of them")
    try:
        return tuple(map(_asked, items))
    except (InvalidIdentifier, TypeError, ValueError):
        raise InvalidBytes(
            "a delivery is not named as it must be", expected=sorted(_MEMBERS)
        ) from None


def _asked(item: Any) -> Asked:
    match item:
        case {
            "record": str(record), "recipient": str(recipient), "family": str(family),
            "partition": int(partition), "at": str(at),
        } if item.keys() == _MEMBERS and _TIME.fullmatch(at):  # fmt: skip
            if type(partition) is not int or not 0 <= partition < PARTITIONS:
                raise ValueError
            return Asked(
                record=RecordId(hex_id(record, what="record")),
                recipient=agency_id(recipient),
                family=family_id(family),
                partition=partition,
                at=datetime.fromisoformat(at),
            )
        case _:
            raise ValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where and between which times the deliveries of some records lie in one partition."""

    place: tuple[str, int]
    recipient: AgencyId
    since: datetime
    until: datetime
    records: frozenset[RecordId]


def windows_of(asked: Sequence[Asked]) -> tuple[Window, ...]:
    """One window for each partition, so that nothing else of its topic is read."""
    places = dict.fromkeys(one.place for one in asked)
    return tuple(_window([one for one in asked if one.place == place]) for place in places)


def _window(asked: Sequence[Asked]) -> Window:
    return Window(
        place=asked[0].place,
        recipient=asked[0].recipient,
        since=min(one.at for one in asked) - SLACK,
        until=max(one.at for one in asked) + SLACK,
        records=frozenset(one.record for one in asked),
    )


def answer_document(unread: Mapping[RecordId, datetime]) -> dict[str, Any]:
    """The answer as JSON."""
    return {"unread": {record: since.isoformat() for record, since in unread.items()}}


def parse_answer(document: Mapping[str, Any], asked: Iterable[Asked]) -> dict[RecordId, datetime]:
    """Since when which of these lie unread; raises `InvalidBytes`."""
    known, found = {one.record for one in asked}, document.get("unread")
    if not isinstance(found, dict) or not found.keys() <= known:
        raise InvalidBytes("no answer about what lies unread")
    try:
        return {RecordId(record): datetime.fromisoformat(since) for record, since in found.items()}
    except (TypeError, ValueError):
        raise InvalidBytes("no time since which a delivery lies unread") from None

"""Reading recipients' positions, and the headers of what lies behind them.

Unread is what lies behind the furthest position of all groups of a recipient: what one of its
systems has read, it has. Of a delivery only the headers are looked at, and of these the record.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime

from civicbus_producers.kafka import (
    BrokerAccess,
    client_config,
    consumer_config,
    kafka_errors_translated,
)
from civicbus_producers.positions import GroupPositions, list_groups
from civicbus_schemas.errors import Overdue
from civicbus_schemas.ids import AgencyId, RecordId
from civicbus_schemas.topics import UNREAD
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from civicbus_consumers.unread.rules import Asked, Window, windows_of

TIMEOUT_S = 5.0
READ_S = 10.0
"""How long one question may read; longer than a window of a busy partition takes."""

MAX_GROUPS = 32
"""How many groups of one recipient are asked for their position."""

_RECORD = "ce_recordid"


class Deliveries:
    """What lies unread, on the real broker. The principal may read delivery topics and describe
    recipients' groups; it commits nothing.
    """

    def __init__(self, access: BrokerAccess) -> None:
        self._access = access
        self._admin = AdminClient(client_config(access, client_id=UNREAD))

    def unread(self, asked: Sequence[Asked]) -> dict[RecordId, datetime]:
        """Since when which of these lie unread; raises `Retryable` or `Overdue`."""
        deadline = time.monotonic() + READ_S
        found: dict[RecordId, datetime] = {}
        consumer = Consumer(consumer_config(self._access, client_id=UNREAD, group=UNREAD))
        with closing(consumer), kafka_errors_translated("reading what is unread"):
            windows = windows_of(asked)
            groups = self._groups({window.recipient for window in windows}) if windows else {}
            for window in windows:
                start = self._start(consumer, window, groups[window.recipient], deadline=deadline)
                if start is not None:
                    found |= _read(consumer, window, start, deadline=deadline)
        return found

    def check(self) -> None:
        """Raises `Retryable` or `Overdue` where the broker does not answer."""
        list_groups(self._admin, timeout_s=TIMEOUT_S)

    def _groups(self, recipients: Collection[AgencyId]) -> Mapping[AgencyId, Sequence[str]]:
        """The groups of each recipient, all listed once; raises `Overdue` where one has too many.

        A recipient makes groups at will; leaving one out could call unread what was read.
        """
        return groups_of(recipients, list_groups(self._admin, timeout_s=TIMEOUT_S))

    def _start(
        self, consumer: Consumer, window: Window, groups: Sequence[str], *, deadline: float
    ) -> int | None:
        """The first offset that may be unread; None where nothing is."""
        _check(deadline)
        low, high = consumer.get_watermark_offsets(TopicPartition(*window.place), TIMEOUT_S)
        millis = int(window.since.timestamp() * 1000)
        [begun] = consumer.offsets_for_times([TopicPartition(*window.place, millis)], TIMEOUT_S)
        if begun.offset < 0:  # nothing is as young
            return None
        furthest = self._furthest(groups, window.place, deadline=deadline)
        start = max(low, begun.offset, furthest)
        return start if start < high else None

    def _furthest(self, groups: Sequence[str], place: tuple[str, int], *, deadline: float) -> int:
        """The furthest position there that one of the groups has committed."""
        furthest = 0
        for group in groups:
            _check(deadline)
            furthest = max(furthest, self._position(group, place))
        return furthest

    def _position(self, group: str, place: tuple[str, int]) -> int:
        with GroupPositions(self._access, group, client_id=UNREAD) as positions:
            return positions.read([place], timeout_s=TIMEOUT_S).get(place, 0)


def groups_of(
    recipients: Collection[AgencyId], listed: Sequence[str]
) -> Mapping[AgencyId, Sequence[str]]:
    """Which of these groups are whose; raises `Overdue` where one recipient has too many."""
    groups = {one: [name for name in listed if name.startswith(f"{one}.")] for one in recipients}
    for recipient, names in groups.items():
        if len(names) > MAX_GROUPS:
            raise Overdue(
                f"{recipient} has more groups than can be asked",
                got=f"{len(names)}",
                expected=f"at most {MAX_GROUPS}",
                next_step="delete those that it does not use",
            )
    return groups


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Overdue("the deliveries could not be read to their end")


def _read(
    consumer: Consumer, window: Window, start: int, *, deadline: float
) -> Mapping[RecordId, datetime]:
    found: dict[RecordId, datetime] = {}
    for message in _messages(consumer, window.place, start, deadline=deadline):
        record, since = _record_of(message), _time_of(message)
        if record in window.records:
            found[record] = since
        if since > window.until or len(found) == len(window.records):
            break
    return found


def _messages(
    consumer: Consumer, place: tuple[str, int], start: int, *, deadline: float
) -> Iterator[Message]:
    """What is committed from there up to the present end."""
    _, end = consumer.get_watermark_offsets(TopicPartition(*place), TIMEOUT_S)
    consumer.assign([TopicPartition(*place, start)])
    while max(consumer.position([TopicPartition(*place)])[0].offset, start) < end:
        _check(deadline)
        for message in consumer.consume(500, timeout=0.05):
            if message.error() is None:
                yield message


def _record_of(message: Message) -> RecordId | None:
    value = dict(message.headers() or ()).get(_RECORD)
    return RecordId(value.decode("ascii", "replace")) if isinstance(value, bytes) else None


def _time_of(message: Message) -> datetime:
    _, millis = message.timestamp()
    return datetime.fromtimestamp(millis / 1000, UTC)

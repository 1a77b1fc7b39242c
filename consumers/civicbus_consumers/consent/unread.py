"""What a recipient was given on a consent and has not read: for the citizen who withdraws it.

Unread is what lies behind the furthest position of all groups of the recipient: what one of its
systems has read, it has. Headers are looked at, and nothing else of a delivery.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from civicbus_producers.kafka import (
    BrokerAccess,
    client_config,
    consumer_config,
    kafka_errors_translated,
)
from civicbus_producers.positions import GroupPositions
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import Overdue
from civicbus_schemas.ids import AgencyId, EventType, RecordId
from civicbus_schemas.withdrawn import is_withdrawn
from civicbus_schemas.withheld import is_notice
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

READER = "unread"
TIMEOUT_S = 10.0
READ_S = 60.0

Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A delivery that its recipient has not read yet; `record_id` names its audit record."""

    record_id: RecordId
    type: EventType
    topic: str
    partition: int
    offset: int


def find_unread(
    access: BrokerAccess, consent: str, *, recipient: AgencyId, topics: Sequence[str]
) -> tuple[Unread, ...]:
    """The recipient's unread deliveries on a consent, on these of its delivery topics.

    The principal behind `access` may read the topics and describe the recipient's groups. Raises
    `Unavailable`, or `Overdue` when the topics cannot be read to their present ends.
    """
    consumer = Consumer(consumer_config(access, client_id=READER, group=READER))
    with closing(consumer), kafka_errors_translated("reading what is unread"):
        places = [
            (topic, partition)
            for topic in topics
            for partition in consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
        ]
        read = _furthest(access, places, prefix=f"{recipient}.")
        return tuple(_unread(_messages(consumer, places, read), consent))


def _furthest(access: BrokerAccess, places: Sequence[Place], *, prefix: str) -> Mapping[Place, int]:
    """Of each place the furthest position that a group of the recipient has committed."""
    admin = AdminClient(client_config(access, client_id=READER))
    groups = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result().valid
    furthest: dict[Place, int] = {}
    for group in (g.group_id for g in groups if g.group_id.startswith(prefix)):
        with GroupPositions(access, group, client_id=READER) as positions:
            for place, offset in positions.read(places, timeout_s=TIMEOUT_S).items():
                furthest[place] = max(offset, furthest.get(place, 0))
    return furthest


def _messages(
    consumer: Consumer, places: Sequence[Place], read: Mapping[Place, int]
) -> Iterator[Message]:
    """What is committed and lies behind these positions, up to the present ends."""
    starts, ends = [], {}
    for place in places:
        low, high = consumer.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT_S)
        starts.append(TopicPartition(*place, max(low, read.get(place, 0))))
        ends[place] = high
    consumer.assign(starts)
    deadline = time.monotonic() + READ_S
    while any(
        max(tp.offset, start.offset) < ends[start.topic, start.partition]
        for tp, start in zip(consumer.position(starts), starts, strict=True)
    ):
        if time.monotonic() > deadline:
            raise Overdue("the deliveries could not be read to their ends")
        for message in consumer.consume(500, timeout=0.05):
            if message.error() is None:
                yield message


def _unread(messages: Iterable[Message], consent: str) -> Iterator[Unread]:
    for message in messages:
        envelope = parse_headers(message.headers())  # type: ignore[arg-type]
        told = is_notice(envelope.type) or is_withdrawn(envelope.type)
        if not told and envelope.ground is not None and envelope.ground.consent == consent:
            yield Unread(
                record_id=envelope.ground.record_id,
                type=envelope.type,
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
            )

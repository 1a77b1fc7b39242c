"""Receiving in memory, for tests: the real `Subscription` over a log that is not durable.

Put deliveries into the log with `UnsafeMemoryLog.append` or `deliver`, and notices with `withhold`
or `withdraw`.
Assignments can be taken away, and commits can be made to fail, as a broker would. Never use it to
receive anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from civicbus_producers.testing import StoredMessage, UnsafeMemoryLog
from civicbus_schemas.codec import AvroType, SchemaDocument, frame
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.ids import agency_id, family_of
from civicbus_schemas.topics import PARTITIONS, delivery_topic
from civicbus_schemas.withdrawn import withdrawn_type
from civicbus_schemas.withheld import WITHHELD, Notice, notice_type
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition

from civicbus_consumers.reading import DeliveryReader
from civicbus_consumers.subscription import Subscription

Rebalance = Callable[[Any, list[TopicPartition]], None]


class UnsafeMemoryConsumer:
    """The only member of a group over the memory log.

    `fails_and_did_not_persist`: commits fail and change nothing. `fails_but_persisted`: they
    change the group's positions and fail all the same. `revoke` and `restore` take all partitions
    away and give them back. `positions_unknown`: nobody says where the group stands.
    `withheld_polls`: so many polls give nothing yet to an assigned member.
    """

    def __init__(self, log: UnsafeMemoryLog, *, group: str) -> None:
        self.log = log
        self.group = group
        self.fails_and_did_not_persist = False
        self.fails_but_persisted = False
        self.positions_unknown = False
        self.withheld_polls = 0
        self._topics: list[str] = []
        self._fetching: dict[tuple[str, int], int] = {}
        self._told_ends: dict[tuple[str, int], int] = {}
        self._stored: dict[tuple[str, int], int] = {}
        self._on_assign: Rebalance | None = None
        self._on_revoke: Rebalance | None = None
        self._assigned = False

    def subscribe(self, topics: list[str], *, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        """Remember what is wanted; the assignment comes with the next `poll`."""
        del on_lost
        self._topics, self._on_assign, self._on_revoke = topics, on_assign, on_revoke

    def poll(self, timeout: float = -1) -> Message | None:
        """The next message or end of any partition; it never sleeps."""
        del timeout
        if not self._assigned and self._on_assign is not None:
            self._assigned = True
            self._on_assign(self, self._partitions())
        if self.withheld_polls:
            self.withheld_polls -= 1
            return None
        for (topic, partition), offset in self._fetching.items():
            stored = self.log.partitions(topic)[partition]
            if offset < len(stored):
                self._fetching[topic, partition] = offset + 1
                return _as_kafka_gives_it(stored[offset])
            if self._told_ends.get((topic, partition)) != offset:
                self._told_ends[topic, partition] = offset
                return _end_of_partition(topic, partition, offset)
        return None

    def committed(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """The group's positions; -1001 where there is none."""
        del timeout
        if self.positions_unknown:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [
            TopicPartition(
                p.topic,
                p.partition,
                self.log.positions.get((self.group, p.topic, p.partition), -1001),
            )
            for p in partitions
        ]

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Begin to fetch."""
        for p in partitions:
            self._fetching[p.topic, p.partition] = 0 if p.offset == OFFSET_BEGINNING else p.offset
            self._told_ends.pop((p.topic, p.partition), None)

    def store_offsets(self, *, offsets: list[TopicPartition]) -> None:
        """Keep positions for the next commit."""
        if any((o.topic, o.partition) not in self._fetching for o in offsets):
            raise KafkaException(KafkaError(KafkaError._STATE))
        self._stored |= {(o.topic, o.partition): o.offset for o in offsets}

    def commit(self, *, asynchronous: Any) -> None:
        """Commit what is stored, as the switches say."""
        del asynchronous
        if not self._stored:
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET))
        if not self.fails_and_did_not_persist:
            for (topic, partition), offset in self._stored.items():
                self.log.positions[self.group, topic, partition] = offset
        if self.fails_and_did_not_persist or self.fails_but_persisted:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self._stored.clear()

    def seek(self, partition: TopicPartition) -> None:
        """Go on from this position."""
        self._fetching[partition.topic, partition.partition] = partition.offset

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> None:
        """It always answers."""

    def close(self) -> None:
        """Leave the group."""
        self._fetching.clear()

    def revoke(self) -> None:
        """Take all partitions away, after committing what is stored, as librdkafka does."""
        if self._stored:
            self.commit(asynchronous=False)
        if self._on_revoke is not None:
            self._on_revoke(self, self._partitions())
        self._fetching.clear()

    def restore(self) -> None:
        """Give all partitions back with the next `poll`."""
        self._assigned = False

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic, p) for topic in self._topics for p in range(PARTITIONS)]


class UnsafeMemorySubscription(Subscription):
    """The subscription of one agency over a memory log; `consumer` holds the fault switches."""

    def __init__(
        self,
        agency: str,
        *,
        families: Iterable[str],
        log: UnsafeMemoryLog | None = None,
        name: str = "main",
    ) -> None:
        self.log = log or UnsafeMemoryLog()
        self.consumer = UnsafeMemoryConsumer(self.log, group=f"{agency}.{name}")
        super().__init__(
            consumer=self.consumer,
            reader=DeliveryReader(self.log.registry),
            topics=[delivery_topic(agency_id(agency), family) for family in families],
        )


def deliver(
    log: UnsafeMemoryLog,
    topic: str,
    *,
    schema: SchemaDocument,
    datum: dict[str, Any],
    envelope: Envelope,
    subject: str,
    partition: int = 0,
) -> StoredMessage:
    """Put one delivery into the log, as the bus would have written it."""
    body = AvroType(schema).encode(datum)
    return log.append(
        topic,
        key=subject.encode(),
        value=frame(log.registry.register(topic, schema), body),
        headers=envelope.headers(),
        partition=partition,
    )


def withhold(
    log: UnsafeMemoryLog,
    topic: str,
    *,
    notice: Notice,
    envelope: Envelope,
    subject: str,
    partition: int = 0,
) -> StoredMessage:
    """Put one notice into the log; its envelope's type becomes that of notices."""
    family = family_of(notice.event_type)
    return log.append(
        topic,
        key=subject.encode(),
        value=frame(log.registry.register(topic, WITHHELD.document), notice.encode()),
        headers=replace(envelope, type=notice_type(family)).headers(),
        partition=partition,
    )


def withdraw(
    log: UnsafeMemoryLog, topic: str, *, envelope: Envelope, partition: int = 0
) -> StoredMessage:
    """Put the notice of a withdrawal into the log; its envelope's ground names the consent."""
    type_ = withdrawn_type(family_of(envelope.type))
    headers = replace(envelope, type=type_).headers()
    return log.append(topic, key=None, value=None, headers=headers, partition=partition)


def _end_of_partition(topic: str, partition: int, offset: int) -> Message:
    end = KafkaError(KafkaError._PARTITION_EOF)
    return Message(topic=topic, partition=partition, offset=offset, error=end)


def _as_kafka_gives_it(stored: StoredMessage) -> Message:
    return Message(
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
        key=stored.key,
        value=stored.value,
        headers=[(name, value) for name, value in stored.headers],
    )

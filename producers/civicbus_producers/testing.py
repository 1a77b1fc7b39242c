"""The bus in memory, for tests: the real `Publisher` over a log that is not durable.

Only the broker and the registry are replaced, so that checks, keys, headers and receipts are the
ones of production. Switches make it fail as brokers fail. Never use it to publish anything.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.ids import agency_id
from civicbus_schemas.topics import PARTITIONS
from confluent_kafka import OFFSET_INVALID, KafkaError, Message

from civicbus_producers.outgoing import Composer
from civicbus_producers.publisher import Acknowledge, Publisher
from civicbus_producers.registry import NotRegistered, schema_text, subject_name

UNSAFE_TOPIC_KEY = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as the log holds it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(slots=True)
class UnsafeMemoryLog:
    """Topics, consumer groups' positions and schemas, in memory and for one process."""

    topics: dict[str, list[list[StoredMessage]]] = field(default_factory=dict)
    positions: dict[tuple[str, str, int], int] = field(default_factory=dict)
    registry: UnsafeMemoryRegistry = field(default_factory=lambda: UnsafeMemoryRegistry())

    def partitions(self, topic: str) -> list[list[StoredMessage]]:
        """The partitions of a topic, which is created at its first use."""
        return self.topics.setdefault(topic, [[] for _ in range(PARTITIONS)])

    def append(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None = None,
    ) -> StoredMessage:
        """Store a message; without a partition its key chooses one."""
        number = zlib.crc32(key or b"") % PARTITIONS if partition is None else partition
        stored = self.partitions(topic)[number]
        message = StoredMessage(
            topic=topic, partition=number, offset=len(stored), key=key, value=value, headers=headers
        )
        stored.append(message)
        return message

    def messages(self, topic: str) -> list[StoredMessage]:
        """All messages of a topic, partition by partition."""
        return [message for partition in self.partitions(topic) for message in partition]


@dataclass(slots=True)
class UnsafeMemoryRegistry:
    """A schema registry in memory. Unlike the real one, `get_id` registers unless `strict`."""

    strict: bool = False
    documents: dict[int, SchemaDocument] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)

    def register(self, topic: str, document: SchemaDocument) -> int:
        """The id of a schema on a topic, a new one if need be."""
        key = subject_name(topic, document), schema_text(document)
        number = self.ids.setdefault(key, len(self.ids) + 1)
        self.documents[number] = document
        return number

    def get_id(self, topic: str, document: SchemaDocument) -> int:
        """The id of this very schema on that topic."""
        key = subject_name(topic, document), schema_text(document)
        if self.strict and key not in self.ids:
            raise NotRegistered(f"{key[0]}: not registered")
        return self.register(topic, document)

    def get_document(self, schema_id: int) -> SchemaDocument:
        """The schema of an id."""
        if schema_id not in self.documents:
            raise NotRegistered(f"schema {schema_id}: not registered")
        return self.documents[schema_id]


class UnsafeMemoryProducer:
    """A producer over the memory log, with the ways in which a broker fails as switches.

    `fails_and_did_not_persist`: messages time out and are not stored. `fails_but_persisted`: they
    are stored and time out all the same, as when the answer is lost. `forgets_where`: they are
    stored, and no place is told. `queue_full`: nothing is accepted. `silent`: nothing is answered,
    until the switch is turned off.
    """

    def __init__(self, log: UnsafeMemoryLog) -> None:
        self.log = log
        self.fails_and_did_not_persist = False
        self.fails_but_persisted = False
        self.forgets_where = False
        self.queue_full = False
        self.silent = False
        self._reports: deque[tuple[Acknowledge, KafkaError | None, Message]] = deque()

    def produce(
        self, topic: str, value: bytes, *, key: bytes, headers: Any, on_delivery: Acknowledge
    ) -> None:
        """Store the message as the switches say; its report waits for `poll`."""
        if self.queue_full:
            raise BufferError("the queue is full")
        error = None
        if self.fails_and_did_not_persist or self.fails_but_persisted:
            error = KafkaError(KafkaError._MSG_TIMED_OUT)
        report = Message(topic=topic, partition=-1, offset=-1)
        if not self.fails_and_did_not_persist:
            stored = self.log.append(topic, key=key, value=value, headers=headers)
            offset = OFFSET_INVALID if self.forgets_where else stored.offset
            report = Message(topic=topic, partition=stored.partition, offset=offset)
        self._reports.append((on_delivery, error, report))

    def poll(self, timeout: float = -1) -> int:
        """Hand out the reports that wait; it never sleeps."""
        del timeout
        served = 0
        while self._reports and not self.silent:
            on_delivery, error, report = self._reports.popleft()
            on_delivery(error, report)
            served += 1
        return served

    def flush(self, timeout: float = -1) -> int:
        """Hand out all reports; how many are left."""
        self.poll(timeout)
        return len(self._reports)

    def purge(self) -> None:
        """Give up what waits for an answer."""
        self._reports = deque(
            (on_delivery, KafkaError(KafkaError._PURGE_QUEUE), report)
            for on_delivery, _, report in self._reports
        )
        self.silent = False


class UnsafeMemoryPublisher(Publisher):
    """The publisher of one agency over a memory log; `producer` holds the fault switches."""

    def __init__(
        self,
        agency: str,
        *,
        families: Sequence[str],
        log: UnsafeMemoryLog | None = None,
        topic_key: bytes = UNSAFE_TOPIC_KEY,
    ) -> None:
        self.log = log or UnsafeMemoryLog()
        self.producer = UnsafeMemoryProducer(self.log)
        composer = Composer(
            agency_id(agency),
            families=families,
            topic_key=topic_key,
            schema_ids=self.log.registry,
        )
        super().__init__(producer=self.producer, composer=composer)

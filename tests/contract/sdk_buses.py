"""The bus as the SDK's contract suites need it: in memory, and on the real broker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from civicbus_consumers.subscription import Subscription
from civicbus_consumers.testing import UnsafeMemorySubscription, deliver, withdraw, withhold
from civicbus_producers.publisher import Publisher
from civicbus_producers.registry import schema_text, subject_name
from civicbus_producers.settings import Connection
from civicbus_producers.testing import StoredMessage, UnsafeMemoryLog, UnsafeMemoryPublisher
from civicbus_schemas.codec import AvroType, SchemaDocument, frame
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.ids import agency_id
from civicbus_schemas.topics import PARTITIONS, SourceTopic, delivery_topic
from civicbus_schemas.withdrawn import withdrawn_type
from civicbus_schemas.withheld import WITHHELD, notice_type
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AclOperation
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.contract.sdk_samples import (
    NOTICE,
    SUBJECT,
    BirthRegistered,
    delivered_datum,
    delivered_schema,
    delivery_envelope,
)
from tests.stack import DEADLINE_S, Stack


class Bus(Protocol):
    """One agency that publishes births, and one that gets deliveries of them."""

    publisher_agency: str
    recipient: str

    def publisher(self) -> Publisher: ...
    def subscription(self, name: str = "main") -> Subscription: ...
    def stored(self) -> list[StoredMessage]: ...
    def deliver(self, number: int, *, partition: int = 0, **changes: Any) -> None: ...
    def deliver_bytes(self, value: bytes, *, envelope: Envelope, partition: int = 0) -> None: ...
    def withhold(self, number: int, *, body: bytes | None = None) -> None: ...
    def withdraw(self, number: int, *, consent: str) -> None: ...


class MemoryBus:
    """The fakes on one log."""

    publisher_agency, recipient = "moj", "vss"

    def __init__(self) -> None:
        self.log = UnsafeMemoryLog()
        self.topic = delivery_topic(agency_id(self.recipient), "civil-status")

    def publisher(self) -> UnsafeMemoryPublisher:
        return UnsafeMemoryPublisher("moj", families=["civil-status"], log=self.log)

    def subscription(self, name: str = "main") -> UnsafeMemorySubscription:
        return UnsafeMemorySubscription("vss", families=["civil-status"], log=self.log, name=name)

    def stored(self) -> list[StoredMessage]:
        return self.log.messages("src.moj.civil-status.v1")

    def deliver(self, number: int, *, partition: int = 0, **changes: Any) -> None:
        deliver(
            self.log,
            self.topic,
            schema=delivered_schema(),
            datum=delivered_datum(),
            envelope=delivery_envelope(number, **changes),
            subject=SUBJECT,
            partition=partition,
        )

    def deliver_bytes(self, value: bytes, *, envelope: Envelope, partition: int = 0) -> None:
        self.log.append(
            self.topic,
            key=SUBJECT.encode(),
            value=value,
            headers=envelope.headers(),
            partition=partition,
        )

    def withhold(self, number: int, *, body: bytes | None = None) -> None:
        if body is None:
            withhold(
                self.log, self.topic, notice=NOTICE, envelope=delivery_envelope(number),
                subject=SUBJECT,
            )  # fmt: skip
        else:
            schema_id = self.log.registry.register(self.topic, WITHHELD.document)
            envelope = delivery_envelope(number, type=notice_type("civil-status"))
            self.deliver_bytes(frame(schema_id, body), envelope=envelope)

    def withdraw(self, number: int, *, consent: str) -> None:
        withdraw(self.log, self.topic, envelope=ending_envelope(number, consent))


class KafkaBus:
    """The SDK on the real broker and registry, with agencies of its own."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        token = secrets.token_hex(4)
        self.stack, self.folder = stack, folder
        self.publisher_agency, self.recipient = f"moj-{token}", f"vss-{token}"
        self.source = SourceTopic(agency_id(self.publisher_agency), "civil-status").name
        self.topic = delivery_topic(agency_id(self.recipient), "civil-status")
        stack.create_topics(self.source, self.topic, partitions=PARTITIONS)
        self.publisher_password = stack.create_user(self.publisher_agency)
        self.recipient_password = stack.create_user(self.recipient)
        stack.grant(self.publisher_agency, AclOperation.WRITE, topic=self.source)
        stack.grant(self.recipient, AclOperation.READ, topic=self.topic)
        stack.grant(self.recipient, AclOperation.READ, group=f"{self.recipient}.", prefixed=True)
        self.register(self.source, BirthRegistered.contract.document)
        self.delivered_id = self.register(self.topic, delivered_schema())
        self.topic_key = folder / "topic-key"
        self.topic_key.touch(mode=0o600)
        self.topic_key.write_text(bytes(32).hex() + "\n")
        self._feed = Producer(stack.client_config() | {"enable.idempotence": True, "log_level": 0})

    def register(self, topic: str, document: SchemaDocument) -> int:
        with SchemaRegistryClient({"url": self.stack.registry_url}) as client:
            subject = subject_name(topic, document)
            number: int = client.register_schema(subject, Schema(schema_text(document), "AVRO"))
            return number

    def connection(self, agency: str, **changes: Any) -> Connection:
        is_publisher = agency == self.publisher_agency
        values = {
            "agency": agency_id(agency),
            "bootstrap": self.stack.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": agency,
            "password_file": self.publisher_password if is_publisher else self.recipient_password,
            "registry_url": self.stack.registry_url,
            "group_prefix": f"{agency}.",
            "families_published": ("civil-status",) if is_publisher else (),
            "delivery_topics": () if is_publisher else (self.topic,),
            "topic_key_file": self.topic_key if is_publisher else None,
        }
        return Connection(**values | changes)

    def publisher(self) -> Publisher:
        return Publisher.connect(
            self.publisher_agency,
            self.connection(self.publisher_agency),
            connect_timeout_s=DEADLINE_S,
            delivery_timeout_s=DEADLINE_S,
        )

    def subscription(self, name: str = "main") -> Subscription:
        return Subscription.connect(
            self.recipient,
            self.connection(self.recipient),
            name=name,
            connect_timeout_s=DEADLINE_S,
        )

    def stored(self) -> list[StoredMessage]:
        return list(_read_all(self.stack, self.source))

    def deliver(self, number: int, *, partition: int = 0, **changes: Any) -> None:
        value = frame(self.delivered_id, AvroType(delivered_schema()).encode(delivered_datum()))
        envelope = delivery_envelope(number, **changes)
        self.deliver_bytes(value, envelope=envelope, partition=partition)

    def deliver_bytes(self, value: bytes, *, envelope: Envelope, partition: int = 0) -> None:
        headers: Any = envelope.headers()
        self._feed.produce(
            self.topic, value, key=SUBJECT.encode(), headers=headers, partition=partition
        )
        assert self._feed.flush(DEADLINE_S) == 0

    def withhold(self, number: int, *, body: bytes | None = None) -> None:
        schema_id = self.register(self.topic, WITHHELD.document)
        envelope = delivery_envelope(number, type=notice_type("civil-status"))
        self.deliver_bytes(frame(schema_id, body or NOTICE.encode()), envelope=envelope)

    def withdraw(self, number: int, *, consent: str) -> None:
        envelope = replace(ending_envelope(number, consent), type=withdrawn_type("civil-status"))
        producer = Producer(self.stack.client_config())
        producer.produce(self.topic, partition=0, headers=envelope.headers())  # type: ignore[arg-type]
        assert producer.flush(DEADLINE_S) == 0


def ending_envelope(number: int, consent: str) -> Envelope:
    """The headers of the end of a consent."""
    envelope = delivery_envelope(number)
    assert envelope.ground is not None
    return replace(envelope, ground=replace(envelope.ground, consent=consent))


def _read_all(stack: Stack, topic: str) -> Iterator[StoredMessage]:
    consumer = Consumer(
        stack.client_config() | {"group.id": "reader", "enable.partition.eof": False}
    )
    starts = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=DEADLINE_S)[1] for p in starts}
    consumer.assign(starts)
    for _ in range(sum(ends.values())):
        message: Any = consumer.poll(DEADLINE_S)
        assert message is not None
        assert message.error() is None
        yield StoredMessage(
            topic=topic,
            partition=message.partition(),
            offset=message.offset(),
            key=message.key(),
            value=message.value(),
            headers=message.headers(),
        )
    consumer.close()

"""What a principal may do on a broker, tried and answered; and ways to damage what was provisioned.

Every `..._error` is the broker's own code, or None where it allowed the call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from tests.stack import DEADLINE_S, Stack


def error_of(call: Callable[[], object]) -> int | None:
    try:
        call()
    except KafkaException as exception:
        return int(exception.args[0].code())
    return None


def can_connect(stack: Stack, user: str, timeout_s: float, **changes: str) -> bool:
    config = stack.client_config(user, **changes)
    admin = AdminClient(config | {"error_cb": lambda _: None, "log_level": 0})
    return error_of(lambda: admin.list_topics(timeout=timeout_s)) is None


def _consumer(stack: Stack, user: str, group: str) -> Consumer:
    return Consumer(
        stack.client_config(user, group_id=group, enable_auto_commit="false")
        | {"error_cb": lambda _: None, "log_level": 0, "enable.partition.eof": True}
    )


def read(stack: Stack, user: str, topic: str, *, group: str) -> list[Message]:
    """Partition 0 from its beginning to its end."""
    consumer = _consumer(stack, user, group)
    try:
        known = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic]
        if known.error is not None:  # without the right to describe it there is nothing to fetch
            raise KafkaException(known.error)
        consumer.assign([TopicPartition(topic, 0, 0)])
        return list(_until_end(consumer))
    finally:
        consumer.close()


def _until_end(consumer: Consumer) -> Iterator[Message]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise KafkaException(error)
    raise AssertionError("the end was not reached")


def read_error(stack: Stack, user: str, topic: str, *, group: str) -> int | None:
    """What the broker answers to a read; None when the end was reached."""
    return error_of(lambda: read(stack, user, topic, group=group))


def group_error(stack: Stack, user: str, topic: str, *, group: str) -> int | None:
    """What the broker answers to a member of the group; None when it was given its partitions."""
    consumer = _consumer(stack, user, group)
    try:
        consumer.subscribe([topic])
        return error_of(lambda: list(_until_end(consumer)))
    finally:
        consumer.close()


def position_error(stack: Stack, user: str, topic: str, *, group: str) -> int | None:
    """What the broker answers who asks where a group stands; None when it was told."""
    consumer = _consumer(stack, user, group)
    try:
        return error_of(lambda: _check(consumer.committed([TopicPartition(topic, 0)], DEADLINE_S)))
    finally:
        consumer.close()


def _check(places: list[TopicPartition]) -> None:
    for place in places:
        if place.error is not None:
            raise KafkaException(place.error)


def write_error(stack: Stack, user: str, topic: str) -> int | None:
    answers: list[KafkaError | None] = []
    producer = Producer(
        stack.client_config(user, message_timeout_ms="10000")
        | {"error_cb": lambda _: None, "log_level": 0}
    )
    producer.produce(
        topic, b"", b"key", partition=0, on_delivery=lambda error, _: answers.append(error)
    )
    producer.flush(DEADLINE_S)
    [answer] = answers
    return None if answer is None else int(answer.code())


def produce(stack: Stack, user: str, topic: str, *, partition: int) -> None:
    producer = Producer(stack.client_config(user))
    producer.produce(topic, b"", partition=partition)
    assert producer.flush(DEADLINE_S) == 0


def transaction_error(stack: Stack, user: str, transactional_id: str) -> int | None:
    producer = Producer(
        stack.client_config(user)
        | {"transactional.id": transactional_id, "error_cb": lambda _: None, "log_level": 0}
    )
    return error_of(lambda: producer.init_transactions(DEADLINE_S))


def ends(stack: Stack, topic: str) -> list[int]:
    consumer = Consumer(stack.client_config(group_id="test-ends"))
    try:
        partitions = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, p), DEADLINE_S)[1]
            for p in sorted(partitions)
        ]
    finally:
        consumer.close()


def delete_grants(stack: Stack, user: str) -> None:
    admin = stack.admin()
    mine = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None,
        AclOperation.ANY, AclPermissionType.ANY,
    )  # fmt: skip
    for future in admin.delete_acls([mine]).values():
        assert future.result(DEADLINE_S)


def delete_group(stack: Stack, group: str) -> None:
    admin = stack.admin()
    for future in admin.delete_consumer_groups([group]).values():
        future.result(DEADLINE_S)


def commit(stack: Stack, group: str, topic: str, *, partition: int, offset: int) -> None:
    admin = stack.admin()
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, offset)])]
    for future in admin.alter_consumer_group_offsets(wanted).values():
        future.result(DEADLINE_S)


def set_config(stack: Stack, topic: str, key: str, value: str) -> None:
    admin = stack.admin()
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(DEADLINE_S)

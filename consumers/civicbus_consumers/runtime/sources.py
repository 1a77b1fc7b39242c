"""Partitions read by explicit assignment, from committed offsets that must be there."""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_producers.kafka import translate
from civicbus_producers.positions import read_committed
from civicbus_schemas.errors import Stopped
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from civicbus_consumers.runtime.transactions import CALL_TIMEOUT_S


def assign_committed(consumer: Consumer, partitions: Sequence[tuple[str, int]]) -> None:
    """Go on where the group has committed; raises `Stopped` where it never did (invariant I2)."""
    wanted = [TopicPartition(topic, partition) for topic, partition in partitions]
    committed = read_committed(
        consumer, wanted, timeout_s=CALL_TIMEOUT_S, doing="reading committed offsets"
    )
    missing = [f"{tp.topic}[{tp.partition}]" for tp in committed if tp.offset < 0]
    if missing:
        raise Stopped(
            "source partitions have no committed offset",
            got=", ".join(missing[:5]),
            next_step="run `civicbus provision`; it commits 0 for new partitions only",
        )
    consumer.assign([TopicPartition(tp.topic, tp.partition, tp.offset) for tp in committed])


def require_message(message: Message, *, doing: str) -> Message:
    """The message, or the error that came in its place."""
    error = message.error()
    if error is None:
        return message
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise Stopped(
            f"the committed offset of {message.topic()} is not there any more",
            next_step="find out what was deleted, then commit where to go on",
        )
    raise translate(error, doing=doing)

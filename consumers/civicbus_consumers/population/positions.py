"""Where the process begins to read: at the positions of the view, which are the truth.

Kafka's committed offsets only follow them. A database that was restored or made anew is behind
what was committed; reading on from there would lose deliveries without a sign.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from civicbus_producers.kafka import consumer_config, kafka_errors_translated, translate
from civicbus_producers.positions import read_committed
from civicbus_schemas.errors import BusError, Stopped, Unavailable
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from civicbus_consumers.population.incoming import Partition
from civicbus_consumers.population.settings import WorkerSettings

_TIMEOUT_S = 15.0
_OCCUPIED_S = 45.0  # longer than a killed predecessor's session


def align_positions(
    settings: WorkerSettings, positions: Mapping[Partition, int], *, stop: threading.Event
) -> None:
    """Let the group's committed offsets be no further than the view's positions.

    Raises `Stopped` where a topic is missing, or where deliveries that the view never saw were
    removed from it; `Unavailable` where the broker does not answer or the group stays occupied.
    """
    consumer = Consumer(
        consumer_config(settings, client_id=f"{settings.name}-positions", group=settings.group)
    )
    try:
        with kafka_errors_translated("looking for the deliveries"):
            partitions = list(delivery_partitions(consumer, settings.topics))
            wanted = [_wanted(consumer, place, positions) for place in partitions]
        committed = read_committed(
            consumer,
            [TopicPartition(tp.topic, tp.partition) for tp in wanted],
            timeout_s=_TIMEOUT_S,
            doing="reading the committed offsets",
        )
        behind = [
            want
            for want, have in zip(wanted, committed, strict=True)
            if not 0 <= have.offset <= want.offset
        ]
        if behind:
            _commit(consumer, behind, stop)
    finally:
        consumer.close()


def delivery_partitions(consumer: Consumer, topics: Sequence[str]) -> Iterator[Partition]:
    """Every partition of the topics; raises `Stopped` where a topic is missing."""
    for topic in topics:
        found = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if found.error is not None or not found.partitions:
            raise Stopped(f"there is no topic {topic}", next_step="run provisioning")
        for partition in sorted(found.partitions):
            yield topic, partition


def _wanted(
    consumer: Consumer, place: Partition, positions: Mapping[Partition, int]
) -> TopicPartition:
    first, _ = consumer.get_watermark_offsets(TopicPartition(*place), timeout=_TIMEOUT_S)
    position = positions.get(place, 0)
    if first > position:
        raise Stopped(
            f"messages were removed from {place[0]} before they were applied",
            got=f"first offset {first} in partition {place[1]}",
            expected=f"at most {position}",
            next_step="restore the topic, or the database",
        )
    return TopicPartition(*place, position)


def _commit(consumer: Consumer, offsets: list[TopicPartition], stop: threading.Event) -> None:
    """Commit from outside the group, which must be empty: its last member may still be expiring."""
    deadline = time.monotonic() + _OCCUPIED_S
    while True:
        error = _attempt(consumer, offsets)
        if error is None:
            return
        if time.monotonic() > deadline or stop.wait(1.0):
            raise error


def _attempt(consumer: Consumer, offsets: list[TopicPartition]) -> BusError | None:
    try:
        done = consumer.commit(offsets=offsets, asynchronous=False)
        error = next((place.error for place in done or () if place.error is not None), None)
    except KafkaException as exception:
        error = exception.args[0]
    if error is None:
        return None
    if error.code() in (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION):
        return Unavailable("the group has another member", got=error.name())
    raise translate(error, doing="moving the group back")

"""Consumer groups: their names, and the committed positions of one that is not joined.

Positions are not asked through AdminClient: librdkafka 2.16 crashes the process in
`list_consumer_group_offsets` when the group's coordinator is not there yet (an admin handle has no
group to look it up for).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Protocol, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin._group import ListConsumerGroupsResult

from civicbus_producers.kafka import (
    GRACE_S,
    BrokerAccess,
    consumer_config,
    kafka_errors_translated,
    translate,
)


class ListsGroups(Protocol):
    """An `AdminClient`, as far as the names of groups are concerned."""

    def list_consumer_groups(self, *, request_timeout: float) -> Future[ListConsumerGroupsResult]:
        """All groups, and the errors of brokers that did not tell theirs."""


def list_groups(admin: ListsGroups, *, timeout_s: float) -> list[str]:
    """The names of all consumer groups; raises `Unavailable` or `Overdue`.

    librdkafka answers with a part when one broker is silent or still loads its groups, and puts
    the errors beside it; a part is no answer here.
    """
    with kafka_errors_translated("listing consumer groups"):
        listed = admin.list_consumer_groups(request_timeout=timeout_s).result(timeout_s + GRACE_S)
        for error in listed.errors or ():
            raise KafkaException(error)
    return [group.group_id for group in listed.valid or ()]


class GroupPositions:
    """One group's positions. Reads are *stable*: they wait for transactions under way."""

    def __init__(self, access: BrokerAccess, group: str, *, client_id: str) -> None:
        self._group = group
        self._consumer = Consumer(consumer_config(access, client_id=client_id, group=group))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._consumer.close()

    def read(
        self, places: Iterable[tuple[str, int]], *, timeout_s: float = 10.0
    ) -> dict[tuple[str, int], int]:
        """The committed offset of each place that has one.

        Raises `Unavailable` or `Overdue`; also while a transaction on the group is under way.
        """
        found = self._read(places, timeout_s)
        return {(p.topic, p.partition): p.offset for p in found}

    def notes(
        self, places: Iterable[tuple[str, int]], *, timeout_s: float = 10.0
    ) -> dict[tuple[str, int], str]:
        """The metadata beside the committed offset of each place that has one; as `read` raises."""
        return {(p.topic, p.partition): p.metadata or "" for p in self._read(places, timeout_s)}

    def _read(self, places: Iterable[tuple[str, int]], timeout_s: float) -> list[TopicPartition]:
        wanted = [TopicPartition(topic, partition) for topic, partition in places]
        if not wanted:
            return []
        doing = f"reading the positions of {self._group}"
        found = read_committed(self._consumer, wanted, timeout_s=timeout_s, doing=doing)
        return [place for place in found if place.offset >= 0]

    def commit(self, places: Sequence[TopicPartition]) -> None:
        """Commit these offsets with their metadata; raises as `read` does."""
        doing = f"committing for {self._group}"
        with kafka_errors_translated(doing):
            done = self._consumer.commit(offsets=list(places), asynchronous=False)
        _check(done or (), doing=doing)


def read_committed(
    consumer: Consumer, places: Sequence[TopicPartition], *, timeout_s: float, doing: str
) -> list[TopicPartition]:
    """What the consumer's group has committed there; below 0 where it never did.

    librdkafka answers a place that failed with such an offset, too, and an error beside it: whoever
    did not look would begin anew. Raises as `GroupPositions.read` does.
    """
    with kafka_errors_translated(doing):
        found: list[TopicPartition] = consumer.committed(list(places), timeout=timeout_s)
    _check(found, doing=doing)
    return found


def _check(places: Iterable[TopicPartition], *, doing: str) -> None:
    for place in places:
        if place.error is not None:
            raise translate(place.error, doing=doing)

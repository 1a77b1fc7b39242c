"""Where partitions end, asked of the broker; an end that is not known is an error, never a number.

librdkafka 2.16 answers `list_offsets` without an error and with offset -1001 for each partition
whose leader did not answer in time (`rd_kafka_ListOffsets_leaders_queried_cb` presumes no error,
and no partial answer takes that back). Whoever believed it would take a full topic for an empty
one; so nobody but this module reads that answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Protocol

from civicbus_schemas.errors import Unavailable
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo, OffsetSpec

from civicbus_producers.kafka import GRACE_S, kafka_errors_translated

Place = tuple[str, int]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class ListsOffsets(Protocol):
    """An `AdminClient`, as far as ends are concerned."""

    def list_offsets(
        self,
        topic_partition_offsets: dict[TopicPartition, OffsetSpec],
        *,
        isolation_level: IsolationLevel,
        request_timeout: float,
    ) -> Mapping[TopicPartition, Future[ListOffsetsResultInfo]]:
        """A future for each partition."""


def read_high_watermarks(
    admin: ListsOffsets, places: Iterable[Place], *, timeout_s: float
) -> dict[Place, int]:
    """Place (topic, partition) → the offset after the last message, of open transactions too.

    Raises `Unavailable`, `Overdue` or `Refused` (no such topic) when one of them is not known.
    """
    return _read(admin, places, isolation=IsolationLevel.READ_UNCOMMITTED, timeout_s=timeout_s)


def read_stable_ends(
    admin: ListsOffsets, places: Iterable[Place], *, timeout_s: float
) -> dict[Place, int]:
    """Place → the last stable offset: up to there no transaction is open. Raises as above."""
    return _read(admin, places, isolation=IsolationLevel.READ_COMMITTED, timeout_s=timeout_s)


def _read(
    admin: ListsOffsets, places: Iterable[Place], *, isolation: IsolationLevel, timeout_s: float
) -> dict[Place, int]:
    wanted = dict.fromkeys([TopicPartition(*place) for place in places], _LATEST)
    if not wanted:
        return {}
    with kafka_errors_translated("asking where partitions end"):
        futures = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=timeout_s)
        patience_s = timeout_s + GRACE_S
        found = {(tp.topic, tp.partition): end.result(patience_s) for tp, end in futures.items()}
    unknown = [place for place, end in found.items() if end.offset < 0]
    if unknown:
        raise Unavailable(
            "Kafka: the broker did not say where partitions end",
            got=f"no answer for {len(unknown)} of {len(found)}",
            next_step="try again when the broker answers",
        )
    return {place: end.offset for place, end in found.items()}

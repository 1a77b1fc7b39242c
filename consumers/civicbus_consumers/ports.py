"""What receiving needs of a Kafka consumer; librdkafka's has it, and the one in memory."""

from __future__ import annotations

from typing import Any, Protocol

from confluent_kafka import Message, TopicPartition


class DeliveryConsumer(Protocol):
    """The part of librdkafka's consumer that receiving needs."""

    def subscribe(self, topics: list[str], *, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        """Join the group; the callbacks run inside `poll`."""

    def poll(self, timeout: float = -1) -> Message | None:
        """The next message or error."""

    def committed(
        self, partitions: list[TopicPartition], timeout: float = -1
    ) -> list[TopicPartition]:
        """The group's committed positions."""

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Begin to fetch these partitions."""

    def store_offsets(self, *, offsets: list[TopicPartition]) -> None:
        """Positions for the next commit."""

    def commit(self, *, asynchronous: Any) -> Any:
        """Commit the stored positions now."""

    def seek(self, partition: TopicPartition) -> None:
        """Go on from this position."""

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """Ask the broker something, to see that it answers."""

    def close(self) -> None:
        """Commit, and leave the group."""

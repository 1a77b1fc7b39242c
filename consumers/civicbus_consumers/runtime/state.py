"""Following a state topic: read from its beginning, then caught up on request.

A worker that asks the broker for the ends and catches up with them knows every state that was
committed before it asked; that is what a fence stands on (DESIGN section 3, step 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from civicbus_producers.ends import read_stable_ends
from civicbus_producers.kafka import kafka_errors_translated, translate
from civicbus_schemas.errors import Fatal, Overdue, Retryable
from civicbus_schemas.page import Position
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

Apply = Callable[[Message], None]


class StateTail:
    """Some partitions of state topics, read committed, from their beginning."""

    def __init__(
        self, consumer: Consumer, admin: AdminClient, partitions: Sequence[tuple[str, int]]
    ) -> None:
        self._consumer, self._admin = consumer, admin
        self._places = tuple(partitions)
        self._partitions = [TopicPartition(*place) for place in self._places]
        self._early: list[Message] = []  # arrived, not yet applied
        self._spoilt = False
        self._consumer.assign(
            [TopicPartition(topic, p, OFFSET_BEGINNING) for topic, p in partitions]
        )

    def positions(self) -> tuple[Position, ...]:
        """The next offset to read of each partition (0 before the first message)."""
        return tuple(
            Position(topic=tp.topic, partition=tp.partition, offset=max(tp.offset, 0))
            for tp in self._consumer.position(self._partitions)
        )

    def catch_up(self, apply: Apply, *, timeout_s: float = 30.0) -> tuple[Position, ...]:
        """Apply every committed message up to the ends as they are now; raises `Overdue`.

        The ends are the last stable offsets; positions step over transaction markers. When `apply`
        has raised, its message and those behind it are lost here: from then on this is `Fatal`.
        """
        if self._spoilt:
            raise Fatal("a state was not applied", next_step="read the state topics anew")
        ends = self._ends(timeout_s)
        early, self._early = self._early, []
        self._apply_all(early, apply)
        deadline = time.monotonic() + timeout_s
        while True:
            positions = self.positions()
            if all(p.offset >= ends[p.topic, p.partition] for p in positions):
                return positions
            if time.monotonic() > deadline:
                raise Overdue("the state topics could not be read to their ends")
            self._poll(apply)

    def has_news(self) -> bool:
        """Whether a state has arrived since the last `catch_up`; the next one applies it.

        Asks nobody and waits for nothing, so a state may be there that has not arrived here yet.
        """
        if not self._early:
            self._early = self._consumer.consume(1, timeout=0)
        return bool(self._early)

    def _poll(self, apply: Apply) -> None:
        self._apply_all(self._consumer.consume(1000, timeout=0.02), apply)

    def _apply_all(self, messages: Sequence[Message], apply: Apply) -> None:
        """Apply them all before an error among them is raised: librdkafka stands behind them."""
        errors: list[KafkaError] = []
        self._spoilt = True
        for message in messages:
            error = message.error()
            if error is None:
                apply(message)
            elif error.code() != KafkaError._PARTITION_EOF:
                errors.append(error)
        self._spoilt = False
        if errors:
            raise translate(errors[0], doing="reading a state topic")

    def _ends(self, timeout_s: float) -> dict[tuple[str, int], int]:
        """The last stable offsets now; asked twice, for a handle keeps to leaders that are gone."""
        try:
            return read_stable_ends(self._admin, self._places, timeout_s=timeout_s)
        except Retryable:
            with kafka_errors_translated("asking who leads the state topics"):
                self._admin.list_topics(timeout=timeout_s)
            return read_stable_ends(self._admin, self._places, timeout_s=timeout_s)

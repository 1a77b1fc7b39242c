"""Transactions of one group: messages and offsets, all or nothing. No membership, no rebalancing.

The transactional id alone decides who holds a group, and `fence_predecessor` takes it over. After
any error but a retriable one the producer must not be used again: the error is `Fatal` (or
`Fenced`), the process ends, and its successor finds out what held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from civicbus_producers.kafka import flush, translate
from civicbus_schemas.envelope import Headers
from civicbus_schemas.errors import Fatal
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from civicbus_consumers.runtime.watchdog import Watchdog

CALL_TIMEOUT_S = 30.0
FENCING_TIMEOUT_S = 60.0
_UNEXPLAINED = {KafkaError._STATE, KafkaError._FATAL}  # an earlier error, which is not told


class Transactions:
    """The transactional producer of a group, and the consumer whose group it commits for."""

    def __init__(self, producer: Producer, consumer: Consumer, *, watchdog: Watchdog) -> None:
        self._producer, self._consumer, self._watchdog = producer, consumer, watchdog

    def fence_predecessor(self) -> None:
        """Take over the transactional id; whoever held it can commit nothing any more."""
        self._repeat(
            "fencing the predecessor", lambda: self._producer.init_transactions(FENCING_TIMEOUT_S)
        )

    def begin(self) -> None:
        """Begin a transaction."""
        self._repeat("beginning a transaction", self._producer.begin_transaction)

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        partition: int,
        key: bytes | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Produce one message in the transaction; careless readers may see it from here on."""
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=value,
                    key=key,
                    partition=partition,
                    headers=headers or [],  # type: ignore[arg-type]
                )
            except BufferError:
                self._repeat("making room", lambda: self._producer.poll(0.05))
            except KafkaException as exception:
                raise self._ended(exception, "producing") from None
            else:
                return

    def flush(self) -> None:
        """Wait for what was sent: else librdkafka waits 100 ms when offsets are sent."""
        self._repeat("flushing", lambda: flush(self._producer, CALL_TIMEOUT_S))

    def commit_offsets(self, offsets: Sequence[TopicPartition]) -> None:
        """Add the group's next offsets to the transaction."""
        metadata = self._consumer.consumer_group_metadata()
        self._repeat(
            "sending offsets",
            lambda: self._producer.send_offsets_to_transaction(
                list(offsets), metadata, CALL_TIMEOUT_S
            ),
        )

    def commit(self) -> None:
        """Everything since `begin` is there for committed readers, or nothing is."""
        self._repeat("committing", lambda: self._producer.commit_transaction(CALL_TIMEOUT_S))

    def abort(self) -> None:
        """Drop what was sent since `begin`, all of which is flushed, and go on with this producer.

        Only an abort in order is harmless: after an error the process ends. Raises `Fenced` where
        a successor holds the group.
        """
        self._repeat("aborting", lambda: self._producer.abort_transaction(CALL_TIMEOUT_S))

    def _repeat(self, doing: str, call: Callable[[], object]) -> None:
        """Call until it succeeds; only errors that librdkafka calls retriable are repeated."""
        deadline = time.monotonic() + FENCING_TIMEOUT_S
        while True:
            try:
                with self._watchdog.watching(doing):
                    call()
            except KafkaException as exception:
                if exception.args[0].retriable() and time.monotonic() < deadline:
                    continue
                raise self._ended(exception, doing) from None
            else:
                return

    def _ended(self, exception: KafkaException, doing: str) -> Fatal:
        error: KafkaError = exception.args[0]
        if error.txn_requires_abort() or error.code() in _UNEXPLAINED:
            try:
                with self._watchdog.watching("aborting"):
                    self._producer.abort_transaction(CALL_TIMEOUT_S)
            except KafkaException as second:  # says why: a zombie hears here that it is fenced
                error = second.args[0]
        translated = translate(error, doing=doing)
        if isinstance(translated, Fatal):
            return translated
        return Fatal(
            f"Kafka: {doing} failed",
            got=error.name(),
            next_step="the successor finds out what held",
        )

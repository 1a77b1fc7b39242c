"""The broker as enforcement uses it: sources by explicit assignment, releases in transactions.

No group membership and no rebalancing: the transactional id alone decides who holds a group, and
`init_transactions` fences the predecessor.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from civicbus_producers.kafka import kafka_errors_translated, translate
from civicbus_schemas.envelope import Headers
from civicbus_schemas.errors import Fatal, Stopped
from civicbus_schemas.page import Position
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from civicbus_consumers.enforcement.note import Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.runtime.watchdog import Watchdog

CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to be produced in a transaction."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Sources:
    """The source partitions of one group, read from their committed offsets."""

    def __init__(self, consumer: Consumer, partitions: Sequence[tuple[str, int]]) -> None:
        self.consumer = consumer
        self._partitions = [TopicPartition(topic, p) for topic, p in partitions]
        self._waiting: deque[Taken] = deque()

    def assign(self) -> None:
        """Go to the committed offsets; raises `Stopped` where one is missing (invariant I2)."""
        with kafka_errors_translated("reading committed offsets"):
            committed = self.consumer.committed(self._partitions, timeout=CALL_TIMEOUT_S)
        missing = [f"{tp.topic}/{tp.partition}" for tp in committed if tp.offset < 0]
        if missing:
            raise Stopped(
                "source partitions have no committed offset",
                got=missing[:5],
                next_step="run `civicbus provision`; it commits 0 for new partitions only",
            )
        self.consumer.assign(
            [TopicPartition(tp.topic, tp.partition, tp.offset) for tp in committed]
        )

    def take(self, limit: int, *, wait_s: float) -> list[Taken]:
        """Up to `limit` messages: what is there, waiting `wait_s` at the most."""
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        deadline = time.monotonic() + wait_s
        while len(taken) < limit and (left := deadline - time.monotonic()) > 0:
            messages = self.consumer.consume(limit - len(taken), timeout=min(left, 0.02))
            taken += [_taken(message) for message in messages]
            if taken and not messages:
                break
        return taken

    def put_back(self, rest: Iterable[Taken]) -> None:
        """Give back what did not fit; it is taken first, in order."""
        self._waiting.extendleft(reversed(list(rest)))


def _taken(message: Message) -> Taken:
    error = message.error()
    if error is not None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Stopped("a committed offset is out of range", got=message.topic())
        raise translate(error, doing="reading a source topic")
    key, value = message.key(), message.value()
    return Taken(
        at=Coordinates(message.topic() or "", message.partition() or 0, message.offset() or 0),
        key=key.encode() if isinstance(key, str) else key,
        value=value.encode() if isinstance(value, str) else value,
        headers=message.headers() or [],  # type: ignore[arg-type]
    )


class Releases:
    """Transactions of one group: deliveries, source offsets and state positions, all or nothing.

    After any error but a retriable one the producer must not be used again: the error is `Fatal`
    (or `Fenced`), the process ends, and the successor settles.
    """

    def __init__(self, producer: Producer, consumer: Consumer, *, watchdog: Watchdog) -> None:
        self._producer, self._consumer, self._watchdog = producer, consumer, watchdog

    def fence_predecessor(self) -> None:
        """Take over the transactional id; whoever held it can release nothing any more."""
        self._repeat("fencing the predecessor", lambda: self._producer.init_transactions(60.0))

    def begin(self) -> None:
        """Begin a transaction."""
        self._repeat("beginning a transaction", self._producer.begin_transaction)

    def produce(self, message: Outgoing) -> None:
        """Add one message to the transaction; exposure begins here."""
        while True:
            try:
                self._producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=message.headers,  # type: ignore[arg-type]
                )
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as exception:
                raise self._ended(exception, "producing a delivery") from None
            else:
                return

    def send_offsets(
        self, sources: Sequence[Coordinates], positions: Sequence[Position], note: Note
    ) -> None:
        """Commit the next offsets of the sources, and the state positions with the note on them.

        Flushes first: librdkafka otherwise waits 100 ms.
        """
        offsets = [TopicPartition(c.topic, c.partition, c.offset) for c in sources]
        offsets += [TopicPartition(p.topic, p.partition, p.offset, str(note)) for p in positions]
        self._repeat("flushing deliveries", lambda: self._producer.flush(CALL_TIMEOUT_S))
        metadata = self._consumer.consumer_group_metadata()
        self._repeat(
            "sending offsets",
            lambda: self._producer.send_offsets_to_transaction(offsets, metadata, CALL_TIMEOUT_S),
        )

    def commit(self) -> None:
        """Release."""
        self._repeat("committing", lambda: self._producer.commit_transaction(CALL_TIMEOUT_S))

    def _repeat(self, doing: str, call: Callable[[], object]) -> None:
        """Call until it succeeds; only errors that librdkafka calls retriable are repeated."""
        deadline = time.monotonic() + CALL_TIMEOUT_S
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

    def _ended(self, exception: KafkaException, doing: str) -> Exception:
        error: KafkaError = exception.args[0]
        if error.txn_requires_abort():
            with self._watchdog.watching("aborting"):
                self._producer.abort_transaction(CALL_TIMEOUT_S)
        translated = translate(error, doing=doing)
        if isinstance(translated, Fatal):
            return translated
        return Fatal(
            f"Kafka: {doing} failed", got=error.name(), next_step="the successor settles the batch"
        )


def find_note(consumer: Consumer, positions: Sequence[Position]) -> Note:
    """The predecessor's note: the metadata of the committed state positions.

    Read with a read-committed consumer, which asks the broker for stable offsets only. All state
    positions carry the same note, since they are committed together.
    """
    with kafka_errors_translated("reading the predecessor's note"):
        committed = consumer.committed(
            [TopicPartition(p.topic, p.partition) for p in positions], timeout=CALL_TIMEOUT_S
        )
    notes = {tp.metadata or "" for tp in committed}
    if len(notes) > 1:
        raise Stopped(
            "the state positions carry different notes",
            got=f"{len(notes)} notes",
            next_step="find out who committed for this group before starting it again",
        )
    return Note.parse(next(iter(notes), None))

"""Folds consent events into `state.consent.v1`, each batch in one Kafka transaction.

One process holds the partitions p with p mod G = k. Its transactional id fences a predecessor that
wakes up late: else a zombie could write an old state and so revive a withdrawn consent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TypeVar

from civicbus_producers.kafka import (
    BrokerAccess,
    ConnectionErrors,
    client_config,
    consumer_config,
    kafka_errors_translated,
    producer_config,
    translate,
)
from civicbus_schemas import telemetry
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import BusError, Fatal, Overdue, Retryable, Stopped
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import Reason
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from civicbus_consumers.consent.changes import ChangeReader
from civicbus_consumers.consent.states import Batch, States
from civicbus_consumers.consent.territory import Territory
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.tracing import links, tracer
from civicbus_consumers.runtime.watchdog import Watchdog

BATCH = 500
_MAX_MESSAGE_BYTES = 2 * 1024 * 1024
_TIMEOUT_S = 30.0

T = TypeVar("T")


class Step(StrEnum):
    """What has just been done."""

    TAKEN = "taken"
    FOLDED = "folded"
    BEGUN = "begun"
    PRODUCED = "produced"
    FLUSHED = "flushed"
    OFFSETS_SENT = "offsets sent"
    COMMITTED = "committed"


OnStep = Callable[[Step], None]


class ConsentFolder:
    """One process's hold on its territory, from `open` until any error but `Retryable`."""

    def __init__(
        self,
        access: BrokerAccess,
        *,
        territory: Territory,
        reader: ChangeReader,
        schema_id: int,
        on_step: OnStep = lambda _step: None,
    ) -> None:
        """Connects; `open` takes the territory over. `schema_id` is that of `SUBJECT_CONSENTS`."""
        self._territory, self._reader, self._schema_id = territory, reader, schema_id
        self._on_step = on_step
        self._errors = ConnectionErrors(territory.name)
        self._watchdog = Watchdog()
        self._states = States()
        self._pending: list[Message] = []
        with kafka_errors_translated("making clients", errors=self._errors):
            self._producer = Producer(
                producer_config(
                    access,
                    client_id=territory.name,
                    errors=self._errors,
                    max_message_bytes=_MAX_MESSAGE_BYTES,
                    transactional_id=territory.name,
                )
            )
            self._consumer = self._new_consumer(access)
            self._tail_consumer = self._new_consumer(access)
            self._admin = AdminClient(
                client_config(access, client_id=territory.name, errors=self._errors)
            )

    def open(self) -> None:
        """Take over: 1. fence the predecessor, 2. read the state to its end, 3. go on after it.

        Raises `Stopped` when a source partition has no committed offset.
        """
        self._call("fencing the predecessor", lambda: self._producer.init_transactions(_TIMEOUT_S))
        territory = self._territory
        places = [(territory.state, p) for p in territory.partitions]
        StateTail(self._tail_consumer, self._admin, places).catch_up(  # 2
            self._states.load, timeout_s=600.0
        )
        self._tail_consumer.close()
        self._consumer.assign(self._committed())  # 3

    def fold_batch(self, *, wait_s: float = 0.2) -> Batch:
        """Fold what is there, or nothing after `wait_s` seconds. The order makes it safe:

        1. Take messages. 2. Fold them; a registry that does not answer raises `Retryable`, and the
        same messages come again. 3. Begin. 4. Produce the states of changed subjects, each to the
        source's partition number, and dead letters. 5. Flush. 6. Send the offsets. 7. Commit:
        from here the changes are in force. 8. Remember them.

        Any error in 3 to 7 ends this process (`Fatal`); its successor finds out what held.
        """
        self._take(wait_s)  # 1
        if not self._pending:
            return Batch()
        self._on_step(Step.TAKEN)
        batch = self._states.fold(self._pending, reader=self._reader)  # 2
        self._on_step(Step.FOLDED)
        with (
            tracer().start_as_current_span(telemetry.FOLD_CONSENTS, links=links(batch.traces)) as s,
            self._ending_on_error(),
        ):
            s.set_attribute(telemetry.GROUP, self._territory.name)
            s.set_attribute(telemetry.EVENTS, len(self._pending))
            self._commit(batch)  # 3 to 7
        self._states.adopt(batch)  # 8
        self._pending = []
        return batch

    def close(self) -> None:
        """Let go of the broker; what is not committed comes again."""
        self._consumer.close()

    @property
    def subjects(self) -> int:
        """How many subjects have a state here."""
        return len(self._states)

    def _take(self, wait_s: float) -> None:
        """Add to the pending messages only when there are none, so that none is passed over."""
        if self._pending:
            return
        taken: list[Message] = []
        try:
            with kafka_errors_translated("reading consent events", errors=self._errors):
                first = self._consumer.poll(wait_s)
                if first is not None:
                    taken.append(first)
                    taken += self._consumer.consume(BATCH - 1, timeout=0.01)
        finally:
            self._pending = [message for message in taken if message.error() is None]
        for message in taken:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._AUTO_OFFSET_RESET:
                    raise Stopped(
                        f"the committed offset of {message.topic()} is not there any more",
                        next_step="find out what was deleted, then commit where to go on",
                    )
                raise translate(error, doing="reading consent events")

    def _commit(self, batch: Batch) -> None:
        self._call("beginning a transaction", self._producer.begin_transaction)  # 3
        self._on_step(Step.BEGUN)
        for (partition, key), body in batch.states.items():  # 4
            value = frame(self._schema_id, body)
            self._producer.produce(self._territory.state, value, key=key, partition=partition)
            self._on_step(Step.PRODUCED)
        for message, reason in batch.dead:
            self._bury(message, reason)
            self._on_step(Step.PRODUCED)
        self._call("flushing", self._flush)  # 5
        self._on_step(Step.FLUSHED)
        offsets = self._next_offsets()
        metadata = self._consumer.consumer_group_metadata()
        self._call(  # 6
            "sending offsets",
            lambda: self._producer.send_offsets_to_transaction(offsets, metadata, _TIMEOUT_S),
        )
        self._on_step(Step.OFFSETS_SENT)
        self._call("committing", lambda: self._producer.commit_transaction(_TIMEOUT_S))  # 7
        self._on_step(Step.COMMITTED)

    def _bury(self, message: Message, reason: Reason) -> None:
        """The original bytes, and headers that hold no data; not its key, which may hold some."""
        topic, partition = str(message.topic()), int(message.partition() or 0)
        headers = {
            "dlq_topic": topic,
            "dlq_partition": str(partition),
            "dlq_offset": str(message.offset()),
            "dlq_reason": reason.value,
        }
        self._producer.produce(
            SourceTopic.parse(topic).dead_letters,
            message.value(),
            partition=partition,
            headers=[(name, text.encode()) for name, text in headers.items()],
        )

    def _flush(self) -> None:
        if self._producer.flush(_TIMEOUT_S):
            raise Overdue("the broker does not acknowledge states")

    def _next_offsets(self) -> list[TopicPartition]:
        newest = {(m.topic(), m.partition()): m.offset() for m in self._pending}
        return [
            TopicPartition(str(topic), int(partition or 0), int(offset or 0) + 1)
            for (topic, partition), offset in newest.items()
        ]

    def _committed(self) -> list[TopicPartition]:
        """The committed offsets of the sources; they are stable, as the predecessor is fenced."""
        places = [
            TopicPartition(source.name, partition)
            for source in self._territory.sources
            for partition in self._territory.partitions
        ]
        committed = self._call(
            "reading committed offsets",
            lambda: self._consumer.committed(places, timeout=_TIMEOUT_S),
        )
        missing = [f"{tp.topic}[{tp.partition}]" for tp in committed if tp.offset < 0]
        if missing:
            raise Stopped(
                f"{self._territory.name} has no committed offset",
                got=", ".join(missing),
                next_step="run `civicbus provision`, which commits 0 for new partitions",
            )
        return committed

    def _new_consumer(self, access: BrokerAccess) -> Consumer:
        name = self._territory.name
        return Consumer(consumer_config(access, client_id=name, group=name, errors=self._errors))

    def _call(self, doing: str, call: Callable[[], T]) -> T:
        """One call of the transaction, repeated while librdkafka says so and the watchdog lets."""
        with self._watchdog.watching(doing):
            while True:
                try:
                    with kafka_errors_translated(doing, errors=self._errors):
                        return call()
                except Retryable:
                    time.sleep(0.1)

    @contextmanager
    def _ending_on_error(self) -> Iterator[None]:
        """After any error in a transaction the producer is done for, and this process with it."""
        try:
            with kafka_errors_translated("folding a batch", errors=self._errors):
                yield
        except BusError as error:
            with suppress(KafkaException), self._watchdog.watching("aborting"):
                self._producer.abort_transaction(_TIMEOUT_S)
            if isinstance(error, Fatal):
                raise
            raise Fatal("a batch of consents could not be committed", got=error) from error

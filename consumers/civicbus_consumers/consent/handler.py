"""Folds consent events into `state.consent.v1`, each batch in one Kafka transaction.

One process holds the partitions p with p mod G = k. Its transactional id fences a predecessor that
wakes up late: else a zombie could write an old state and so revive a withdrawn consent.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from civicbus_producers.kafka import (
    BrokerAccess,
    ConnectionErrors,
    client_config,
    consumer_config,
    kafka_errors_translated,
    producer_config,
)
from civicbus_schemas import telemetry
from civicbus_schemas.codec import frame
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import Reason
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from civicbus_consumers.consent.changes import ChangeReader
from civicbus_consumers.consent.states import Batch, States
from civicbus_consumers.consent.territory import Territory
from civicbus_consumers.runtime.sources import assign_committed, require_message
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.tracing import links, tracer
from civicbus_consumers.runtime.transactions import Transactions
from civicbus_consumers.runtime.watchdog import Watchdog

BATCH = 500
_MAX_MESSAGE_BYTES = 2 * 1024 * 1024


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
        self._states = States()
        self._pending: list[Message] = []
        with kafka_errors_translated("making clients", errors=self._errors):
            producer = Producer(
                producer_config(
                    access,
                    client_id=territory.name,
                    errors=self._errors,
                    max_message_bytes=_MAX_MESSAGE_BYTES,
                    transactional_id=territory.name,
                )
            )
            self._consumer = self._new_consumer(access)
            self._transactions = Transactions(producer, self._consumer, watchdog=Watchdog())
            self._tail_consumer = self._new_consumer(access)
            self._admin = AdminClient(
                client_config(access, client_id=territory.name, errors=self._errors)
            )

    def open(self) -> None:
        """Take over: 1. fence the predecessor, 2. read the state to its end, 3. go on after it.

        Raises `Stopped` when a source partition has no committed offset.
        """
        self._transactions.fence_predecessor()  # 1
        territory = self._territory
        places = [(territory.state, p) for p in territory.partitions]
        StateTail(self._tail_consumer, self._admin, places).catch_up(  # 2
            self._states.load, timeout_s=600.0
        )
        self._tail_consumer.close()
        assign_committed(  # 3
            self._consumer,
            [(source.name, p) for source in territory.sources for p in territory.partitions],
        )

    def fold_batch(self, *, wait_s: float = 0.2) -> Batch:
        """Fold what is there, or nothing after `wait_s` seconds. The order makes it safe:

        1. Take messages. 2. Fold them; a registry that does not answer raises `Retryable`, and the
        same messages come again. 3. Begin. 4. Produce the states of changed subjects, each to the
        source's partition number, and dead letters. 5. Flush. 6. Send the offsets. 7. Commit:
        from here the changes are in force. 8. Remember them.

        An error in 3 to 7 ends this process (`Fatal`); its successor finds out what held.
        """
        self._take(wait_s)  # 1
        if not self._pending:
            return Batch()
        self._on_step(Step.TAKEN)
        batch = self._states.fold(self._pending, reader=self._reader)  # 2
        self._on_step(Step.FOLDED)
        links_ = links(batch.traces)
        with tracer().start_as_current_span(telemetry.FOLD_CONSENTS, links=links_) as s:
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
            require_message(message, doing="reading consent events")

    def _commit(self, batch: Batch) -> None:
        transaction = self._transactions
        transaction.begin()  # 3
        self._on_step(Step.BEGUN)
        for (partition, key), body in batch.states.items():  # 4
            value = frame(self._schema_id, body)
            transaction.send(self._territory.state, value, key=key, partition=partition)
            self._on_step(Step.PRODUCED)
        for message, reason in batch.dead:
            self._bury(message, reason)
            self._on_step(Step.PRODUCED)
        transaction.flush()  # 5
        self._on_step(Step.FLUSHED)
        transaction.commit_offsets(self._next_offsets())  # 6
        self._on_step(Step.OFFSETS_SENT)
        transaction.commit()  # 7
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
        value = message.value()
        self._transactions.send(
            SourceTopic.parse(topic).dead_letters,
            value.encode() if isinstance(value, str) else value,
            partition=partition,
            headers=[(name, text.encode()) for name, text in headers.items()],
        )

    def _next_offsets(self) -> list[TopicPartition]:
        newest = {(m.topic(), m.partition()): m.offset() for m in self._pending}
        return [
            TopicPartition(str(topic), int(partition or 0), int(offset or 0) + 1)
            for (topic, partition), offset in newest.items()
        ]

    def _new_consumer(self, access: BrokerAccess) -> Consumer:
        name = self._territory.name
        return Consumer(consumer_config(access, client_id=name, group=name, errors=self._errors))

"""Receiving: the agency's side of the bus. At least once, only committed data, in order per person.

A delivery counts as dealt with when it is acknowledged, and not before; nothing is skipped
silently. One thread iterates; any thread may acknowledge, or stop the iteration. A little longer
than our other modules: polling, acknowledging and rebalancing guard the same positions.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from civicbus_producers.kafka import (
    ConnectionErrors,
    consumer_config,
    kafka_errors_translated,
    reach_broker,
    translate,
)
from civicbus_producers.registry import Registry
from civicbus_producers.settings import Connection
from civicbus_schemas.errors import BusError, Refused, Retryable, Stopped, Unavailable
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from civicbus_consumers.acknowledgements import Progress
from civicbus_consumers.delivery import Position, Received
from civicbus_consumers.ports import DeliveryConsumer
from civicbus_consumers.reading import DeliveryReader

log = logging.getLogger("civicbus.subscription")

_GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SLICE_S = 0.2
_TIMEOUT_S = 10.0
_JOIN_TIMEOUT_S = 60.0  # a broker that restarts waits for the sessions it knew
_COMMIT_INTERVAL_MS = 1_000
_SESSION_MS = 20_000


class DeliveriesExpired(Stopped):
    """Deliveries were deleted by their retention before this group acknowledged them."""


class Subscription:
    """One member of one agency's consumer group. Close it, or use it as a context manager."""

    def __init__(
        self, *, consumer: DeliveryConsumer, reader: DeliveryReader, topics: Iterable[str]
    ) -> None:
        """For tests and special transports; agencies call `connect`."""
        self._consumer = consumer
        self._reader = reader
        self._progress: dict[tuple[str, int], Progress] = {}
        self._unread: tuple[Position, Progress] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._joined = False
        self._failed: Stopped | None = None
        self._closed = False
        with kafka_errors_translated("subscribing"):
            consumer.subscribe(
                list(topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )

    @classmethod
    def connect(
        cls,
        agency: str,
        settings: Connection | None = None,
        *,
        families: Iterable[str] | None = None,
        name: str = "main",
        accept_gap: bool = False,
        connect_timeout_s: float = 10,
    ) -> Self:
        """A subscription to this agency's deliveries (all, or those of some families).

        Members with the same `name` share the work; another name gets everything once more. A new
        group begins with the oldest delivery that is kept. `accept_gap` goes on after a
        `DeliveriesExpired`. Raises `InvalidSettings`, `Forbidden`, `Unavailable`.
        """
        connection = settings or Connection.load(agency)
        if connection.agency != agency:
            raise Refused("settings of another agency", got=connection.agency, expected=agency)
        if not _GROUP_NAME.fullmatch(name):
            raise Refused("malformed name of a group", expected=_GROUP_NAME.pattern)
        topics = connection.topics_of(families)
        errors = ConnectionErrors(client_id=f"{agency}-subscription")
        config = consumer_config(
            connection,
            client_id=errors.client_id,
            group=connection.group_prefix + name,
            errors=errors,
            auto_offset_reset="earliest" if accept_gap else "error",
        ) | {
            "enable.auto.commit": True,  # of what `acknowledge` stores, and nothing else
            "auto.commit.interval.ms": _COMMIT_INTERVAL_MS,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": _SESSION_MS,
            "enable.partition.eof": True,
            "on_commit": _log_failed_commit,
        }
        with kafka_errors_translated("making a consumer", errors=errors):
            consumer = Consumer(config)
        try:
            reach_broker(consumer, errors=errors, timeout_s=connect_timeout_s)
        except BusError:
            consumer.close()
            raise
        reader = DeliveryReader(Registry(connection.registry_url))
        return cls(consumer=consumer, reader=reader, topics=topics)

    def deliveries(self, *, idle_s: float | None = None) -> Iterator[Received]:
        """Deliveries and notices as they come, until `stop`, or none for `idle_s` seconds.

        Raises `UndecodableDelivery`, which comes again until it is passed over;
        `DeliveriesExpired`; `Forbidden`; `Stopped` when the group's positions cannot be read; and
        `Unavailable` when the registry, or at the end of `idle_s` the broker, does not answer.
        After a `Retryable` error iterate again.
        """
        if self._closed:
            raise Refused("this subscription is closed", next_step="connect again")
        last = time.monotonic()
        while not self._stopping.is_set():
            hurries = idle_s is not None and self._at_end()
            message = self._poll(min(_SLICE_S, idle_s or 0) if hurries else _SLICE_S)
            if message is not None:
                yield self._read(message)
                last = time.monotonic()
            elif idle_s is not None and self._is_idle(time.monotonic() - last, idle_s):
                return

    def pass_over(self, position: Position) -> None:
        """Go on after a delivery that cannot be read; it is acknowledged unread, and logged."""
        if self._unread is None or position != self._unread[0]:
            raise Refused("only the delivery that could not be read just now can be passed over")
        log.warning("the delivery at %s is passed over unread", position)
        _, progress = self._unread
        self._unread = None
        if self._acknowledge(progress, position):
            self._seek(position, offset=position.offset + 1)

    def stop(self) -> None:
        """End the iteration soon; safe from any thread and from a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Commit what is acknowledged and leave the group; the rest comes to another member.

        Raises when that commit fails: then acknowledged deliveries will come again.
        """
        if self._closed:
            return
        self._closed = True
        self.stop()
        try:
            with kafka_errors_translated("committing acknowledgements"):
                self._commit()
        finally:
            self._consumer.close()

    def _at_end(self) -> bool:
        return self._joined and all(progress.at_end for progress in self._progress.values())

    def _is_idle(self, quiet_s: float, idle_s: float) -> bool:
        """Whether nothing more is there: known only to a member who has read to all the ends."""
        if quiet_s < (idle_s if self._at_end() else max(idle_s, _JOIN_TIMEOUT_S)):
            return False
        with kafka_errors_translated("asking whether more deliveries are there"):
            self._consumer.list_topics(timeout=_TIMEOUT_S)
        if not self._joined:
            raise Unavailable("the group has not admitted this member", got=f"{quiet_s:.0f} s")
        if not self._at_end():
            raise Unavailable("the broker does not give the rest", got=f"{quiet_s:.0f} s")
        return True

    def _poll(self, timeout_s: float) -> Message | None:
        if self._failed is not None:
            raise self._failed
        with kafka_errors_translated("receiving"):
            message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            self._judge(error, message)
            return None
        return message

    def _judge(self, error: KafkaError, message: Message) -> None:
        """Note an end; raise an error that will not pass by itself; log one that will."""
        if error.code() == KafkaError._PARTITION_EOF:
            end = _position(message)
            if held := self._progress.get((end.topic, end.partition)):
                held.at_end = True
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise DeliveriesExpired(
                f"deliveries of {message.topic()}[{message.partition()}] have expired unread",
                next_step="tell the bus's operator; connect once with accept_gap=True to go on",
            )
        ours = translate(error, doing="receiving")
        if error.code() != KafkaError._MAX_POLL_EXCEEDED and not isinstance(ours, Retryable):
            raise ours
        log.warning("receiving: %s", error.name())

    def _read(self, message: Message) -> Received:
        position = _position(message)
        with self._lock:
            progress = self._progress[position.topic, position.partition]
            progress.delivered(position.offset)
        try:
            return self._reader.read(
                key=message.key(),
                value=message.value(),
                headers=message.headers(),
                position=position,
                acknowledgement=lambda: self._acknowledge(progress, position),
            )
        except BusError:
            self._unread = position, progress
            self._seek(position, offset=position.offset)
            raise

    def _acknowledge(self, progress: Progress, position: Position) -> bool:
        with self._lock:
            if not progress.held or self._closed:
                return False
            commit = progress.acknowledge(position.offset)
            if commit is None:
                return True
            stored = TopicPartition(position.topic, position.partition, commit)
            try:
                self._consumer.store_offsets(offsets=[stored])
            except KafkaException as exception:
                if exception.args[0].code() == KafkaError._STATE:  # revoked this very moment
                    return False
                raise translate(exception.args[0], doing="acknowledging") from None
            return True

    def _commit(self) -> None:
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as exception:
            if exception.args[0].code() != KafkaError._NO_OFFSET:  # nothing to commit
                raise

    def _seek(self, position: Position, *, offset: int) -> None:
        with kafka_errors_translated(f"going to {position}"):
            self._consumer.seek(TopicPartition(position.topic, position.partition, offset))

    def _on_assign(self, _: object, partitions: list[TopicPartition]) -> None:
        """Begin where the group stopped, or for a new group at the oldest delivery."""
        try:
            with kafka_errors_translated("reading the group's positions"):
                starts = self._starts(partitions)
                self._consumer.incremental_assign(starts)
        except BusError as error:  # librdkafka now begins where it likes
            self._failed = Stopped(
                "where to begin is not known", got=str(error), next_step="connect again"
            )
            raise self._failed from None
        self._joined = True
        with self._lock:
            self._progress |= {(p.topic, p.partition): Progress() for p in starts}

    def _starts(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        if not partitions:
            return []  # librdkafka answers a question about no partition only with a time-out
        starts = self._consumer.committed(partitions, timeout=_TIMEOUT_S)
        for start in starts:
            if start.error is not None:
                raise KafkaException(start.error)
            if start.offset < 0:
                start.offset = OFFSET_BEGINNING
        return starts

    def _on_revoke(self, _: object, partitions: list[TopicPartition]) -> None:
        """Let go: later acknowledgements no longer count; librdkafka commits the earlier ones."""
        with self._lock:
            for partition in partitions:
                progress = self._progress.pop((partition.topic, partition.partition), None)
                if progress is not None:
                    progress.held = False

    def _on_lost(self, _: object, partitions: list[TopicPartition]) -> None:
        """The group went on without this member, which joins anew by itself."""
        self._joined = False
        self._on_revoke(_, partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BusError as failed:
            if error is None:
                raise
            error.add_note(f"Closing the subscription: {failed}")


def _position(message: Message) -> Position:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None  # noqa: S101, PT018
    return Position(topic, partition, offset)


def _log_failed_commit(error: KafkaError | None, _: list[TopicPartition]) -> None:
    """librdkafka tries again with the next commit; `close` raises when the last one fails."""
    if error is not None and error.code() != KafkaError._NO_OFFSET:
        log.warning("committing acknowledgements: %s", error.name())

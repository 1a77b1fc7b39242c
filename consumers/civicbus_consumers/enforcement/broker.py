"""The broker as enforcement uses it: sources by explicit assignment, releases in transactions.

What every room needs of it lies in `runtime`: transactions, and sources from committed offsets.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from civicbus_producers.positions import read_committed
from civicbus_schemas.envelope import Headers
from civicbus_schemas.errors import Stopped
from civicbus_schemas.page import Position
from confluent_kafka import Consumer, Message, TopicPartition

from civicbus_consumers.enforcement.note import Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.runtime.sources import assign_committed, require_message
from civicbus_consumers.runtime.transactions import CALL_TIMEOUT_S, Transactions


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
        self._partitions = partitions
        self._waiting: deque[Taken] = deque()

    def assign(self) -> None:
        """Go to the committed offsets; raises `Stopped` where one is missing (invariant I2)."""
        assign_committed(self.consumer, self._partitions)

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
    require_message(message, doing="reading a source topic")
    key, value = message.key(), message.value()
    return Taken(
        at=Coordinates(message.topic() or "", message.partition() or 0, message.offset() or 0),
        key=key.encode() if isinstance(key, str) else key,
        value=value.encode() if isinstance(value, str) else value,
        headers=message.headers() or [],  # type: ignore[arg-type]
    )


class Releases(Transactions):
    """Transactions of one group: deliveries, source offsets and state positions, with the note."""

    def produce(self, message: Outgoing) -> None:
        """Produce one message in the transaction; exposure begins here."""
        self.send(
            message.topic,
            message.value,
            partition=message.partition,
            key=message.key,
            headers=message.headers,
        )

    def send_offsets(
        self, sources: Sequence[Coordinates], positions: Sequence[Position], note: Note
    ) -> None:
        """Add the next offsets of the sources, and the state positions with the note on them."""
        offsets = [TopicPartition(c.topic, c.partition, c.offset) for c in sources]
        offsets += [TopicPartition(p.topic, p.partition, p.offset, str(note)) for p in positions]
        self.flush()
        self.commit_offsets(offsets)


def find_positions(consumer: Consumer, places: Sequence[Position]) -> tuple[Position, ...]:
    """The state positions that the predecessor committed; 0 where it never came to that."""
    committed = read_committed(
        consumer,
        [TopicPartition(p.topic, p.partition) for p in places],
        timeout_s=CALL_TIMEOUT_S,
        doing="reading the predecessor's positions",
    )
    return tuple(
        Position(topic=tp.topic, partition=tp.partition, offset=max(tp.offset, 0))
        for tp in committed
    )


def find_note(consumer: Consumer, positions: Sequence[Position]) -> Note:
    """The predecessor's note: the metadata of the committed state positions.

    Read with a read-committed consumer, which asks the broker for stable offsets only. All state
    positions carry the same note, since they are committed together.
    """
    committed = read_committed(
        consumer,
        [TopicPartition(p.topic, p.partition) for p in positions],
        timeout_s=CALL_TIMEOUT_S,
        doing="reading the predecessor's note",
    )
    notes = {tp.metadata or "" for tp in committed}
    if len(notes) > 1:
        raise Stopped(
            "the state positions carry different notes",
            got=f"{len(notes)} notes",
            next_step="find out who committed for this group before starting it again",
        )
    return Note.parse(next(iter(notes), None))

"""The consent state of some partitions in memory, as encoded bodies; and one batch's changes to it.

Talks to no broker: the handler feeds it what is stored, and stores what a batch makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from civicbus_schemas.codec import unframe
from civicbus_schemas.envelope import Headers
from civicbus_schemas.errors import InvalidBytes, Stopped, TooLarge
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import Reason
from confluent_kafka import Message
from opentelemetry.trace import SpanContext

from civicbus_consumers.consent.changes import ChangeReader, Unreadable
from civicbus_consumers.consent.rules import fold_encoded
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_consumers.runtime.tracing import sampled_context

Place = tuple[int, bytes]
"""A partition number and a subject's topic pseudonym."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """What a run of messages comes to. `unchanged` counts events that had been folded before."""

    states: dict[Place, bytes] = field(default_factory=dict)
    dead: list[tuple[Message, Reason]] = field(default_factory=list)
    changed: int = 0
    unchanged: int = 0
    traces: list[SpanContext] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many messages it came from."""
        return self.changed + self.unchanged + len(self.dead)


class States:
    """The newest state of each subject."""

    def __init__(self) -> None:
        self._bodies: dict[Place, bytes] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    def load(self, message: Message) -> None:
        """Take a stored state; raises `Stopped` where the topic holds what nobody may write."""
        place = _place(message)
        try:
            _, self._bodies[place] = unframe(message.value())
        except InvalidBytes as error:
            raise Stopped(
                "a state cannot be read",
                got=f"{message.topic()}[{message.partition()}]@{message.offset()}: {error.what}",
                next_step="find out who wrote it; only the consent processes may",
            ) from None

    def fold(self, messages: Sequence[Message], *, reader: ChangeReader) -> Batch:
        """What the messages change, in their order; nothing here changes until `adopt`."""
        batch = Batch()
        for message in messages:
            headers = cast("Headers | None", message.headers())
            agency = SourceTopic.parse(str(message.topic())).agency
            read = reader.read(agency, key=message.key(), value=message.value(), headers=headers)
            if isinstance(read, Unreadable):
                batch.dead.append((message, read.reason))
                continue
            place = _place(message)
            if place[0] != partition_of(place[1]):  # nobody would look for its state here
                batch.dead.append((message, Reason.WRONG_PARTITION))
                continue
            body = batch.states.get(place, self._bodies.get(place))
            try:
                after = fold_encoded(body, read.change)
            except TooLarge:
                batch.dead.append((message, Reason.TOO_LARGE))
                continue
            if after is None:
                batch.unchanged += 1
            else:
                batch.states[place] = after
                batch.changed += 1
            if context := sampled_context(read.traceparent):
                batch.traces.append(context)
        return batch

    def adopt(self, batch: Batch) -> None:
        """The batch is committed."""
        self._bodies.update(batch.states)


def _place(message: Message) -> Place:
    partition, key = message.partition(), message.key()
    if partition is None or key is None:
        raise Stopped("a message of the consent topics has no key", got=message.topic())
    return partition, key

"""The page topic as sealing reads it: one partition, from where the ledger stands.

The ledger's own state says where to go on. Offsets are committed too, for those who watch lag and
for the recorders' fuse; sealing itself does not go by them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from civicbus_audit.sequencing import PageMessage
from civicbus_producers.kafka import (
    BrokerAccess,
    ConnectionErrors,
    consumer_config,
    kafka_errors_translated,
    translate,
)
from civicbus_schemas.envelope import Headers
from civicbus_schemas.errors import Stopped
from civicbus_schemas.topics import AUDIT_PAGE, SEALING
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from opentelemetry.trace import SpanContext

from civicbus_consumers.recording.fuse import level_note
from civicbus_consumers.runtime.tracing import sampled_context

MAX_PAGES = 256
MAX_BYTES = 16 * 1024 * 1024
_TIMEOUT_S = 10.0


class SourceRegressed(Stopped):
    """The page topic is shorter than what was sealed of it: somebody took pages away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message of the page topic; `trace` is its recorder's, where the trace is sampled."""

    page: PageMessage
    trace: SpanContext | None


class PageSource:
    """Reads pages in the topic's order."""

    def __init__(self, access: BrokerAccess, *, position: int, topic: str = AUDIT_PAGE) -> None:
        """Goes to `position`. Raises `SourceRegressed`, `Unavailable` or `Overdue`."""
        self._topic, self.position = topic, position
        self._errors = ConnectionErrors(SEALING)
        self._pending: list[Taken] = []
        self._consumer = Consumer(
            consumer_config(access, client_id=SEALING, group=SEALING, errors=self._errors)
            | {"fetch.message.max.bytes": MAX_BYTES}
        )
        self.backlog()
        self._consumer.assign([TopicPartition(topic, 0, position)])

    def take(self, *, wait_s: float, gather_s: float) -> list[Taken]:
        """Pages in order, none after `wait_s`; after the first, those of `gather_s` more.

        What was taken comes again until `advance`, also when an error interrupts it.
        """
        deadline = time.monotonic() + wait_s
        while not self._is_full():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with kafka_errors_translated("reading pages", errors=self._errors):
                message = self._consumer.poll(left)
            if message is None:
                break
            if not self._pending:
                deadline = time.monotonic() + gather_s
            self._pending.append(_taken(message))
        return list(self._pending)

    def advance(self, position: int) -> None:
        """Everything before `position` is sealed, and so all up to the time of the page before."""
        done = [taken.page.at for taken in self._pending if taken.page.offset < position]
        self._pending = [taken for taken in self._pending if taken.page.offset >= position]
        self.position = position
        if done:
            self.say_level(done[-1])

    def say_level(self, until: datetime) -> None:
        """Tell whoever records that all pages up to this time are sealed (`recording.fuse`)."""
        place = TopicPartition(self._topic, 0, self.position, metadata=level_note(until))
        with suppress(KafkaException):  # the ledger's state counts; a level that is not told is old
            self._consumer.commit(offsets=[place], asynchronous=True)

    def backlog(self) -> int:
        """How many pages are still to be sealed; raises `SourceRegressed` if less than none."""
        place = TopicPartition(self._topic, 0)
        with kafka_errors_translated("asking for the end of the pages", errors=self._errors):
            _, end = self._consumer.get_watermark_offsets(place, _TIMEOUT_S)
        if end < self.position:
            raise SourceRegressed(
                "the page topic has lost pages that are in the ledger",
                got=f"end {end}",
                expected=f"at least {self.position}",
                next_step="find out who deleted them; the ledger still has them",
            )
        return int(end) - self.position

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _is_full(self) -> bool:
        size = sum(len(taken.page.value) for taken in self._pending)
        return len(self._pending) >= MAX_PAGES or size >= MAX_BYTES


def _taken(message: Message) -> Taken:
    error = message.error()
    if error is not None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise SourceRegressed(
                "the page to be sealed next is not in the page topic any more",
                next_step="find out who deleted it before going on",
            )
        raise translate(error, doing="reading pages")
    headers = cast("Headers", message.headers() or [])
    traceparent = next((value for name, value in headers if name == "traceparent"), b"")
    _, stamp_ms = message.timestamp()
    return Taken(
        page=PageMessage(
            offset=int(message.offset() or 0),
            at=datetime.fromtimestamp(stamp_ms / 1000, UTC),
            value=message.value() or b"",
        ),
        trace=sampled_context((traceparent or b"").decode("ascii", "replace")),
    )

"""The page topic by offset, read beside sealing and without a trace in its group."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from civicbus_audit.sequencing import PageMessage
from civicbus_producers.kafka import (
    BrokerAccess,
    ConnectionErrors,
    consumer_config,
    kafka_errors_translated,
    translate,
)
from civicbus_schemas.errors import EvidenceBroken, Overdue
from civicbus_schemas.topics import AUDIT_PAGE, SEALING
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

_TIMEOUT_S = 10.0
_SILENT_S = 30.0
_DAMAGED = frozenset({KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError.INVALID_MSG})


class Pages(Protocol):
    """Messages of the page topic by offset (fake: `tests/fakes/page_topic.py`)."""

    def first_since(self, at: datetime) -> int:
        """The offset of the first message of this time or a later one; the end if none is."""
        ...

    def read(self, begin: int, end: int) -> Iterator[PageMessage]:
        """Those of these offsets that are still there, in order.

        Raises `EvidenceBroken` at one that the broker has and that cannot be read.
        """
        ...

    def close(self) -> None:
        """Let go of the broker."""
        ...


class KafkaPages:
    """The port on the broker; one consumer, which commits nothing."""

    def __init__(self, access: BrokerAccess, *, topic: str = AUDIT_PAGE) -> None:
        self._topic = topic
        self._errors = ConnectionErrors("scrubbing")
        self._consumer = Consumer(
            consumer_config(access, client_id="scrubbing", group=SEALING, errors=self._errors)
            | {"check.crcs": True, "queued.max.messages.kbytes": 4_096}
        )

    def first_since(self, at: datetime) -> int:
        """See `Pages`."""
        wanted = TopicPartition(self._topic, 0, int(at.timestamp() * 1000))
        with kafka_errors_translated("asking for the time of pages", errors=self._errors):
            (found,) = self._consumer.offsets_for_times([wanted], timeout=_TIMEOUT_S)
        return int(found.offset) if found.offset >= 0 else self._bounds()[1]

    def read(self, begin: int, end: int) -> Iterator[PageMessage]:
        """See `Pages`."""
        low, high = self._bounds()
        offset, end = max(begin, low), min(end, high)
        if offset >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, 0, offset)])
        try:
            while offset < end:
                message = self._next(offset)
                if message.offset >= end:
                    return
                yield message
                offset = message.offset + 1
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """See `Pages`."""
        self._consumer.close()

    def _bounds(self) -> tuple[int, int]:
        with kafka_errors_translated("asking for the ends of the pages", errors=self._errors):
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, 0), _TIMEOUT_S
            )
        return int(low), int(high)

    def _next(self, offset: int) -> PageMessage:
        deadline = time.monotonic() + _SILENT_S
        while time.monotonic() < deadline:
            with kafka_errors_translated("reading pages again", errors=self._errors):
                message = self._consumer.poll(1.0)
            if message is not None:
                return _page(message, offset)
        raise Overdue("the broker has not given the next page", got=f"nothing in {_SILENT_S} s")


def _page(message: Message, offset: int) -> PageMessage:
    if (error := message.error()) is not None:
        if error.code() in _DAMAGED:
            raise EvidenceBroken(
                f"the page topic cannot be read at or behind offset {offset}", got=error.name()
            )
        raise translate(error, doing="reading pages again")
    _, stamp_ms = message.timestamp()
    return PageMessage(
        offset=int(message.offset() or 0),
        at=datetime.fromtimestamp(stamp_ms / 1000, UTC),
        value=message.value() or b"",
    )

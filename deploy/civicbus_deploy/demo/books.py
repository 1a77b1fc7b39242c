"""The books of a bus: everything on its topics, as an outsider with all rights reads it.

They are made for checking, and share no code with what is checked but the language's own bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from civicbus_schemas.codec import unframe
from civicbus_schemas.errors import Overdue
from civicbus_schemas.ids import EventType
from civicbus_schemas.page import HeaderLeaf, Page, PageHeader
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE
from civicbus_schemas.withdrawn import is_withdrawn
from civicbus_schemas.withheld import is_notice
from confluent_kafka import Consumer, Message, TopicPartition

READ_S = 60.0

PageKey = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes
    headers: Mapping[str, str]

    @property
    def record(self) -> str:
        """The record that a delivery names."""
        return self.headers["ce_recordid"]


@dataclass(slots=True, kw_only=True)
class Books:
    """Records and pages by id, deliveries as committed readers and as careless readers see them.

    Notices that something was withheld, or has ended, are no deliveries; careless readers see all.
    """

    records: dict[str, Record] = field(default_factory=dict)
    leaves: dict[str, bytes] = field(default_factory=dict)
    headers: dict[PageKey, PageHeader] = field(default_factory=dict)
    page_of: dict[str, PageKey] = field(default_factory=dict)
    page_times_ms: dict[PageKey, int] = field(default_factory=dict)
    decided_at: dict[tuple[str, int, int], datetime] = field(default_factory=dict)
    repeated: int = 0
    delivered: list[Line] = field(default_factory=list)
    notices: list[Line] = field(default_factory=list)
    exposed: list[Line] = field(default_factory=list)

    def add_page(self, line: Line) -> None:
        """Enter one page; a page or record that stands twice is counted in `repeated`."""
        _, body = unframe(line.value)
        page = Page.decode(body)
        header = HeaderLeaf.decode(page.header).header
        key = header.recorder, header.sequence
        self.repeated += key in self.headers
        self.headers[key], self.page_times_ms[key] = header, line.time_ms
        for leaf in page.records:
            record = Record.decode(leaf)
            self.repeated += record.id in self.records
            self.records[record.id], self.leaves[record.id] = record, leaf
            self.page_of[record.id] = key
            if record.event is not None:
                source = record.event
                self.decided_at[source.topic, source.partition, source.offset] = record.at

    @property
    def released_pages(self) -> set[PageKey]:
        """Pages that a later header of their recorder, or a successor's, calls released."""
        last: dict[str, int] = {}
        for header in self.headers.values():
            for ref in (header.released, header.closes):
                if ref is not None:
                    last[ref.recorder] = max(last.get(ref.recorder, -1), ref.sequence)
        return {(recorder, n) for recorder, n in self.headers if n <= last.get(recorder, -1)}

    def unrecorded(self) -> list[str]:
        """Records that exposed deliveries name, aborted ones too, and that are on no page."""
        return [line.record for line in self.exposed if line.record not in self.records]

    def delivered_before_recorded(self) -> list[str]:
        """Records whose page is younger than a delivery that names them."""
        return [
            line.record
            for line in self.exposed
            if line.record in self.page_of
            and line.time_ms < self.page_times_ms[self.page_of[line.record]]
        ]

    def delivered_counts(self) -> Counter[tuple[str, int, int, str]]:
        """How often each (source topic, partition, offset, agreement) was delivered."""
        counts: Counter[tuple[str, int, int, str]] = Counter()
        for line in self.delivered:
            source = self.records[line.record].event
            if source is not None:
                agreement = line.headers["ce_agreement"]
                counts[source.topic, source.partition, source.offset, agreement] += 1
        return counts


def read_books(config: Mapping[str, Any], deliveries: Iterable[str]) -> Books:
    """Read pages and delivery topics to their present ends; raises `Overdue`."""
    names = sorted(deliveries)
    books = Books()
    for line in read_topics(config, [AUDIT_PAGE], committed=False):
        books.add_page(line)
    for line in read_topics(config, names):
        type_ = EventType(line.headers["ce_type"])
        told = is_notice(type_) or is_withdrawn(type_)
        (books.notices if told else books.delivered).append(line)
    books.exposed = list(read_topics(config, names, committed=False))
    return books


def read_topics(
    config: Mapping[str, Any], topics: Iterable[str], *, committed: bool = True
) -> Iterator[Line]:
    """All messages up to the topics' present ends.

    With `committed` false also those of transactions that were aborted. Raises `Overdue`.
    """
    consumer = Consumer(
        {
            **config,
            "group.id": "books",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
        }
    )
    try:
        places = [
            TopicPartition(topic, partition, 0)
            for topic in topics
            for partition in consumer.list_topics(topic, timeout=READ_S).topics[topic].partitions
        ]
        ends = {
            (tp.topic, tp.partition): consumer.get_watermark_offsets(tp, timeout=READ_S)[1]
            for tp in places
        }
        consumer.assign(places)
        deadline = time.monotonic() + READ_S
        while _is_short(consumer, places, ends):
            if time.monotonic() > deadline:
                raise Overdue("the topics could not be read to their ends")
            for message in consumer.consume(2000, timeout=0.05):
                if message.error() is None:
                    yield _line(message)
    finally:
        consumer.close()


def _is_short(
    consumer: Consumer, places: list[TopicPartition], ends: Mapping[tuple[str, int], int]
) -> bool:
    positions = consumer.position(places)
    return any(max(tp.offset, 0) < ends[tp.topic, tp.partition] for tp in positions)


def _line(message: Message) -> Line:
    key, value = message.key(), message.value()
    return Line(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time_ms=message.timestamp()[1],
        key=key if isinstance(key, bytes) else None,
        value=value if isinstance(value, bytes) else b"",
        headers=_texts(dict(message.headers() or [])),
    )


def _texts(headers: Mapping[str, str | bytes | None]) -> dict[str, str]:
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }

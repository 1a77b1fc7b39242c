"""Holds what was published, delivered, exposed and recorded against each other.

Reads the real topics as an outsider would and shares no code with enforcement's own counting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from civicbus_schemas.codec import unframe
from civicbus_schemas.page import HeaderLeaf, Page, PageHeader
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import Message

from tests.bus import Bus


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything that lies on the topics."""

    records: dict[str, Record]
    headers: dict[tuple[str, int], PageHeader]
    page_of: dict[str, tuple[str, int]]
    delivered: list[Message]
    exposed: list[Message]

    @property
    def released_pages(self) -> set[tuple[str, int]]:
        """Pages that a later header of the same recorder, or a successor, calls released."""
        last: dict[str, int] = {}
        for header in self.headers.values():
            for ref in (header.released, header.closes):
                if ref is not None:
                    last[ref.recorder] = max(last.get(ref.recorder, -1), ref.sequence)
        return {(r, n) for r, n in self.headers if n <= last.get(r, -1)}

    def unrecorded(self) -> list[str]:
        """Exposed deliveries, aborted ones too, whose record is not on a page."""
        return [r for r in map(record_of, self.exposed) if r not in self.records]

    def delivered_count(self) -> Counter[tuple[str, str]]:
        """How often each (source event, recipient's topic) was delivered, by its record."""
        return Counter(
            (self.records[record_of(m)].event.id, m.topic())  # type: ignore[union-attr,misc]
            for m in self.delivered
        )

    def delivered_but_unreleased(self) -> list[str]:
        """Committed deliveries whose page nobody calls released."""
        released = self.released_pages
        return [r for r in map(record_of, self.delivered) if self.page_of[r] not in released]


def header_of(message: Message, name: str) -> str:
    """One header of a message."""
    headers = dict(message.headers() or [])
    return (headers[name] or b"").decode()  # type: ignore[union-attr]


def record_of(message: Message) -> str:
    """The record that a delivery names."""
    return header_of(message, "ce_recordid")


def read_books(bus: Bus, topics: Iterable[str]) -> Books:
    """Read pages and deliveries to their present ends."""
    names = list(topics)
    records: dict[str, Record] = {}
    headers: dict[tuple[str, int], PageHeader] = {}
    page_of: dict[str, tuple[str, int]] = {}
    for message in bus.read_all(AUDIT_PAGE, committed=False):
        _, body = unframe(message.value())  # type: ignore[arg-type]
        page = Page.decode(body)
        header = HeaderLeaf.decode(page.header).header
        place = header.recorder, header.sequence
        assert place not in headers, "a page stands twice"
        headers[place] = header
        for leaf in page.records:
            record = Record.decode(leaf)
            assert record.id not in records, "a record stands twice"
            records[record.id], page_of[record.id] = record, place
    return Books(
        records=records,
        headers=headers,
        page_of=page_of,
        delivered=bus.read_all(*names, committed=True),
        exposed=bus.read_all(*names, committed=False),
    )

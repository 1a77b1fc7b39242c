"""What tests ask of a bus's books, and of single messages on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from civicbus_deploy.demo import books
from civicbus_deploy.demo.books import Books
from confluent_kafka import Message

from tests.bus import Bus


def read_books(bus: Bus, topics: Iterable[str]) -> Books:
    """Read pages and deliveries to their present ends; no page and no record stands twice."""
    found = books.read_books(bus.stack.client_config(), topics)
    assert found.repeated == 0
    return found


def delivered_count(found: Books) -> Counter[tuple[str, str]]:
    """How often each (source event, recipient's topic) was delivered, by its record."""
    return Counter(
        (found.records[line.record].event.id, line.topic)  # type: ignore[union-attr]
        for line in found.delivered
    )


def delivered_but_unreleased(found: Books) -> list[str]:
    """Records of committed deliveries whose page nobody calls released."""
    released = found.released_pages
    return [line.record for line in found.delivered if found.page_of[line.record] not in released]


def header_of(message: Message, name: str) -> str:
    """One header of a message."""
    headers = dict(message.headers() or [])
    return (headers[name] or b"").decode()  # type: ignore[union-attr]


def record_of(message: Message) -> str:
    """The record that a delivery names."""
    return header_of(message, "ce_recordid")

"""Where the page topic and the ledger contradict each other. Pure.

Every message that was sealed is in the ledger byte for byte: as the leaves of its page, as a notice
with its bytes set aside, or as the repetition of a page that came before. And no leaf is there that
no message brought, but for those that the ledger writes itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from civicbus_audit.notice import NOTICE, SET_ASIDE, Notice
from civicbus_audit.sequencing import PageMessage
from civicbus_schemas.codec import unframe
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HEADER_LEAF, Page


class Comparison(StrEnum):
    """What is held against what."""

    TOPIC = "topic"  # the page topic and the ledger's leaves
    TREE = "tree"  # leaves, tiles and the signed root
    INDEX = "index"  # the database's rows and the leaves they were made from
    WITNESSES = "witnesses"  # what each witness cosigned last, and the ledger


class Kind(StrEnum):
    """How topic and ledger contradict each other."""

    MISSING = "missing"  # what the topic says here is not in the ledger: altered, or never sealed
    GONE = "gone"  # the topic has no such message any more
    INVENTED = "invented"  # no message brought this leaf
    SEALED_PART = "sealed-part"  # the sealed part beside a leaf is another one, or gone
    QUARANTINE = "quarantine"  # bytes that were set aside are not there, or are others


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One contradiction; offset and leaf say where, as far as that is known."""

    comparison: Comparison
    kind: str
    offset: int | None = None
    leaf: int | None = None
    why: str = ""


class Leaves(Protocol):
    """The ledger's leaves and what lies beside them (`stored.StoredLog`)."""

    size: int

    def leaf(self, index: int) -> bytes:
        """One leaf."""
        ...

    def sealed(self, index: int) -> bytes:
        """The sealed part beside it; empty where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What topic and ledger are compared by.

    `find` gives the newest place of a leaf, `kept` the bytes that were set aside under their
    SHA-256; both are asked only where the next leaf is not the one that should come.
    """

    leaves: Leaves
    find: Callable[[bytes], int | None]
    kept: Callable[[str], bytes | None]
    is_own: Callable[[bytes], bool]  # what sealing writes by itself; `verify` makes it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From which offset to which the topic is read; `leaf` is where the first message's leaves are.

    `leaf` is None where that is not known, `whole` false where the ledger goes on behind `end`.
    """

    begin: int
    end: int
    leaf: int | None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    """The leaves of one message: from `start` to before `end`."""

    start: int
    end: int
    faults: tuple[Fault, ...] = ()


def compare(messages: Iterable[PageMessage], ledger: Ledger, span: Span) -> Iterator[Fault]:
    """Every contradiction in a span of the topic, in its order.

    After one it looks for the next message anywhere, and counts no leaf in between as a second one.
    """
    cursor, offset, sure = span.leaf, span.begin, span.leaf is not None
    for message in messages:
        if message.offset > offset:
            yield _fault(Kind.GONE, offset=offset, why=f"up to offset {message.offset - 1}")
            cursor, sure = None, False
        offset = message.offset + 1
        at_cursor = None if cursor is None else _match(message, ledger, cursor)
        found = at_cursor or _search(message, ledger)
        if found is None:
            yield _fault(Kind.MISSING, offset=message.offset, leaf=cursor)
            cursor, sure = None, False
            continue
        yield from found.faults
        if cursor is not None and found.start < cursor:
            continue  # a repetition
        if sure and at_cursor is None:
            yield _fault(Kind.INVENTED, leaf=cursor, why=f"up to leaf {found.start - 1}")
        cursor, sure = found.end, at_cursor is not None
    if offset < span.end:
        yield _fault(Kind.GONE, offset=offset, why=f"up to offset {span.end - 1}")
    elif span.whole and sure and (end := _behind_own(ledger, cursor or 0)) < ledger.leaves.size:
        yield _fault(Kind.INVENTED, leaf=end, why=f"up to leaf {ledger.leaves.size - 1}")


def place_of(message: PageMessage, ledger: Ledger) -> int | None:
    """Where the message's leaves begin, wherever they are; None if they are nowhere."""
    found = _search(message, ledger)
    return None if found is None else found.start


def _match(message: PageMessage, ledger: Ledger, cursor: int) -> _Found | None:
    """The message's leaves, if they are exactly the next ones."""
    start = _behind_own(ledger, cursor)
    if start >= ledger.leaves.size:
        return None
    notice = _notice_about(message, ledger.leaves.leaf(start))
    if notice and notice.content == hashlib.sha256(message.value).hexdigest():
        return _Found(start, start + 1, tuple(_check_kept(message, notice, ledger)))
    page = page_of(message.value)
    if page is None or (notice and notice.content != page.hash):
        return None
    return _match_page(page, ledger, start=start, first=start + 1 if notice else start)


def _match_page(page: Page, ledger: Ledger, *, start: int, first: int) -> _Found | None:
    expected, leaves = (page.header, *page.records), ledger.leaves
    end = first + len(expected)
    if end > leaves.size or any(
        leaves.leaf(index) != leaf for index, leaf in enumerate(expected, first)
    ):
        return None
    faults = tuple(
        _fault(Kind.SEALED_PART, leaf=index)
        for index, part in enumerate(page.sealed, first + 1)
        if leaves.sealed(index) != part
    )
    return _Found(start, end, faults)


def _search(message: PageMessage, ledger: Ledger) -> _Found | None:
    """The message's leaves, wherever they are."""
    page = page_of(message.value)
    if page is not None and (first := ledger.find(page.header)) is not None:
        before = _notice_about(message, ledger.leaves.leaf(first - 1)) if first else None
        return _match_page(page, ledger, start=first - 1 if before else first, first=first)
    for notice in _notices_for(message):
        if (index := ledger.find(notice)) is not None:
            return _match(message, ledger, index)
    return None


def _notices_for(message: PageMessage) -> Iterator[bytes]:
    """The notices, one of which stands for this message if it was set aside."""
    content = hashlib.sha256(message.value).hexdigest()
    for finding in SET_ASIDE:
        notice = Notice(finding=finding, at=message.at, offset=message.offset, content=content)
        yield notice.encode()


def _notice_about(message: PageMessage, leaf: bytes) -> Notice | None:
    try:
        notice = Notice.decode(leaf) if NOTICE.wrote(leaf) else None
    except InvalidBytes:
        return None
    return notice if notice and notice.offset == message.offset else None


def _check_kept(message: PageMessage, notice: Notice, ledger: Ledger) -> Iterator[Fault]:
    if ledger.kept(notice.content) != message.value:
        yield _fault(Kind.QUARANTINE, offset=message.offset)


def _behind_own(ledger: Ledger, index: int) -> int:
    while index < ledger.leaves.size and ledger.is_own(ledger.leaves.leaf(index)):
        index += 1
    return index


def page_of(value: bytes) -> Page | None:
    """The page in the bytes of a message; None where there is none."""
    try:
        page = Page.decode(unframe(value)[1])
    except InvalidBytes:
        return None
    return page if HEADER_LEAF.wrote(page.header) else None


def _fault(
    kind: Kind, *, offset: int | None = None, leaf: int | None = None, why: str = ""
) -> Fault:
    return Fault(comparison=Comparison.TOPIC, kind=kind, offset=offset, leaf=leaf, why=why)

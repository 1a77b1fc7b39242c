"""A leaf as a row of the index. Pure.

Records follow the header of their page, so a row knows its page from the header before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf, PageHeader
from civicbus_schemas.record import RECORD
from civicbus_schemas.vocabulary import FLAG_KINDS, RecordKind

from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.notice import NOTICE

UNREADABLE = "unreadable"
"""The kind of a leaf that this version cannot read; it is evidence all the same."""

Row = dict[str, Any]

_PLAIN = (
    *("id", "kind", "at", "recipient", "subject", "agreement", "dataset", "fields", "purpose"),
    *("basis", "consent", "decision", "reason", "rule", "policy"),
)
_ABOUT_A_RECORD = (RecordKind.BREAK_GLASS_REVIEW, RecordKind.PART_UNSEALING, *FLAG_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """The page that the next records belong to."""

    recorder: bytes
    sequence: int


def row_of(
    index: int, leaf: bytes, *, page: PageContext | None
) -> tuple[Row, PageHeader | None, PageContext | None]:
    """The row of a leaf, the header if it is one, and the page of the leaf after it."""
    row: Row = {"index": index, "hash": leaf_hash(leaf), "kind": UNREADABLE, "fields": []}
    try:
        if RECORD.wrote(leaf):
            row.update(record_row(RECORD.decode_single_object(leaf)))
        elif HEADER_LEAF.wrote(leaf):
            header = HeaderLeaf.decode(leaf).header
            page = PageContext(recorder=bytes.fromhex(header.recorder), sequence=header.sequence)
            row |= {"kind": RecordKind.PAGE.value, "at": header.at, "policy": _policy(header)}
            return row | _page(page), header, page
        elif INDEX_COMMIT.wrote(leaf):
            commit = IndexCommit.decode(leaf)
            return row | {"kind": RecordKind.INDEX_COMMIT.value, "at": commit.at}, None, page
        elif NOTICE.wrote(leaf):
            return row | _notice(NOTICE.decode_single_object(leaf)), None, page
    except InvalidBytes:
        pass
    row.update(_page(page))
    return row, None, page


def record_row(datum: Mapping[str, Any]) -> Row:
    """What a decoded record adds to its leaf's row."""
    event, req = datum["event"] or {}, datum["req"] or {}
    return {name: datum[name] for name in _PLAIN} | {
        "actor": datum["actor"]["agency"],
        "system": datum["actor"]["system"],
        "officer": datum["actor"]["officer"],
        "event_id": event.get("id"),
        "topic": event.get("topic"),
        "partition": event.get("partition"),
        "offset": event.get("offset"),
        "case_id": req.get("case"),
        "about": _about(datum["kind"], req.get("id")),
    }


def _about(kind: str, id_: str | None) -> bytes | None:
    """The record that a review, an unsealing or a flag is about."""
    return bytes.fromhex(id_) if kind in _ABOUT_A_RECORD and id_ else None


def _notice(datum: Mapping[str, Any]) -> Row:
    return {
        "kind": datum["kind"],
        "finding": datum["finding"],
        "id": datum["id"],
        "at": datum["at"],
        "recorder": datum["recorder"],
        "page": datum["sequence"],
    }


def _page(page: PageContext | None) -> Row:
    return {"recorder": page.recorder, "page": page.sequence} if page else {}


def _policy(header: PageHeader) -> bytes | None:
    return bytes.fromhex(header.policy) if header.policy else None

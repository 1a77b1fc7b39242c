"""The records that match, in pieces: each a run of bundles, read and spelled by whoever is free.

What a piece holds is a function of its leaves, and the pieces in their order are the files of an
evidence bundle; so it does not matter who made which.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HEADER_LEAF
from civicbus_schemas.record import RECORD

from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.crew import Crew
from civicbus_audit.evidence.records import as_line, as_row, plain
from civicbus_audit.index.rows import record_row
from civicbus_audit.notice import NOTICE
from civicbus_audit.query import DISCLOSING, Query
from civicbus_audit.stored import StoredLog
from civicbus_audit.tiles import WIDTH

_AT_ONCE = 16  # bundles: some megabytes where all their records match
_NOT_RECORDS = (HEADER_LEAF, NOTICE, INDEX_COMMIT)


@dataclass(slots=True, kw_only=True)
class Piece:
    """What some leaves add to the files, and how many of them nobody can read.

    `seen`: what `Releases` must be told, in order: the leaf of a page's header, or whether the next
    record disclosed something.
    """

    leaves: bytearray = field(default_factory=bytearray)
    lines: bytearray = field(default_factory=bytearray)
    rows: bytearray = field(default_factory=bytearray)
    indices: array[int] = field(default_factory=lambda: array("Q"))
    seen: list[bytes | bool] = field(default_factory=list)
    unreadable: int = 0

    def take(self, index: int, leaf: bytes, datum: dict[str, Any]) -> None:
        """Adds a record that matches."""
        record = plain(datum)
        self.leaves += index.to_bytes(8, "big") + len(leaf).to_bytes(2, "big") + leaf
        self.lines += as_line(index, leaf, record)
        self.rows += as_row(index, record)
        self.indices.append(index)
        self.seen.append(datum["decision"] in DISCLOSING)


def gather(log: StoredLog, query: Query, *, crew: Crew) -> Iterator[tuple[int, Piece]]:
    """The pieces of all that is kept, oldest first, each with the size up to which it was read."""
    firsts = range(log.bundles.start * WIDTH, log.size, _AT_ONCE * WIDTH)
    pieces = crew.each(partial(_piece, log, query), firsts)
    for first, piece in zip(firsts, pieces, strict=True):
        yield min(log.size, first + _AT_ONCE * WIDTH), piece


def _piece(log: StoredLog, query: Query, first: int) -> Piece:
    piece, needles, matches = Piece(), query.needles(), query.predicate()
    bundles = range(first // WIDTH, min(first // WIDTH + _AT_ONCE, -(-log.size // WIDTH)))
    for number in bundles:
        begin = max(log.first, number * WIDTH)
        for index, leaf in enumerate(log.bundle(number)[begin % WIDTH :], begin):
            if not RECORD.wrote(leaf):
                piece.unreadable += not any(known.wrote(leaf) for known in _NOT_RECORDS)
                if HEADER_LEAF.wrote(leaf):
                    piece.seen.append(leaf)
            elif all(needle in leaf for needle in needles):
                try:
                    datum = RECORD.decode_single_object(leaf)
                except InvalidBytes:
                    piece.unreadable += 1
                    continue
                if matches({"index": index} | record_row(datum)):
                    piece.take(index, leaf, datum)
    return piece

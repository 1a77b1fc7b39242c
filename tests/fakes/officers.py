"""Fakes of what the officers' desk stands on: index and ledger in memory, with fault switches."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from civicbus_audit.completeness.asked import Asked
from civicbus_audit.index.searching import Entry
from civicbus_audit.query import DISCLOSING, Query
from civicbus_consumers.officers.reading import Extent, Proved
from civicbus_schemas.errors import EvidenceBroken, Unavailable
from civicbus_schemas.vocabulary import DECISION_KINDS, Outcome, RecordKind

_YESTERDAY = datetime.now(UTC) - timedelta(days=1)
AT = _YESTERDAY.replace(hour=8, minute=0, second=0, microsecond=0)
"""When all was read: a question that names no period reaches a year back from today."""
_SAME = ("id", "kind", "subject", "recipient", "actor", "officer", "case_id", "agreement",
         "dataset", "event_id", "purpose", "basis", "decision", "reason", "rule")  # fmt: skip


def entry(index: int, **values: Any) -> Entry:
    """A leaf of the index; whatever is not given is empty."""
    given = dict.fromkeys(field.name for field in fields(Entry)) | {
        "index": index,
        "hash": f"{index:064x}",
        "kind": RecordKind.ACCESS_DECISION,
        "id": f"{index:032x}",
        "at": AT,
        "decision": Outcome.PERMIT,
        "fields": (),
    }
    return Entry(**given | values)


@dataclass
class FakeShelf:
    """Leaves in memory. `fails`: does not answer; `no_index`: only the ledger answers; `broken`:
    index and ledger differ; `later`: so many leaves are not indexed yet.

    `asked` keeps every query, so that a test can tell that nothing was read.
    """

    entries: list[Entry] = field(default_factory=list)
    fails: bool = False
    no_index: bool = False
    broken: bool = False
    later: int = 0
    pruned: int = 0
    asked: list[Query] = field(default_factory=list)
    proved: list[Asked] = field(default_factory=list)

    def extent(self) -> Extent:
        """The index has all leaves but the later ones."""
        if self.fails or self.no_index:
            raise Unavailable("the index does not answer")
        newest = max((one.index for one in self.entries), default=-1)
        return Extent(indexed=newest + 1, later=self.later, pruned=self.pruned)

    def find(self, query: Query) -> list[Entry]:
        """The newest leaves that match."""
        found = self._matching(query)[query.offset : query.offset + query.limit]
        if self.broken:
            raise EvidenceBroken("the index says something else than a leaf")
        return found

    def count(self, query: Query) -> int:
        """How many match."""
        return len(self._matching(replace(query, before=None)))

    def prove(self, index: int) -> bytes:
        """Not a proof, but something that names the leaf."""
        if self.fails:
            raise Unavailable("the ledger does not answer")
        return f"proof of leaf {index}\n".encode()

    def check(self, index: int) -> Proved:
        """What a verified proof would tell."""
        if self.broken:
            raise EvidenceBroken("the proof does not lead to the signed root")
        return Proved(index=index, size=len(self.entries), origin="test/log", leaf_hash="f" * 64)

    def prove_complete(self, asked: Asked) -> bytes:
        """Not a proof, but something that names what was asked."""
        if self.fails:
            raise Unavailable("the ledger does not answer")
        if self.broken:
            raise EvidenceBroken("an index commit is not the one that its leaves make")
        self.proved.append(asked)
        return b"complete\n"

    def begun_at(self) -> datetime | None:
        """When the first leaf was written."""
        if self.fails:
            raise Unavailable("the ledger does not answer")
        return min((one.at for one in self.entries if one.at), default=None)

    def _matching(self, query: Query) -> list[Entry]:
        self.asked.append(query)
        if self.fails or self.no_index:
            raise Unavailable("the index does not answer")
        newest = sorted(self.entries, key=lambda one: -one.index)
        flagged = {
            one.about
            for one in self.entries
            if one.kind == RecordKind.FLAG_RAISED and one.rule == query.flagged
        }
        return [
            one
            for one in newest
            if _matches(one, query) and (query.flagged is None or one.id in flagged)
        ]


@dataclass
class GrowingShelf(FakeShelf):
    """A shelf on which one leaf more is sealed as soon as the investigations were looked for."""

    after: Entry | None = None

    def find(self, query: Query) -> list[Entry]:
        """The newest leaves that match before it grows."""
        found = FakeShelf.find(self, query)
        if query.kind == RecordKind.ACCESS_DEFERRED and self.after is not None:
            self.entries.append(self.after)
            self.after = None
        return found


def _matches(one: Entry, query: Query) -> bool:
    return (
        all(getattr(query, name) in (None, getattr(one, name)) for name in _SAME)
        and (not query.decided or one.kind in DECISION_KINDS)
        and (not query.disclosed or one.decision in DISCLOSING)
        and (query.since is None or (one.at is not None and one.at >= query.since))
        and (query.until is None or (one.at is not None and one.at < query.until))
        and (query.before is None or one.index < query.before)
        and one.kind not in query.except_kinds
        and (query.except_officer is None or one.officer != query.except_officer)
        and (
            query.only_deferred is None
            or one.kind != RecordKind.ACCESS_DEFERRED
            or one.index in query.only_deferred
        )
    )

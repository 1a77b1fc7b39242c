"""Reading index and ledger for a question that was granted and recorded.

Rows come from PostgreSQL; each is compared with its leaf before anybody sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, assert_never

from civicbus_audit.completeness.asked import Asked as Provable
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.proving import prove_complete
from civicbus_audit.completeness.verifying import verify_complete
from civicbus_audit.index.filling import indexed_size
from civicbus_audit.index.oversight import citizen_view, find_all
from civicbus_audit.index.rows import row_of
from civicbus_audit.index.searching import (
    Entry,
    confirm,
    confirm_flagged,
    count,
    flags_about,
    search,
)
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.places import Places
from civicbus_audit.proof import format_proof
from civicbus_audit.pruning import open_log
from civicbus_audit.query import Query
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_proof
from civicbus_schemas.errors import Refused
from civicbus_schemas.subject import Secrets, case, officer, person
from civicbus_schemas.vocabulary import QUERY_KINDS, TRAIL_KINDS, Outcome, RecordKind
from sqlalchemy import Engine

from civicbus_consumers.officers.records import officer_of
from civicbus_consumers.officers.rules import Asker, Find, Granted, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A leaf whose proof holds: its number in a log of that size, and its hash."""

    index: int
    size: int
    origin: str
    leaf_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Up to which leaf the index goes, how many are published behind it, how many are pruned."""

    indexed: int
    later: int
    pruned: int = 0


class Shelf(Protocol):
    """Index and ledger. Calls raise `Unavailable`, `Fatal` or `EvidenceBroken`."""

    def extent(self) -> Extent:
        """Up to where whatever is asked from now on has been looked at, at least."""
        ...

    def find(self, query: Query) -> list[Entry]:
        """The newest leaves that match, each compared with the ledger."""
        ...

    def count(self, query: Query) -> int:
        """How many match."""
        ...

    def prove(self, index: int) -> bytes:
        """The `.tlog-proof` of a leaf."""
        ...

    def check(self, index: int) -> Proved:
        """The proof of a leaf, checked by whom the ledger is trusted to be signed."""
        ...

    def prove_complete(self, asked: Provable) -> bytes:
        """The proof that nothing else is in the ledger; reads all of it."""
        ...

    def begun_at(self) -> datetime | None:
        """When the ledger's first leaf was written; None while it is empty."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexShelf:
    """The index in PostgreSQL, and the ledger's own files beside it."""

    engine: Engine
    places: Places

    def extent(self) -> Extent:
        """Up to where the index goes, asked before the ledger."""
        indexed = indexed_size(self.engine)
        log, _ = self._log()
        return Extent(indexed=indexed, later=max(0, log.size - indexed), pruned=log.first)

    def find(self, query: Query) -> list[Entry]:
        """The newest leaves that match, each compared with the ledger."""
        found = search(self.engine, query)
        word = query.flagged
        flags = [] if word is None else flags_about(self.engine, word, found)
        log, _ = self._log()  # after the search: the index is never ahead of what is published
        confirm(found, log)
        if word is not None:
            confirm_flagged(found, flags, log)
        return found

    def count(self, query: Query) -> int:
        """How many match, as the index tells."""
        return count(self.engine, query)

    def prove(self, index: int) -> bytes:
        """The proof of a leaf under the newest checkpoint; raises `Refused` where there is none."""
        log, checkpoint = self._log()
        return format_proof(log.prove(index, checkpoint=checkpoint))

    def check(self, index: int) -> Proved:
        """The proof of a leaf, verified as anybody would."""
        found = verify_proof(self.prove(index), self.places.trust())
        return Proved(
            index=found.index,
            size=found.checkpoint.size,
            origin=found.checkpoint.origin,
            leaf_hash=leaf_hash(found.leaf).hex(),
        )

    def prove_complete(self, asked: Provable) -> bytes:
        """The proof under the newest checkpoint, verified as anybody would."""
        log, checkpoint = self._log()
        data = prove_complete(log, checkpoint, asked).encode()
        verify_complete(data, self.places.trust())
        return data

    def begun_at(self) -> datetime | None:
        """When the first leaf was written that is kept."""
        log, _ = self._log()
        try:
            row, _, _ = row_of(log.first, log.leaf(log.first), page=None)
        except Refused:
            return None
        at = row.get("at")
        return at if isinstance(at, datetime) else None

    def _log(self) -> tuple[StoredLog, bytes]:
        directory = self.places.directory()
        checkpoint, note = published(directory, self.places.trust())
        return open_log(directory.read, checkpoint.size), note


_NOT_OF_OFFICERS = tuple(kind for kind in RecordKind if kind not in TRAIL_KINDS)
"""What is no act of an official upon the ledger."""


def query_of(granted: Granted, asker: Asker, *, secrets: Secrets) -> Query:
    """What the index is asked; names become pseudonyms here, on the server."""
    query = _plain(granted.find, secrets)
    match granted.view:
        case View.RECORDS:
            # nobody learns by a flag that he came under suspicion himself
            own = officer_of(asker, secrets) if query.flagged is not None else None
            return replace(query, except_kinds=QUERY_KINDS, except_officer=own)
        case View.TRAIL:
            own = officer_of(asker, secrets)
            return replace(query, except_kinds=_NOT_OF_OFFICERS, except_officer=own)
        case View.OWN_DATA:
            return replace(query, decided=True, disclosed=granted.find.decision is None)
        case _:
            assert_never(granted.view)


def provable_of(granted: Granted, query: Query) -> Provable | None:
    """What commits can prove of a question about one person; None of every other question.

    Only a citizen and an officer may see all decisions about him; filters narrow the answer and not
    the proof. An agency's auditor, and whoever asks about one agency, may see less than it shows.
    """
    if query.subject is None:
        return None
    as_citizen = granted.view is View.OWN_DATA
    if not as_citizen and (granted.view is not View.RECORDS or granted.find.agency is not None):
        return None
    return Provable(
        by=By.SUBJECT,
        texts=(query.subject,),
        since=query.since,
        until=query.until,
        as_citizen=as_citizen,
    )


def open_deferred(query: Query, shelf: Shelf) -> tuple[tuple[int, ...], int]:
    """The investigations' leaves that the query's subject may see, and how many he may not yet.

    They are those of all his time, whatever else the query asks for: a count that followed a filter
    would tell who investigates. Named are those he may see, as the index grows while it is read.
    """
    deferred = Query(subject=query.subject, kind=RecordKind.ACCESS_DEFERRED)
    found = find_all(deferred, shelf.find)
    cases = {entry.case_id for entry in found if entry.case_id is not None}
    closed = frozenset(case for case in cases if _is_closed(case, shelf))
    shown = tuple(entry.index for entry in citizen_view(found, closed).shown)
    hidden = [e for e in found if e.index not in shown and e.decision != Outcome.DENY]
    return shown, len(hidden)


def _is_closed(case: str, shelf: Shelf) -> bool:
    return bool(shelf.find(Query(kind=RecordKind.CASE_CLOSED, case_id=case, limit=1)))


def _plain(find: Find, secrets: Secrets) -> Query:
    query = Query(
        id=find.record,
        subject=None if find.pin is None else secrets[person(find.pin)].pseudonym,
        recipient=find.agency,
        purpose=find.purpose,
        basis=find.basis,
        dataset=find.dataset,
        decision=find.decision,
        flagged=find.flag,
        since=find.since,
        until=find.until,
    )
    if find.agency is not None and find.officer is not None:
        name = secrets[officer(find.agency, find.officer)].pseudonym
        query = replace(query, officer=name)
    if find.agency is not None and find.case is not None:
        query = replace(query, case_id=secrets[case(find.agency, find.case)].pseudonym)
    return query

"""Searching the index: who got what about whom, why, and whether it was released.

What is found is compared with the ledger's own leaves before it is shown (`confirm`): the index can
hide a row, which a recount finds, but it cannot invent or alter one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from civicbus_schemas.errors import EvidenceBroken, Refused
from civicbus_schemas.vocabulary import DECISION_KINDS, RecordKind
from sqlalchemy import ColumnElement, Engine, FromClause, RowMapping, func, or_, select

from civicbus_audit.index.database import errors_translated
from civicbus_audit.index.rows import row_of
from civicbus_audit.index.tables import leaf, recorder
from civicbus_audit.query import BYTES, DISCLOSING, TEXTS, Query
from civicbus_audit.release import Release
from civicbus_audit.stored import StoredLog

MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leaf as the index knows it; pseudonyms, ids and hashes are hex."""

    index: int
    hash: str
    kind: str
    finding: str | None
    id: str | None
    at: datetime | None
    recorder: str | None
    page: int | None
    actor: str | None
    system: str | None
    officer: str | None
    recipient: str | None
    subject: str | None
    agreement: str | None
    dataset: str | None
    event_id: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    fields: tuple[str, ...]
    purpose: str | None
    basis: str | None
    consent: str | None
    decision: str | None
    reason: str | None
    policy: str | None
    case_id: str | None
    about: str | None
    rule: str | None
    release: Release | None


def search(engine: Engine, query: Query) -> list[Entry]:
    """The newest leaves that match, newest first, without the first `offset` of them."""
    joined = leaf.outerjoin(recorder, leaf.c.recorder == recorder.c.recorder)
    statement = (
        select(leaf, recorder.c.released, recorder.c.closed)
        .select_from(joined)
        .where(*_conditions(query))
        .order_by(leaf.c.index.desc())
        .offset(query.offset)
        .limit(min(query.limit, MAX_LIMIT))
    )
    with errors_translated("searching the index"), engine.connect() as connection:
        return [_entry(row) for row in connection.execute(statement).mappings()]


def count(engine: Engine, query: Query) -> int:
    """How many leaves match, whatever the query's `limit` and `offset`, as the index tells."""
    statement = select(func.count()).select_from(leaf).where(*_conditions(query))
    with errors_translated("counting leaves"), engine.connect() as connection:
        return connection.execute(statement).scalar_one()


def flags_about(engine: Engine, word: str, found: Sequence[Entry]) -> list[Entry]:
    """The leaves by which flags of that word were raised about these records."""
    records = [bytes.fromhex(entry.id) for entry in found if entry.id is not None]
    with errors_translated("searching flags"), engine.connect() as connection:
        flags = select(leaf).where(*_raises(leaf, word), leaf.c.about.in_(records))
        rows = connection.execute(flags).mappings().all()
    return [Entry(**_plain(dict(row)), release=None) for row in rows]


def confirm_flagged(found: Sequence[Entry], flags: list[Entry], log: StoredLog) -> None:
    """Checks that the ledger has a flag about each of these; raises `EvidenceBroken`."""
    confirm(flags, log)
    told = {flag.about for flag in flags}
    for entry in found:
        if entry.id not in told:
            raise EvidenceBroken(f"the index calls leaf {entry.index} flagged, and no leaf does")


def confirm(entries: list[Entry], log: StoredLog) -> None:
    """Checks that every entry says what its leaf says; raises `EvidenceBroken` naming the leaf."""
    for entry in entries:
        row, _, _ = row_of(entry.index, log.leaf(entry.index), page=None)
        told = _plain(dict.fromkeys(leaf.columns.keys()) | row)
        for name, value in told.items():
            if name not in ("recorder", "page") and getattr(entry, name) != value:
                raise EvidenceBroken(
                    f"the index says something else than leaf {entry.index}",
                    got=f"another {name}",
                    next_step="find out who changed it, then `civicbus-audit rebuild-index`",
                )


def confirm_complete(
    entries: list[Entry], query: Query, log: StoredLog, *, indexed: int
) -> frozenset[int]:
    """Checks that no leaf about the query's subject is missing; reads all bundles.

    `entries` is everything that was found for the query, whatever its `limit` and `before`; what
    is given, and `indexed`: see `confirm_all`.
    """
    subject = query.subject
    if subject is None:
        raise Refused("only the leaves about one subject can be recounted")
    return confirm_all(entries, query, log.containing(bytes.fromhex(subject)), indexed=indexed)


def confirm_all(
    entries: list[Entry], query: Query, leaves: Iterable[tuple[int, bytes]], *, indexed: int
) -> frozenset[int]:
    """Checks that those of these leaves that match are all there; raises `EvidenceBroken`.

    `indexed`: how far the index went before it was searched. Matching leaves from there on that it
    did not tell of are no fault, and given back.
    """
    found = {entry.index for entry in entries}
    query = replace(query, before=None)
    rows = ((index, row_of(index, content, page=None)[0]) for index, content in leaves)
    missing = frozenset(i for i, row in rows if query.matches(row) and i not in found)
    for index in sorted(missing):
        if index < indexed:
            raise EvidenceBroken(
                f"the index hides leaf {index}",
                next_step="find out who changed it, then `civicbus-audit rebuild-index`",
            )
    return missing


def _conditions(query: Query) -> Iterator[ColumnElement[bool]]:
    for name in BYTES:
        if (value := getattr(query, name)) is not None:
            yield leaf.c[name] == bytes.fromhex(value)
    for name in TEXTS:
        if (value := getattr(query, name)) is not None:
            yield leaf.c[name] == value
    if query.decided:
        yield leaf.c.kind.in_(DECISION_KINDS)
    if query.disclosed:
        yield leaf.c.decision.in_(DISCLOSING)
    if query.since is not None:
        yield leaf.c.at >= query.since
    if query.until is not None:
        yield leaf.c.at < query.until
    if query.before is not None:
        yield leaf.c.index < query.before
    if query.except_kinds:
        yield leaf.c.kind.not_in(query.except_kinds)
    if query.except_officer is not None:
        yield leaf.c.officer.is_distinct_from(bytes.fromhex(query.except_officer))
    if query.only_deferred is not None:
        known = leaf.c.index.in_(query.only_deferred)
        yield or_(leaf.c.kind != RecordKind.ACCESS_DEFERRED, known)
    if query.flagged is not None:
        flag = leaf.alias("flag")
        yield leaf.c.id.in_(select(flag.c.about).where(*_raises(flag, query.flagged)))


def _raises(flag: FromClause, word: str) -> tuple[ColumnElement[bool], ...]:
    raised = flag.c.kind == RecordKind.FLAG_RAISED
    return raised, flag.c.rule == word, flag.c.about.is_not(None)


def _entry(row: RowMapping) -> Entry:
    values = dict(row)
    released, closed = values.pop("released"), values.pop("closed")
    release = None
    if row["decision"] in DISCLOSING and released is not None:
        if row["page"] <= released:
            release = Release.RELEASED
        else:
            release = Release.ABORTED if closed else Release.UNSETTLED
    return Entry(**_plain(values), release=release)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    values = {name: v.hex() if isinstance(v, bytes) else v for name, v in row.items()}
    return values | {"fields": tuple(values["fields"])}

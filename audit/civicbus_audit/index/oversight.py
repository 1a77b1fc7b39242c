"""What reviewers and citizens ask of the index: emergencies without a review, and what is hidden.

Pure but for the queries: what is found goes through `searching`, and its caller compares it with
the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from civicbus_schemas.vocabulary import Outcome, RecordKind
from sqlalchemy import Engine, func, select

from civicbus_audit.index.database import errors_translated
from civicbus_audit.index.searching import MAX_LIMIT, Entry
from civicbus_audit.index.tables import leaf
from civicbus_audit.query import Query

REVIEW_WITHIN = timedelta(hours=24)
"""How soon an emergency must be reviewed."""

Find = Callable[[Query], list[Entry]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """One answer for which the glass was broken, and its newest review, if there is one."""

    entry: Entry
    review: Entry | None

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been reviewed by now."""
        at = self.entry.at
        return self.review is None and at is not None and now - at > REVIEW_WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class CitizenView:
    """The readings that a person may see now, and how many are hidden until a case is closed."""

    shown: tuple[Entry, ...]
    hidden: int


def find_all(query: Query, find: Find) -> list[Entry]:
    """Everything that matches, newest first, however much it is."""
    found: list[Entry] = []
    query = replace(query, limit=MAX_LIMIT)
    while batch := find(query):
        found += batch
        query = replace(query, before=batch[-1].index)
    return found


def emergencies(find: Find) -> list[Emergency]:
    """Every emergency, newest first."""
    reviews = find_all(Query(kind=RecordKind.BREAK_GLASS_REVIEW), find)
    newest = {review.about: review for review in reversed(reviews)}
    return [
        Emergency(entry=entry, review=newest.get(entry.id))
        for entry in find_all(Query(decision=Outcome.BREAKGLASS), find)
    ]


def closed_cases(find: Find) -> frozenset[str]:
    """The pseudonyms of the cases that were closed."""
    found = find_all(Query(kind=RecordKind.CASE_CLOSED), find)
    return frozenset(entry.case_id for entry in found if entry.case_id is not None)


def citizen_view(readings: Iterable[Entry], closed: frozenset[str]) -> CitizenView:
    """What of these readings a person sees: all but those of an investigation that goes on."""
    readings = tuple(readings)
    shown = tuple(
        entry
        for entry in readings
        if entry.kind != RecordKind.ACCESS_DEFERRED or entry.case_id in closed
    )
    return CitizenView(shown=shown, hidden=len(readings) - len(shown))


def count_overdue(engine: Engine, now: datetime) -> int:
    """How many emergencies have waited for their review too long, as the index tells."""
    review = leaf.alias("review")
    reviewed = select(review.c.index).where(
        review.c.kind == RecordKind.BREAK_GLASS_REVIEW, review.c.about == leaf.c.id
    )
    statement = select(func.count()).where(
        leaf.c.decision == Outcome.BREAKGLASS,
        leaf.c.at < now - REVIEW_WITHIN,
        ~reviewed.exists(),
    )
    with errors_translated("counting reviews"), engine.connect() as connection:
        return connection.execute(statement).scalar_one()

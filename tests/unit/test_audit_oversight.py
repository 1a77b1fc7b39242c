"""Emergencies and their reviews, and what a citizen sees, over a list that stands for the index."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_audit.index.oversight import (
    citizen_view,
    closed_cases,
    emergencies,
    find_all,
)
from civicbus_audit.index.searching import MAX_LIMIT, Entry
from civicbus_audit.query import Query
from civicbus_schemas.vocabulary import Outcome, RecordKind

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


def entry(index: int, **values: Any) -> Entry:
    """A leaf of the index; whatever is not given is empty."""
    given = dict.fromkeys(field.name for field in fields(Entry)) | {
        "index": index,
        "hash": "",
        "kind": RecordKind.ACCESS_DECISION,
        "id": f"{index:032x}",
        "at": AT,
        "decision": Outcome.PERMIT,
        "fields": (),
    }
    return Entry(**given | values)


def found_in(*entries: Entry) -> Any:
    """Searches these entries by kind and decision, newest first."""

    def find(query: Query) -> list[Entry]:
        matching = [
            one
            for one in sorted(entries, key=lambda one: -one.index)
            if query.kind in (None, one.kind)
            and query.decision in (None, one.decision)
            and (query.before is None or one.index < query.before)
        ]
        return matching[: query.limit]

    return find


@pytest.mark.parametrize(("hours", "overdue"), [(24, False), (25, True)])
def test_emergency_is_overdue_when_a_day_has_passed_without_a_review(
    hours: int, overdue: bool
) -> None:
    [one] = emergencies(found_in(entry(1, decision=Outcome.BREAKGLASS), entry(2)))
    assert one.is_overdue(AT + timedelta(hours=hours)) is overdue


def test_emergency_is_not_overdue_when_it_was_reviewed() -> None:
    broken = entry(1, decision=Outcome.BREAKGLASS)
    review = entry(2, kind=RecordKind.BREAK_GLASS_REVIEW, about=broken.id)
    [one] = emergencies(found_in(broken, review))
    assert one.review == review
    assert not one.is_overdue(AT + timedelta(days=9))


def test_review_counts_for_its_own_emergency_alone() -> None:
    first, second = (entry(n, decision=Outcome.BREAKGLASS) for n in (1, 2))
    review = entry(3, kind=RecordKind.BREAK_GLASS_REVIEW, about=first.id)
    found = emergencies(found_in(first, second, review))
    assert [(one.entry.index, one.review is None) for one in found] == [(2, True), (1, False)]


def test_investigation_is_hidden_and_counted_until_its_case_is_closed() -> None:
    plain = entry(1)
    going_on = entry(2, kind=RecordKind.ACCESS_DEFERRED, case_id="a" * 32)
    over = entry(3, kind=RecordKind.ACCESS_DEFERRED, case_id="b" * 32)
    closing = entry(4, kind=RecordKind.CASE_CLOSED, case_id="b" * 32)
    closed = closed_cases(found_in(plain, going_on, over, closing))
    view = citizen_view([over, going_on, plain], closed)
    assert (view.shown, view.hidden) == ((over, plain), 1)


def test_everything_is_found_when_it_is_more_than_one_search_gives() -> None:
    many = [entry(n) for n in range(MAX_LIMIT + 7)]
    assert [one.index for one in find_all(Query(), found_in(*many))] == [
        *range(MAX_LIMIT + 6, -1, -1)
    ]


@pytest.mark.parametrize(
    ("named", "left"),
    [(None, [1, 3, 4, 5]), ((), [1, 5]), ((4,), [1, 4, 5]), ((1, 4, 9), [1, 4, 5])],
)
def test_only_named_readings_of_investigations_match_when_these_are_named(
    named: tuple[int, ...] | None, left: list[int]
) -> None:
    deferred = RecordKind.ACCESS_DEFERRED
    kinds = {1: RecordKind.ACCESS_DECISION, 3: deferred, 4: deferred, 5: RecordKind.CASE_CLOSED}
    query = Query(only_deferred=named)
    found = [
        index for index, kind in kinds.items() if query.matches({"index": index, "kind": kind})
    ]
    assert found == left

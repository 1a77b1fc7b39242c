"""Which week a report is asked for, read strictly: `{"week": "2026-W47"}`, or `{}`. Pure."""

from __future__ import annotations

from datetime import datetime

from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.officers.problems import malformed
from civicbus_consumers.officers.request import only
from civicbus_consumers.officers.weekly.weeks import FIRST_YEAR, Week


def parse_week(body: bytes, *, now: datetime) -> Week:
    """The week; the last whole one where none is named. Raises `Problem`."""
    document = json_object(body)
    only(document, {"week"}, where="body")
    this = Week.of(now)
    if "week" not in document:
        return this.earlier(1)
    return week_of(document["week"], this=this)


def week_of(value: object, *, this: Week) -> Week:
    """A week that has begun; raises `Problem`."""
    try:
        week = Week.parse(value if isinstance(value, str) else "")
    except ValueError:
        raise malformed(
            "week",
            got=f"{len(value)} characters" if isinstance(value, str) else type(value).__name__,
            expected=f"an ISO week that its year has, such as 2026-W47, from {FIRST_YEAR} on",
            next_step="correct `week`; a year has 52 weeks or 53",
        ) from None
    if week > this:
        raise malformed(
            "week",
            got="a week that has not begun",
            expected=f"at most {this}, the week that goes on",
            next_step="name an earlier week, or none for the last whole one",
        )
    return week

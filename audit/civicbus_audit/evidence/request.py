"""Who asks the ledger for what, and why. Pure: a request that does not say it is refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId

from civicbus_audit.query import Query

MAX_RANGE = timedelta(days=366)
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One export: the query, the officer who asks, the purpose, and the case where there is one.

    Raises `Refused` without a purpose, or unless `since` and `until` are a year apart at most. The
    query's `limit` and `offset` stay as they are by default: an export is whole.
    """

    query: Query
    agency: AgencyId
    officer: str
    purpose: str
    case: str | None = None

    def __post_init__(self) -> None:
        if (self.query.limit, self.query.offset) != (Query().limit, Query().offset):
            raise Refused("an export is whole", expected="neither limit nor offset")
        _check_text(self.officer, what="the officer")
        _check_text(self.purpose, what="the purpose")
        if self.case is not None:
            _check_text(self.case, what="the case")
        _check_range(self.query.since, self.query.until)

    def document(self) -> dict[str, Any]:
        """What the manifest says of it; filters that ask for nothing are left out."""
        filters, nothing = asdict(self.query), asdict(Query())
        told = {name: value for name, value in filters.items() if value != nothing[name]}
        return {
            "query": {name: _plain(value) for name, value in told.items()},
            "agency": self.agency,
            "officer": self.officer,
            "purpose": self.purpose,
            "case": self.case,
        }


def _check_text(text: str, *, what: str) -> None:
    if not text.strip() or len(text) > _MAX_TEXT or not text.isprintable():
        raise Refused(f"{what} is not said", expected=f"1 to {_MAX_TEXT} printable characters")


def _check_range(since: datetime | None, until: datetime | None) -> None:
    if since is None or until is None:
        raise Refused("the range of time is not said", expected="--since and --until")
    if since >= until:
        raise Refused("the range of time is reversed or empty", expected="since before until")
    if until - since > MAX_RANGE:
        days = (until - since).days
        raise Refused(
            "the range of time is too long",
            got=f"{days} days",
            expected=f"≤ {MAX_RANGE.days} days",
            next_step="export each year by itself",
        )


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value

"""Agreements: which fields of which events one agency may give another, why, and until when.

These are the values; `agreement_document` reads them from a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from civicbus_schemas.form import AS_IS, Form
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType
from civicbus_schemas.statement import Party, Standing
from civicbus_schemas.vocabulary import Access, ConsentRule, Reason, WhenWithheld

NATION_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
MAX_FIELDS = 500
"""Of one dataset in one agreement; what a record says of them must fit a leaf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldGrant:
    """One field and the form in which it is released."""

    path: str
    form: Form = AS_IS


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeUnder:
    """Holds while the person born on the date at `path` is younger than `years`."""

    path: str
    years: int


Condition = AgeUnder  # a closed union; issue by issue more forms join it


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is released of one event type, and on which conditions (all must hold)."""

    fields: tuple[FieldGrant, ...]
    only_if: tuple[Condition, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the released fields."""
        return tuple(grant.path for grant in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What may be looked up in a view: returned, or only verified with yes or no."""

    read: frozenset[str]
    verify: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one agreement may release; None is no limit.

    Of `per_second` streams and look-ups each have the whole, and a second's worth is the largest
    burst. `subjects_per_day` counts different people in a calendar day of the nation, whatever the
    agreement's version, streams and look-ups together.
    """

    per_second: int | None = None
    subjects_per_day: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One version of an agreement between a provider and a recipient. Days are the nation's.

    `terms` is the SHA-256 of its document in a policy set, which its parties sign; `standing` is
    what they have signed. Both are the set's to say: a document alone is a draft.
    """

    ref: AgreementRef
    provider: AgencyId
    recipient: AgencyId
    purpose: str
    basis: str
    consent: ConsentRule
    releases: Mapping[EventType, Release]
    reads: Mapping[EventType, Reads]
    valid_from: date
    valid_until: date
    retention: str
    approved_by: tuple[Party, ...]
    withheld: WhenWithheld = WhenWithheld.SILENT
    limits: Limits = NO_LIMITS
    access: Access = Access.ORDINARY
    terms: str = ""
    standing: Standing = Standing.DRAFT

    def lapse(self, at: datetime) -> Reason | None:
        """Why it does not bind on the day of `at`; both its days are included. None if it does.

        A draft is no reason here: no announcement that holds one is ever opened.
        """
        if self.standing is Standing.REVOKED:
            return Reason.AGREEMENT_REVOKED
        if self.standing is Standing.SUSPENDED:
            return Reason.AGREEMENT_SUSPENDED
        if local_day(at) < self.valid_from:
            return Reason.NOT_YET_IN_FORCE
        return Reason.EXPIRED if local_day(at) > self.valid_until else None


@lru_cache(maxsize=64)
def local_day(at: datetime) -> date:
    """The calendar day of an instant in the nation's zone."""
    return at.astimezone(NATION_ZONE).date()

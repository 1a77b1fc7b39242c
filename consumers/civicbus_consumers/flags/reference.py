"""What no record holds and flags need to know: registers, calendars, relations. Pure.

Everybody is named by the pseudonyms of records. What is not given is not judged: without a calendar
nobody reads after hours, without a register of cases no case is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from civicbus_schemas.errors import Refused

from civicbus_consumers.flags.words import Flag

CASE_GRACE = timedelta(days=7)
"""How long after its end a case may still be read for: what is left to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case in an agency's register: its clerks, and when it was open."""

    clerks: frozenset[str]
    since: datetime
    until: datetime | None = None

    def is_open(self, at: datetime) -> bool:
        """Whether it was open then, or closed a short time before."""
        return self.until is None or at <= self.until + CASE_GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of an agency's catalogue: what it may read, and whether it is one of cases."""

    datasets: frozenset[str]
    needs_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """When an agency works: hours of the day [opens, closes), days of the week (Monday is 0)."""

    opens: int
    closes: int
    days: frozenset[int]
    holidays: frozenset[date]

    def works(self, local: datetime) -> bool:
        """Whether it works at this local time."""
        return (
            self.opens <= local.hour < self.closes
            and local.weekday() in self.days
            and local.date() not in self.holidays
        )

    def is_shoulder(self, local: datetime) -> bool:
        """Whether it is a working day, and at most two hours from the working hours."""
        near = self.opens - 2 <= local.hour < self.closes + 2
        return near and local.weekday() in self.days and local.date() not in self.holidays


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of time, for one officer: a shift, or a leave."""

    since: datetime
    until: datetime

    def covers(self, at: datetime) -> bool:
        """Whether this moment lies in it."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """All of it; `version` is the SHA-256 of its document and goes into every flag."""

    version: str
    services: Mapping[str, Mapping[str, Service]] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    registers: frozenset[str] = frozenset()
    cases: Mapping[str, Case] = field(default_factory=dict)
    shifts: Mapping[str, tuple[Stretch, ...]] = field(default_factory=dict)
    leaves: Mapping[str, tuple[Stretch, ...]] = field(default_factory=dict)
    relations: Mapping[tuple[str, str], Flag] = field(default_factory=dict)
    watched: frozenset[str] = frozenset()
    districts: Mapping[str, str] = field(default_factory=dict)

    def case(self, name: str | None, at: datetime) -> Case | None:
        """The case in the register, if it stood there by then."""
        case = self.cases.get(name or "")
        return case if case is not None and case.since <= at else None

    def on_duty(self, officer: str, at: datetime) -> bool:
        """Whether the roster has this officer at work."""
        return any(shift.covers(at) for shift in self.shifts.get(officer, ()))

    def on_leave(self, officer: str, at: datetime) -> bool:
        """Whether this officer was on leave."""
        return any(leave.covers(at) for leave in self.leaves.get(officer, ()))

    def same_district(self, officer: str, subject: str) -> bool:
        """Whether the person lives where the officer works, as far as both are known."""
        district = self.districts.get(officer)
        return district is not None and district == self.districts.get(subject)


NOTHING_KNOWN = Reference(version=hashlib.sha256(b"{}").hexdigest())
RELATIONS = (Flag.SELF, Flag.HOUSEHOLD, Flag.COLLEAGUE)
_MEMBERS = {
    *("services", "calendars", "registers", "cases", "shifts"),
    *("leaves", "relations", "watched", "districts"),
}


def read_reference(document: bytes) -> Reference:
    """The reference in a JSON document; raises `Refused`, which repeats nothing of it."""
    try:
        return _reference(json.loads(document), hashlib.sha256(document).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(
            "the reference of flags cannot be read",
            got=type(error).__name__,
            expected="the members that consumers/README.md describes",
            next_step="mend the file; until then no flag is judged",
        ) from None


def _reference(body: Mapping[str, Any], version: str) -> Reference:
    if unknown := set(body) - _MEMBERS:
        raise ValueError(unknown)
    return Reference(
        version=version,
        services={
            agency: {purpose: _service(**service) for purpose, service in services.items()}
            for agency, services in body.get("services", {}).items()
        },
        calendars={name: _calendar(**days) for name, days in body.get("calendars", {}).items()},
        registers=frozenset(body.get("registers", ())),
        cases={name: _case(**case) for name, case in body.get("cases", {}).items()},
        shifts={name: _stretches(spans) for name, spans in body.get("shifts", {}).items()},
        leaves={name: _stretches(spans) for name, spans in body.get("leaves", {}).items()},
        relations={
            (officer, subject): RELATIONS[RELATIONS.index(kind)]
            for officer, subject, kind in body.get("relations", ())
        },
        watched=frozenset(body.get("watched", ())),
        districts=dict(body.get("districts", {})),
    )


def _service(*, datasets: list[str], needs_case: bool) -> Service:
    return Service(datasets=frozenset(datasets), needs_case=needs_case)


def _calendar(*, opens: int, closes: int, days: list[int], holidays: list[str]) -> Calendar:
    return Calendar(
        opens=opens,
        closes=closes,
        days=frozenset(days),
        holidays=frozenset(map(date.fromisoformat, holidays)),
    )


def _case(*, clerks: list[str], since: str, until: str | None = None) -> Case:
    return Case(
        clerks=frozenset(clerks), since=_time(since), until=None if until is None else _time(until)
    )


def _stretches(spans: list[list[str]]) -> tuple[Stretch, ...]:
    return tuple(Stretch(since=_time(since), until=_time(until)) for since, until in spans)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at

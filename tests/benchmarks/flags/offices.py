"""The agencies of the synthetic set: officers, calendars, rosters, relations, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from civicbus_schemas.agreement import NATION_ZONE

FIRST_DAY = date(2026, 8, 3)  # a Monday
HOLIDAYS = ("2026-09-01", "2026-09-02")
VIEW = "population.Person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """How an agency works; `walk_in` is the share of readings that nothing connects with a task."""

    name: str
    purposes: tuple[str, ...]
    walk_in: float
    register: bool = False
    by_consent: bool = False
    nights: float = 0.0


AGENCIES = (
    Agency(
        name="vss",
        purposes=("health-insurance.enrol-child", "social-security.pay-funeral-allowance"),
        walk_in=0.12,
    ),
    Agency(name="moj", purposes=("criminal-record.certify",), walk_in=0.15),
    Agency(
        name="mps", purposes=("investigation.criminal",), walk_in=0.0, register=True, nights=0.2
    ),
    Agency(
        name="hospital-cho-ray",
        purposes=("health.continue-treatment",),
        walk_in=0.0,
        register=True,
        nights=0.35,
    ),
    Agency(name="bank", purposes=("credit.verify-customer",), walk_in=0.0, by_consent=True),
    Agency(name="moh", purposes=("health.monitor-immunisation",), walk_in=0.10),
)
EMERGENCY = "health.emergency-treatment"


@dataclass(slots=True)
class Officer:
    """One officer: habits, and whom the officer knows. `pace` is readings on a usual day."""

    id: str
    agency: Agency
    pace: float
    purposes: tuple[str, ...]
    district: str
    self_: str
    household: list[str]
    leaves: list[tuple[date, date]] = field(default_factory=list)
    by_night: bool = False
    moves_on: date | None = None  # from then on with another purpose of the agency

    def away(self, day: date) -> bool:
        """Whether the officer is on leave on that day."""
        return any(first <= day < end for first, end in self.leaves)


@dataclass(slots=True)
class Offices:
    """Everybody, and the reference as it grows with the work."""

    rng: random.Random
    weeks: int
    officers: list[Officer]
    watched: list[str]
    people: dict[str, list[str]]
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    shifts: dict[str, list[list[str]]] = field(default_factory=dict)
    districts: dict[str, str] = field(default_factory=dict)

    def days(self) -> Iterator[date]:
        """Every day of the set."""
        return (FIRST_DAY + timedelta(days=n) for n in range(7 * self.weeks))

    def colleagues(self, officer: Officer) -> list[Officer]:
        """The officers of the same agency, without this one."""
        return [o for o in self.officers if o.agency is officer.agency and o is not officer]

    def new_id(self) -> str:
        """A pseudonym that nobody had before."""
        return f"{self.rng.getrandbits(128):032x}"

    def new_stranger(self) -> str:
        """Somebody who lives somewhere, like everybody, and whom no agency has read about."""
        person = self.new_id()
        self.districts[person] = f"d{self.rng.randrange(24)}"
        return person

    def new_person(self, agency: str) -> str:
        """Somebody who comes to this agency; known people come again."""
        known = self.people.setdefault(agency, [])
        if known and self.rng.random() < 0.15:
            return self.rng.choice(known)
        person = self.new_stranger()
        known.append(person)
        return person

    def open_case(self, clerks: list[str], at: datetime, *, until: datetime | None = None) -> str:
        """A new case in the register."""
        case = self.new_id()
        times = {"since": at.isoformat(), "until": None if until is None else until.isoformat()}
        self.cases[case] = {"clerks": clerks, **times}
        return case

    def reference(self) -> dict[str, Any]:
        """The document that flags read: what an agency would know of its own house."""
        work = {"opens": 7, "closes": 18, "days": [0, 1, 2, 3, 4], "holidays": list(HOLIDAYS)}
        return {
            "services": {a.name: _services(a) for a in AGENCIES},
            "calendars": {a.name: work for a in AGENCIES},
            "registers": [a.name for a in AGENCIES if a.register],
            "cases": self.cases,
            "shifts": self.shifts,
            "leaves": {
                o.id: [[_midnight(a), _midnight(b)] for a, b in o.leaves]
                for o in self.officers
                if o.leaves
            },
            "relations": list(self._relations()),
            "watched": self.watched,
            "districts": self.districts | {o.id: o.district for o in self.officers},
        }

    def _relations(self) -> Iterator[list[str]]:
        """Of 24 members of households one is not known."""
        for number, officer in enumerate(self.officers):
            yield [officer.id, officer.self_, "self"]
            known = officer.household[:2] if number % 8 == 0 else officer.household
            yield from ([officer.id, person, "household"] for person in known)
            yield from ([officer.id, o.self_, "colleague"] for o in self.colleagues(officer)[:12])


def at(day: date, hour: float) -> datetime:
    """A local time of that day; hours from 24 on are of the next."""
    start = datetime(day.year, day.month, day.day, tzinfo=NATION_ZONE)
    return start + timedelta(seconds=int(hour * 3600))


def is_working_day(day: date) -> bool:
    """Whether offices are open."""
    return day.weekday() < 5 and day.isoformat() not in HOLIDAYS


def build_offices(seed: int, *, officers: int, weeks: int) -> Offices:
    """So many officers, shared out among the agencies."""
    rng = random.Random(seed)  # noqa: S311 (a published set, not a secret)
    offices = Offices(rng=rng, weeks=weeks, officers=[], watched=[], people={})
    for number in range(officers):
        offices.officers.append(_officer(offices, AGENCIES[number % len(AGENCIES)]))
    for number, officer in enumerate(offices.officers):
        _plan_leave(rng, officer, weeks=weeks, long=number % 29 == 7)
        if number % 43 == 6 and len(officer.agency.purposes) > 1:
            officer.moves_on = FIRST_DAY + timedelta(days=7 * (weeks // 2))
    offices.watched = [offices.new_stranger() for _ in range(40)]
    return offices


def _officer(offices: Offices, agency: Agency) -> Officer:
    rng = offices.rng
    pace = min(20.0, rng.lognormvariate(1.25, 0.5))
    return Officer(
        id=offices.new_id(),
        agency=agency,
        pace=pace,
        purposes=(rng.choice(agency.purposes),),
        district=f"d{rng.randrange(24)}",
        self_=offices.new_stranger(),
        household=[offices.new_stranger() for _ in range(3)],
        by_night=rng.random() < agency.nights,
    )


def _plan_leave(rng: random.Random, officer: Officer, *, weeks: int, long: bool) -> None:
    """Holidays of a week for most; a long absence for some, who come back before the end."""
    if long and weeks >= 9:
        start = FIRST_DAY + timedelta(days=rng.randrange(7))
        officer.leaves.append((start, start + timedelta(days=rng.randrange(48, 54))))
    elif rng.random() < 0.6:
        start = FIRST_DAY + timedelta(days=7 * rng.randrange(weeks))
        officer.leaves.append((start, start + timedelta(days=7)))


def _services(agency: Agency) -> dict[str, Any]:
    purposes = [*agency.purposes, *([EMERGENCY] if agency.name.startswith("hospital") else [])]
    return {
        purpose: {"datasets": [VIEW], "needs_case": agency.register and purpose != EMERGENCY}
        for purpose in purposes
    }


def _midnight(day: date) -> str:
    return at(day, 0).isoformat()

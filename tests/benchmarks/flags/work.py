"""Honest work of the synthetic set, with all that looks like abuse and is none.

Walk-ins, typing errors, covering for a colleague, a register that is late, night shifts and swapped
ones, overtime, month-ends, a campaign, large investigations, emergencies with their reviews, people
known to the officer who come with a case, returns from long absence, new duties.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from civicbus_schemas.ids import AgencyId, EventType, RecordId
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Positions, Record, Request
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.benchmarks.flags.offices import (
    EMERGENCY,
    FIRST_DAY,
    VIEW,
    Officer,
    Offices,
    at,
    is_working_day,
)

CAMPAIGN_WEEK = 5


@dataclass(slots=True)
class Diary:
    """Everything that happens, in the order in which it is thought of; `seeds` is ground truth."""

    offices: Offices
    records: list[Record] = field(default_factory=list)
    seeds: dict[str, tuple[str, int]] = field(default_factory=dict)  # record → (kind, episode)
    idle: set[str] = field(default_factory=set)  # officers of dormant accounts
    unreleased: set[str] = field(default_factory=set)

    @property
    def rng(self) -> random.Random:
        """The one source of chance."""
        return self.offices.rng

    def read(
        self,
        officer: Officer,
        when: datetime,
        subject: str,
        *,
        purpose: str | None = None,
        case: str | None = None,
        consent: str | None = None,
        outcome: Outcome = Outcome.PERMIT,
        reason: Reason | None = None,
        position: int | None = None,
    ) -> Record:
        """One decision about a look-up."""
        record = Record(
            id=RecordId(self.offices.new_id()),
            nonce=bytes(16),
            kind=RecordKind.ACCESS_DECISION,
            at=when,
            actor=Actor(agency=AgencyId(officer.agency.name), system="lookup", officer=officer.id),
            recipient=AgencyId(officer.agency.name),
            subject=LedgerPseudonym(subject),
            dataset=EventType(VIEW),
            purpose=purpose or self.rng.choice(officer.purposes),
            consent=consent,
            decision=outcome,
            reason=reason,
            positions=Positions(consent=position),
            req=Request(case=case or self.offices.new_id()),
        )
        self.records.append(record)
        return record

    def tell(
        self, kind: RecordKind, when: datetime, agency: str, *, subject: str | None = None,
        about: str | None = None, consent: str | None = None, position: int | None = None,
    ) -> Record:  # fmt: skip
        """Something that is no look-up: a delivery, a review, an end of a consent."""
        record = Record(
            id=RecordId(self.offices.new_id()),
            nonce=bytes(16),
            kind=kind,
            at=when,
            actor=Actor(agency=AgencyId(agency), system="stream"),
            recipient=AgencyId(agency),
            subject=None if subject is None else LedgerPseudonym(subject),
            consent=consent,
            positions=Positions(consent=position),
            decision=Outcome.PERMIT,
            req=None if about is None else Request(id=about),
        )
        self.records.append(record)
        return record


def honest_work(diary: Diary) -> None:
    """All days of all officers, and then what happens now and then."""
    for day in diary.offices.days():
        for officer in diary.offices.officers:
            if officer.moves_on == day:
                officer.purposes = officer.agency.purposes
            if not officer.away(day):
                _work(diary, officer, day)
    _large_investigations(diary)
    _known_people(diary)


def _work(diary: Diary, officer: Officer, day: date) -> None:
    rng = diary.rng
    by_night = officer.by_night and day.isocalendar().week % 3 == 0
    if not by_night and not is_working_day(day):
        return
    for _ in range(_poisson(rng, officer.pace * _season(officer, day))):
        hour = rng.uniform(22, 29.5) if by_night else _office_hour(rng)
        _errand(diary, officer, at(day, hour))
    if by_night and rng.random() > 0.03:  # a few shifts are swapped, and the roster says nothing
        shifts = diary.offices.shifts.setdefault(officer.id, [])
        shifts.append([at(day, 21.5).isoformat(), at(day, 30.5).isoformat()])


def _office_hour(rng: random.Random) -> float:
    if rng.random() < 0.01:
        return rng.uniform(18, 20.5)  # overtime
    return busy_hour(rng)


def busy_hour(rng: random.Random) -> float:
    """An hour at which offices are open: of the morning, or of the afternoon."""
    return rng.choice([rng.gauss(9.7, 1.0), rng.gauss(14.6, 1.0)]) % 24


def _season(officer: Officer, day: date) -> float:
    """Month-ends at the insurance, a campaign of immunisation in one week."""
    name = officer.agency.name
    if name == "vss" and (day + timedelta(days=2)).month != day.month:
        return 2.0
    if name == "moh" and (day - FIRST_DAY).days // 7 == CAMPAIGN_WEEK:
        return 3.5
    return 1.0


def _errand(diary: Diary, officer: Officer, when: datetime) -> None:
    rng, agency = diary.rng, officer.agency
    subject = diary.offices.new_person(agency.name)
    if rng.random() < 0.02:  # a typing error, mostly mended
        reason = rng.choice([Reason.SUBJECT_NOT_FOUND, Reason.IDENTITY_MISMATCH])
        wrong = diary.offices.new_id()
        diary.read(officer, when, wrong, outcome=Outcome.DENY, reason=reason)
        if rng.random() < 0.2:
            return
        when += timedelta(seconds=rng.randrange(20, 90))
    if agency.name.startswith("hospital") and rng.random() < 0.02:
        emergency(diary, officer, when, subject, reviewed=True)
    elif agency.by_consent:
        _by_consent(diary, officer, when, subject)
    elif agency.register:
        _by_case(diary, officer, when, subject)
    else:
        _by_request(diary, officer, when, subject)


def _by_consent(diary: Diary, officer: Officer, when: datetime, subject: str) -> None:
    consent = f"{diary.offices.new_id()}@1"
    if diary.rng.random() < 0.04:  # asked too early; then it is given
        diary.read(officer, when, subject, outcome=Outcome.DENY, reason=Reason.NO_CONSENT)
        when += timedelta(minutes=diary.rng.randrange(3, 90))
    diary.read(officer, when, subject, consent=consent, position=diary.rng.randrange(10_000))


def _by_case(diary: Diary, officer: Officer, when: datetime, subject: str) -> None:
    rng, offices = diary.rng, diary.offices
    chance = rng.random()
    if chance < 0.003:  # the register is late
        case = offices.open_case([officer.id], when + timedelta(hours=5))
    elif chance < 0.07:  # covering for a colleague
        case = offices.open_case([rng.choice(offices.colleagues(officer)).id], when)
    elif chance < 0.08:  # closed, and something was left to do
        days = rng.choice([1, 2, 2, 3, 3, 6])
        until = when - timedelta(days=days, hours=-1)
        case = offices.open_case([officer.id], when - timedelta(days=30), until=until)
    else:
        case = offices.open_case([officer.id], when - timedelta(hours=rng.randrange(1, 200)))
    for n in range(rng.choice([1, 1, 1, 2, 3])):
        person = subject if n == 0 else offices.new_person(officer.agency.name)
        diary.read(officer, when + timedelta(minutes=2 * n), person, case=case)


def _by_request(diary: Diary, officer: Officer, when: datetime, subject: str) -> None:
    walk_in = officer.agency.walk_in
    if _season(officer, when.date()) > 3:
        walk_in = 0.5  # a campaign goes to people, who have asked for nothing
    if diary.rng.random() >= walk_in:
        before = timedelta(hours=diary.rng.randrange(1, 20 * 24))
        diary.tell(RecordKind.ACCESS_DECISION, when - before, officer.agency.name, subject=subject)
    diary.read(officer, when, subject)


def emergency(
    diary: Diary, officer: Officer, when: datetime, subject: str, *, reviewed: bool
) -> Record:
    """The glass is broken, often after a refusal; another body reviews it within a day, or not."""
    rng = diary.rng
    if rng.random() < 0.3:
        refused = {"outcome": Outcome.DENY, "reason": Reason.NO_CONSENT}
        diary.read(officer, when, subject, **refused)  # type: ignore[arg-type]
        when += timedelta(seconds=40)
    broken = diary.read(officer, when, subject, purpose=EMERGENCY, outcome=Outcome.BREAKGLASS)
    if reviewed:
        later = when + timedelta(hours=rng.uniform(1, 22))
        diary.tell(RecordKind.BREAK_GLASS_REVIEW, later, "mps", about=str(broken.id))
    return broken


def _large_investigations(diary: Diary) -> None:
    """Twenty people of one case, by its own clerk, within an afternoon; now and then."""
    clerks = [o for o in diary.offices.officers if o.agency.name == "mps" and not o.leaves]
    for officer in diary.rng.sample(clerks, min(4, len(clerks))):
        day = diary.rng.choice([d for d in diary.offices.days() if is_working_day(d)])
        case = diary.offices.open_case([officer.id], at(day, 8))
        for n in range(20):
            person = diary.offices.new_person("mps")
            diary.read(officer, at(day, 13.5 + n / 6), person, case=case)


def _known_people(diary: Diary) -> None:
    """Colleagues and people on the watch list have papers to be dealt with, like everybody."""
    rng, offices = diary.rng, diary.offices
    days = [d for d in offices.days() if is_working_day(d)]
    for number in range(len(offices.officers) // 3):
        officer = rng.choice(offices.officers)
        day = rng.choice(days)
        if officer.away(day):
            continue
        colleague = rng.choice(offices.colleagues(officer)[:12]).self_
        subject = colleague if number % 2 else rng.choice(offices.watched)
        when = at(day, rng.uniform(8, 16))
        case = offices.open_case([officer.id], when - timedelta(hours=3))
        connected = rng.random() > 0.05  # one in twenty simply stands at the counter
        diary.read(officer, when, subject, case=case if connected else None)


def _poisson(rng: random.Random, mean: float) -> int:
    count, left = 0, rng.expovariate(1.0)
    while left < mean:
        count += 1
        left += rng.expovariate(1.0)
    return count

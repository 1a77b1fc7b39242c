"""What is odd about one reading, and how odd: signals with points. Pure.

Points are whole numbers of a hundred. The table says what a signal weighs and which explanations
take how much off; nothing else is subtracted but what officers' labels have taught.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from civicbus_schemas.vocabulary import Outcome, Reason

from civicbus_consumers.flags.explaining import Reading
from civicbus_consumers.flags.memory import Memory
from civicbus_consumers.flags.reference import CASE_GRACE, Reference
from civicbus_consumers.flags.usual import DAY_S, HOUR_S, tail
from civicbus_consumers.flags.words import Explanation, Flag

NOT_FOUND = (Reason.SUBJECT_NOT_FOUND, Reason.IDENTITY_MISMATCH)
DORMANT_S = 45 * DAY_S
LONG_STANDING = 20
SHOULDER = 10
"""So many points less where an office has just closed, or is about to open."""
RARE = 1e-5
"""How unlikely a day's count must be, were it like the days before, to be called a burst."""
FAINT = 5
"""What an explanation takes off that explains little: it only moves a flag down the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a signal weighs, and what its explanations take off."""

    points: int
    relief: Mapping[Explanation, int] = field(default_factory=dict)


def _relieved(assigned: int, consent: int, service: int) -> dict[Explanation, int]:
    return {
        Explanation.ASSIGNED_CLERK: assigned,
        Explanation.CONSENT: consent,
        Explanation.SERVICE_REQUEST: service,
        Explanation.OPEN_CASE: FAINT,
        Explanation.RESIDENCE: FAINT,
    }


WEIGHTS: Mapping[Flag, Weight] = {
    Flag.VOLUME: Weight(points=60, relief={Explanation.AGENCY_PEAK: 40}),
    Flag.FISHING: Weight(points=65, relief={Explanation.AGENCY_PEAK: 45}),
    Flag.ENUMERATING: Weight(points=70),
    Flag.AFTER_HOURS: Weight(
        points=55,
        relief=_relieved(40, 40, 40)
        | {Explanation.ON_DUTY: 55, Explanation.USUAL_HOURS: 40, Explanation.AGENCY_PEAK: 40},
    ),
    Flag.ON_LEAVE: Weight(points=70, relief={Explanation.ASSIGNED_CLERK: 15}),
    Flag.SELF: Weight(points=90),
    Flag.HOUSEHOLD: Weight(points=80, relief=_relieved(20, 40, 20)),
    Flag.COLLEAGUE: Weight(points=65, relief=_relieved(60, 60, 40)),
    Flag.WATCHED: Weight(points=65, relief=_relieved(60, 60, 40)),
    Flag.WRONG_PURPOSE: Weight(points=70),
    Flag.NO_CASE: Weight(points=60),
    Flag.CLOSED_CASE: Weight(points=60, relief=_relieved(30, 30, 0)),
    Flag.PROBING: Weight(points=65, relief=_relieved(30, 30, 0)),
    Flag.UNREVIEWED_EMERGENCY: Weight(points=80),
    Flag.DORMANT: Weight(points=60, relief=_relieved(50, 50, 50)),
    Flag.FIRST_DATASET: Weight(points=55, relief=_relieved(50, 50, 50)),
    Flag.WITHDRAWN_CONSENT: Weight(points=100),
    Flag.UNRELEASED: Weight(points=60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One oddity; `count` against `usual` where it is a matter of numbers, `extra` points then."""

    flag: Flag
    count: int | None = None
    usual: float | None = None
    extra: int = 0


def signals(reading: Reading, memory: Memory, reference: Reference) -> Iterator[Signal]:
    """All that is odd about this reading, the officer's memory being that of before it."""
    if reading.record.decision is Outcome.DENY:
        yield from _enumerating(reading)
        return
    yield from _of_relations(reading, reference)
    yield from _of_times(reading, reference)
    yield from _of_service(reading, memory, reference)
    yield from _of_habit(reading)
    yield from _probing(reading)
    yield from _volume(reading)
    if not reading.connected:
        yield from _fishing(reading)


def _of_relations(reading: Reading, reference: Reference) -> Iterator[Signal]:
    subject = reading.record.subject or ""
    relation = reference.relations.get((reading.officer_name, subject))
    if relation is not None:
        yield Signal(flag=relation)
    if subject in reference.watched:
        yield Signal(flag=Flag.WATCHED)


def _of_times(reading: Reading, reference: Reference) -> Iterator[Signal]:
    calendar = reference.calendars.get(reading.record.actor.agency)
    if calendar is not None and not calendar.works(reading.now.local):
        shoulder = calendar.is_shoulder(reading.now.local)
        yield Signal(flag=Flag.AFTER_HOURS, extra=-SHOULDER if shoulder else 0)
    if reference.on_leave(reading.officer_name, reading.now.at):
        yield Signal(flag=Flag.ON_LEAVE)
    idle = reading.now.seconds - reading.officer.last
    if reading.officer.last and idle > DORMANT_S:
        yield Signal(flag=Flag.DORMANT, count=idle // DAY_S, usual=DORMANT_S / DAY_S)


def _of_service(reading: Reading, memory: Memory, reference: Reference) -> Iterator[Signal]:
    record, agency = reading.record, reading.record.actor.agency
    services = reference.services.get(agency)
    service = None if services is None else services.get(record.purpose or "")
    if services is not None and (service is None or record.dataset not in service.datasets):
        yield Signal(flag=Flag.WRONG_PURPOSE)
    case = reference.case(reading.case, reading.now.at)
    closed = memory.noted(f"case/{reading.case}")
    if (case is not None and not case.is_open(reading.now.at)) or _closed_before(reading, closed):
        yield Signal(flag=Flag.CLOSED_CASE)
    elif service is not None and service.needs_case and case is None:
        yield from _without_case(reading, registered=agency in reference.registers)


def _without_case(reading: Reading, *, registered: bool) -> Iterator[Signal]:
    """A number that is in no register is no case; where there is no register, any number is."""
    if reading.case is None or registered:
        yield Signal(flag=Flag.NO_CASE)


def _closed_before(reading: Reading, closed: int | None) -> bool:
    return closed is not None and closed + CASE_GRACE.total_seconds() < reading.now.seconds


def _of_habit(reading: Reading) -> Iterator[Signal]:
    officer, record = reading.officer, reading.record
    if record.decision is Outcome.BREAKGLASS:  # emergencies have a review of their own
        return
    if officer.total >= LONG_STANDING and duty_of(reading) not in officer.duties:
        yield Signal(flag=Flag.FIRST_DATASET, count=officer.total)


def duty_of(reading: Reading) -> str:
    """The kind of a reading: its dataset and purpose."""
    return f"{reading.record.dataset} {reading.record.purpose}"


def _probing(reading: Reading) -> Iterator[Signal]:
    """The same person, refused for another purpose within a day; a wrong name is no refusal."""
    if reading.record.decision is Outcome.BREAKGLASS:
        return
    others = [
        purpose
        for _, person, purpose, not_found in reading.officer.refused
        if person == reading.person and not not_found and purpose != reading.record.purpose
    ]
    if others:
        yield Signal(flag=Flag.PROBING, count=len(others), usual=0.0)


def _enumerating(reading: Reading) -> Iterator[Signal]:
    """Many different people in an hour, or in a day, of whom none was found."""
    if reading.record.reason not in NOT_FOUND:
        return
    missed = [entry for entry in reading.officer.refused if entry[3]]
    start = reading.now.seconds - HOUR_S
    hour = {e[1] for e in missed if e[0] > start} | {reading.person}
    day = {e[1] for e in missed} | {reading.person}
    readings = max(1, reading.officer.weekly.now(reading.now) + 1)
    if (len(hour) >= 5 and len(hour) * 2 >= readings) or len(day) >= 12:
        yield Signal(flag=Flag.ENUMERATING, count=max(len(hour), len(day)), usual=1.0)


def _volume(reading: Reading) -> Iterator[Signal]:
    """The z-score of this hour among the same hours of other weeks, officer's and agency's."""
    now, weekly = reading.now, reading.officer.weekly
    count = weekly.now(now) + 1
    if count < 12:
        return
    own = weekly.mean(now.hour_of_week, now)
    daily = sum(cell[0] for cell in weekly.hours.values()) / max(1, len(weekly.hours))
    usual = max(own, daily / weekly.weeks(now))
    deviation = math.sqrt(max(weekly.spread(now.hour_of_week, now), usual, 1.0))
    z = (count - usual) / deviation
    hour, explained = reading.officer.explained
    share = explained / count if hour == now.hour else 0.0
    if z >= 5.0 and share < 0.75:
        yield Signal(flag=Flag.VOLUME, count=count, usual=round(usual, 1), extra=-int(30 * share))


def _fishing(reading: Reading) -> Iterator[Signal]:
    """So many people whom nothing connects with a task that chance does not make them."""
    start = reading.now.seconds - HOUR_S
    recent = reading.officer.recent
    hour = {entry[1] for entry in recent if entry[0] > start} | {reading.person}
    day = {entry[1] for entry in recent if entry[0] >= reading.now.midnight} | {reading.person}
    usual = usual_unexplained(reading)
    burst = len(hour) >= 6 and tail(len(hour), max(usual / 3, 0.5)) < RARE
    spread = len(day) >= 7 and tail(len(day), max(1.3 * usual, 0.8)) < RARE
    if burst or spread:
        extra = min(25, len(day))
        yield Signal(flag=Flag.FISHING, count=len(day), usual=round(usual, 1), extra=extra)


def usual_unexplained(reading: Reading) -> float:
    """How many unexplained readings a day of this officer has, a newcomer's as the agency's."""
    own, common = reading.officer.unexplained, reading.agency.unexplained
    known = min(own.days, 20)
    return (own.mean * known + common.mean * 5) / (known + 5)

"""What explains a reading: looked for before anything about it is found odd. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from civicbus_schemas.record import Record

from civicbus_consumers.flags.memory import AgencyMemory, Memory, OfficerMemory
from civicbus_consumers.flags.reference import Reference
from civicbus_consumers.flags.usual import DAY_S, Moment, tail
from civicbus_consumers.flags.words import STRONG, Explanation

CONTACT_S = 30 * DAY_S
"""How long a delivery or a consent explains that the agency reads about the person."""
USUAL_READINGS, USUAL_SHARE = 40, 0.05
PEOPLE_OF_A_CASE = 12
"""For so many people of a day a case explains; for more it may be a pretext."""
PEAK_COUNT, PEAK_TIMES = 8, 1.8
PEAK_OF_ONE = 6
"""So many readings an hour of one officer count at most: one busy colleague makes no peak."""
BY_CHANCE = 1e-5
"""A count that is more likely than this, were it like the weeks before, is no peak."""
PEAK_KNOWN_S = 14 * DAY_S
"""How long an agency must be known before anything can be called a peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One decision about a look-up, with all that rules may know when they judge it."""

    record: Record
    officer_name: str
    now: Moment
    officer: OfficerMemory
    agency: AgencyMemory
    explanations: frozenset[Explanation] = frozenset()

    @property
    def case(self) -> str | None:
        """The case that was named."""
        return None if self.record.req is None else self.record.req.case

    @property
    def person(self) -> str:
        """Who was read about, as officers' memories name them."""
        return (self.record.subject or "")[:16]

    @property
    def connected(self) -> bool:
        """Whether something that the officer cannot make up connects it with a task."""
        return bool(self.explanations & STRONG)


def explain(reading: Reading, memory: Memory, reference: Reference) -> Iterator[Explanation]:
    """Everything that speaks for this reading."""
    record, at = reading.record, reading.now.at
    case = reference.case(reading.case, at)
    if case is not None and case.is_open(at):
        assigned = reading.officer_name in case.clerks and not _overladen(reading)
        yield Explanation.ASSIGNED_CLERK if assigned else Explanation.OPEN_CASE
    if record.consent is not None and record.decision.discloses:
        yield Explanation.CONSENT
    contact = memory.noted(contact_key(record.actor.agency, record.subject or ""))
    if contact is not None and 0 <= reading.now.seconds - contact <= CONTACT_S:
        yield Explanation.SERVICE_REQUEST
    if reference.same_district(reading.officer_name, record.subject or ""):
        yield Explanation.RESIDENCE
    if reference.on_duty(reading.officer_name, at):
        yield Explanation.ON_DUTY
    if _usual(reading, reference):
        yield Explanation.USUAL_HOURS
    if _peak(reading):
        yield Explanation.AGENCY_PEAK


def contact_key(agency: str, subject: str) -> str:
    """Where the newest contact between an agency and a person is remembered."""
    return f"contact/{agency}/{subject}"


def _overladen(reading: Reading) -> bool:
    people = reading.officer.cases.get(reading.case or "", ())
    return len(people) >= PEOPLE_OF_A_CASE and reading.person not in people


def _usual(reading: Reading, reference: Reference) -> bool:
    """Whether the officer often works at this hour of the night; that explains no day off."""
    calendar = reference.calendars.get(reading.record.actor.agency)
    hour, officer = reading.now.local.hour, reading.officer
    if calendar is None or calendar.opens <= hour < calendar.closes:
        return False
    return officer.total >= USUAL_READINGS and officer.weekly.share_near(hour) >= USUAL_SHARE


def _peak(reading: Reading) -> bool:
    """Whether the others of the agency read much more than in other weeks at this hour or before.

    The hour before counts too: a peak is not to be doubted anew at each full hour.
    """
    weekly, own, now = reading.agency.weekly, reading.officer.weekly, reading.now
    if now.seconds - weekly.since < PEAK_KNOWN_S:
        return False
    others = weekly.now(now) - min(own.now(now), PEAK_OF_ONE)
    former, usual = weekly.former(now)
    former -= min(own.former(now)[0], PEAK_OF_ONE)
    return _exceeds(others, weekly.mean(now.hour_of_week, now)) or _exceeds(former, usual)


def _exceeds(count: int, usual: float) -> bool:
    return count >= max(PEAK_COUNT, PEAK_TIMES * usual) and tail(count, usual) < BY_CHANCE

"""Lives in order: who is entered, born, married, treated, moves, asks, consents and dies, and when.

Each person's events keep the order of cause and effect: no paper before the PIN, no death before a
birth, no answer before a request, no withdrawal before a consent, and nothing after death.

A little longer than our other modules: all that can happen changes the same people, and is drawn
from one list.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count, islice
from random import Random

from civicbus_schemas.event import Event
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vietnam.events import CertificateRequested, ConsentGiven
from civicbus_schemas.vocabulary import ConsentStatus

from civicbus_deploy.provisioning.nation import load_nation
from civicbus_deploy.simulation import care, requests
from civicbus_deploy.simulation.names import draw_full_name
from civicbus_deploy.simulation.papers import CARD_AGE, VIETNAM_TIME, Papers, morning_of
from civicbus_deploy.simulation.people import (
    MARRIAGEABLE,
    Household,
    Living,
    Person,
    Registry,
    marry,
)

Emission = tuple[AgencyId, Event, Pin]

MOJ, MPS = AgencyId("moj"), AgencyId("mps")
IDENTITY, VNEID = AgencyId("identity"), AgencyId("vneid")

BEGINNING = datetime(2026, 3, 2, 1, tzinfo=UTC)
SPAN = timedelta(days=180)
_PINS_SINCE, _RESIDENCE_FILES_SINCE = date(2016, 1, 1), date(2021, 7, 1)
_TRIES = 30


def generate(
    persons: int, events: int, seed: int, *, policy: PolicySet | None = None
) -> Iterator[Emission]:
    """`events` events of a population founded with `persons`: agency, event, the key's subject.

    The same arguments give the same events. First everybody is entered in the registers (three
    events a person, and one a couple), then life goes on, over half a year. Consents are those
    that the agreements of `policy` (the packaged nation's, if none is given) call for.
    """
    rng = Random(seed)  # noqa: S311 - a simulation must be repeatable
    policy = policy or load_nation().policy
    lives = Lives(rng, step=SPAN / max(events, 1), forms=requests.consent_forms(policy))
    return islice(lives.run(persons), events)


class Lives:
    """The people, what is due later, and the hour."""

    def __init__(
        self, rng: Random, *, step: timedelta, forms: tuple[requests.ConsentForm, ...]
    ) -> None:
        self._rng, self._step, self._forms = rng, step, forms
        self._now = BEGINNING
        self._papers, self._registry = Papers(), Registry(rng)
        self._living = Living()
        self._due: list[tuple[datetime, int, Callable[[], Iterator[Emission]]]] = []
        self._order = count()
        happenings = {
            self._visit: 40, self._vaccination: 16, self._birth: 10, self._move: 8,
            self._request: 8, self._consent: 8, self._marriage: 4, self._death: 3, self._rename: 2,
            self._eid: 6, self._guardianship: 2,
        }  # fmt: skip
        self._happenings, self._weights = list(happenings), list(happenings.values())

    def run(self, persons: int) -> Iterator[Emission]:
        """Everybody is entered, then one thing after another happens, for ever."""
        for person in self._registry.found(persons, self._today):
            yield from self._enter(person)
        while True:
            self._now += self._step
            while self._due and self._due[0][0] <= self._now:
                yield from heapq.heappop(self._due)[2]()
            [happening] = self._rng.choices(self._happenings, self._weights)
            yield from happening()

    @property
    def _today(self) -> date:
        return self._now.astimezone(VIETNAM_TIME).date()

    def _later(self, days: int, then: Callable[[], Iterator[Emission]]) -> None:
        due = self._now + timedelta(days=days)
        heapq.heappush(self._due, (due, next(self._order), then))

    def _draw(self, fits: Callable[[Person], bool] = lambda _: True) -> Person | None:
        """Somebody living who fits, unless that is rare."""
        drawn = (self._living.draw(self._rng) for _ in range(_TRIES))
        return next((person for person in drawn if person is not None and fits(person)), None)

    # the registers as they were when the bus began

    def _enter(self, person: Person) -> Iterator[Emission]:
        registered = morning_of(person.born_on + timedelta(days=20))
        issued = max(registered, morning_of(_PINS_SINCE))
        yield _by(IDENTITY, self._papers.pin_issued(person, issued, today=self._today))
        yield _by(MOJ, self._papers.birth_registered(person, registered, kind="digitised"))
        yield self._settle(person, max(issued, morning_of(_RESIDENCE_FILES_SINCE)), previous=None)
        self._living.add(person)
        spouse = person.spouse
        if spouse is not None and spouse in self._living:
            younger = max(person.born_on, spouse.born_on)
            yield self._wed(person, spouse, morning_of(younger + timedelta(days=21 * 366)))

    def _settle(self, person: Person, at: datetime, *, previous: str | None) -> Emission:
        relation = _relation(person, person.household.head)
        paper = self._papers.residence_registered(person, at, relation=relation, previous=previous)
        return _by(MPS, paper)

    def _wed(self, one: Person, other: Person, at: datetime) -> Emission:
        wife, husband = (one, other) if one.sex == "female" else (other, one)
        return _by(MOJ, self._papers.marriage_registered(wife, husband, at))

    # what happens in a life

    def _visit(self) -> Iterator[Emission]:
        if person := self._draw():
            place = (
                care.hospital_of(person) if self._rng.random() < 0.8 else care.station_of(person)
            )
            paper = care.visit_recorded(
                person, self._now, rng=self._rng, papers=self._papers, facility=place
            )
            yield _by(AgencyId(place.agency), paper)

    def _vaccination(self) -> Iterator[Emission]:
        child = self._draw(lambda person: person.age(self._today) < 6)
        if person := child or self._draw():
            place = (
                care.station_of(person) if self._rng.random() < 0.5 else care.hospital_of(person)
            )
            paper = care.vaccination_recorded(person, self._now, rng=self._rng, facility=place)
            yield _by(AgencyId(place.agency), paper)

    def _birth(self) -> Iterator[Emission]:
        """PIN, then the entry, then residence with the mother: one stop (Decree 63/2024)."""
        mother = self._draw(lambda p: p.sex == "female" and 20 <= p.age(self._today) <= 44)
        if mother is None:
            return
        born_on = self._today - timedelta(days=self._rng.randint(2, 40))
        child = self._registry.draw_person(
            mother.household, born_on=born_on, mother=mother, father=mother.spouse
        )
        yield _by(IDENTITY, self._papers.pin_issued(child, self._now, today=self._today))
        yield _by(MOJ, self._papers.birth_registered(child, self._now, kind="on-time"))
        yield self._settle(child, self._now, previous=None)
        self._living.add(child)

    def _move(self) -> Iterator[Emission]:
        """An adult leaves for a household of his own; the old residence ends first."""
        if person := self._draw(self._is_adult):
            yield from self._move_into(person, self._registry.draw_household())

    def _move_into(self, person: Person, household: Household) -> Iterator[Emission]:
        left = person.household
        yield _by(MPS, self._papers.residence_ended(person, self._now, reason="moved"))
        left.members.remove(person)
        person.household = household
        household.members.append(person)
        yield self._settle(person, self._now, previous=left.commune.code)

    def _marriage(self) -> Iterator[Emission]:
        one = self._draw(self._may_marry)
        other = one and self._draw(
            lambda p: self._may_marry(p) and p.sex != one.sex and not p.is_kin(one)
        )
        if one and other:
            marry(one, other)
            yield self._wed(one, other, self._now)
            yield from self._move_into(other, one.household)

    def _death(self) -> Iterator[Emission]:
        """The entry, then the end of residence: one stop (Decree 63/2024)."""
        person = self._draw(lambda p: p.age(self._today) >= 55) or self._draw()
        family = person and [*person.parents, person.spouse, *person.household.members]
        declarant = self._draw_declarant(person, family or [])
        if person is None or declarant is None:
            return
        self._living.remove(person)
        person.died_on = self._today - timedelta(days=self._rng.randint(0, 5))
        yield _by(
            MOJ,
            self._papers.death_registered(
                person,
                self._now,
                declarant=declarant,
                relation=_relation(declarant, person),
                cause=self._rng.choice(care.CAUSES_OF_DEATH),
            ),
        )
        yield _by(MPS, self._papers.residence_ended(person, self._now, reason="death"))
        person.household.members.remove(person)
        if person.spouse is not None:
            person.spouse.spouse = None

    def _draw_declarant(
        self, person: Person | None, family: Sequence[Person | None]
    ) -> Person | None:
        adults = [
            p for p in family
            if p is not None and p is not person and p in self._living and self._is_adult(p)
        ]  # fmt: skip
        return adults[0] if adults else self._draw(lambda p: p is not person and self._is_adult(p))

    def _rename(self) -> Iterator[Emission]:
        if person := self._draw():
            family = person.full_name.split()[0]
            person.full_name = draw_full_name(self._rng, family=family, sex=person.sex)
            yield _by(MOJ, self._papers.name_corrected(person, self._now))

    def _eid(self) -> Iterator[Emission]:
        """An electronic identity is opened or raised, and now and then locked."""
        if person := self._draw(lambda p: p.age(self._today) >= CARD_AGE):
            level = self._rng.choice((0, 1, 2, 2, 2, 2))
            yield _by(IDENTITY, self._papers.eid_changed(person, self._now, level=level))

    def _guardianship(self) -> Iterator[Emission]:
        """Somebody old loses legal capacity, and one of the household becomes the guardian."""
        ward = self._draw(lambda p: p.age(self._today) >= 60)
        guardian = ward and self._draw_declarant(ward, ward.household.members)
        if ward and guardian:
            yield _by(MOJ, self._papers.capacity_changed(ward, self._now, capacity="lost"))
            paper = self._papers.guardianship_registered(ward, self._now, guardian=guardian)
            yield _by(MOJ, paper)

    def _request(self) -> Iterator[Emission]:
        """A request now, the answer within its ten days, if the applicant still lives."""
        if person := self._draw(self._is_adult):
            request = requests.certificate_requested(
                person, self._now, rng=self._rng, papers=self._papers
            )
            yield _by(VNEID, request)
            days = self._rng.randint(1, requests.DAYS_TO_ANSWER)
            self._later(days, partial(self._answer, person, request))

    def _answer(self, person: Person, request: CertificateRequested) -> Iterator[Emission]:
        if person in self._living:
            answer = requests.certificate_answered(
                person, request, self._now, rng=self._rng, papers=self._papers
            )
            yield _by(MOJ, answer)

    def _consent(self) -> Iterator[Emission]:
        """A consent now and, for some, its withdrawal or a pause days later."""
        person = self._draw(lambda p: p.age(self._today) >= CARD_AGE)
        if person is None or not self._forms:
            return
        rng = self._rng
        given = requests.consent_given(
            person,
            self._now,
            form=rng.choice(self._forms),
            rng=rng,
            for_days=rng.choice((None, None, 30, 365)),
        )
        yield _by(VNEID, given)
        if rng.random() < 0.3:
            self._later(rng.randint(1, 60), partial(self._withdraw, person, given))
        elif rng.random() < 0.2:
            pause = partial(self._change, person, given, version=2, status=ConsentStatus.PAUSED)
            self._later(rng.randint(1, 30), pause)

    def _change(
        self, person: Person, given: ConsentGiven, *, version: int, status: ConsentStatus
    ) -> Iterator[Emission]:
        """A pause, which is followed by its end, or that end."""
        if person in self._living:
            yield _by(
                VNEID, requests.consent_changed(given, self._now, version=version, status=status)
            )
            if status is ConsentStatus.PAUSED:
                resume = partial(
                    self._change, person, given, version=version + 1, status=ConsentStatus.GIVEN
                )
                self._later(self._rng.randint(1, 30), resume)

    def _withdraw(self, person: Person, given: ConsentGiven) -> Iterator[Emission]:
        if person in self._living:
            yield _by(VNEID, requests.consent_withdrawn(given, self._now))

    def _is_adult(self, person: Person) -> bool:
        return person.age(self._today) >= max(MARRIAGEABLE.values())

    def _may_marry(self, person: Person) -> bool:
        return person.spouse is None and person.age(self._today) >= MARRIAGEABLE[person.sex]


def _by(agency: AgencyId, event: Event) -> Emission:
    return agency, event, event.key_pin


def _relation(person: Person, to: Person) -> str:
    """What the person is to the other one."""
    if person is to:
        return "head"
    if person.spouse is to:
        return "spouse"
    if to in person.parents:
        return "child"
    if person in to.parents:
        return "parent"
    return "sibling" if person.is_kin(to) else "other"

"""Synthetic people and households, and how a population is founded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from civicbus_schemas.ids import Pin

from civicbus_deploy.simulation.names import draw_family_name, draw_full_name
from civicbus_deploy.simulation.pins import draw_pin
from civicbus_deploy.simulation.places import COMMUNES, STREETS, Commune

MARRIAGEABLE = {"female": 18, "male": 20}
_ETHNICITIES = ("Kinh", "Tày", "Thái", "Mường", "Khmer", "Hoa", "Nùng", "H'Mông")
_ETHNICITY_WEIGHTS = (853, 19, 19, 15, 14, 8, 11, 14)
_RELIGIONS = (None, "Phật giáo", "Công giáo", "Tin lành", "Cao Đài", "Hòa Hảo")
_RELIGION_WEIGHTS = (863, 48, 61, 10, 6, 10)
_LIVES_ALONE, _LARGEST = 0.25, 5
_CARD_AGES = (25, 40, 60)  # a card is renewed at each, and is for life after the last


@dataclass(slots=True, eq=False)
class Household:
    """People under one roof."""

    number: str
    line: str
    commune: Commune
    members: list[Person] = field(default_factory=list)

    @property
    def head(self) -> Person:
        """Who is named in the file: the member who was first there."""
        return self.members[0]


@dataclass(slots=True, eq=False, kw_only=True)
class Person:
    """Somebody who does not exist; what changes in a life is changed here."""

    pin: Pin
    full_name: str
    born_on: date
    sex: str
    birth_commune: Commune
    ethnicity: str
    religion: str | None
    mother: Person | None = None
    father: Person | None = None
    household: Household
    spouse: Person | None = None
    marriages: int = 0
    died_on: date | None = None

    def age(self, on: date) -> int:
        """Whole years lived on that day."""
        before_birthday = (on.month, on.day) < (self.born_on.month, self.born_on.day)
        return on.year - self.born_on.year - before_birthday

    @property
    def parents(self) -> list[Person]:
        """Those of the parents who are in the population."""
        return [parent for parent in (self.mother, self.father) if parent is not None]

    def is_kin(self, other: Person) -> bool:
        """Whether they share a parent, or one is the other's."""
        mine, theirs = {self, *self.parents}, {other, *other.parents}
        return not mine.isdisjoint(theirs)

    def card_expiry(self, issued_on: date) -> date | None:
        """The last day of an identity card issued on that day; None for life."""
        birthdays = map(self.birthday, _CARD_AGES)
        return next((day for day in birthdays if day > issued_on), None)

    def birthday(self, age: int) -> date:
        """The day on which that age is reached."""
        leapling = (self.born_on.month, self.born_on.day) == (2, 29)
        day = 28 if leapling else self.born_on.day
        return date(self.born_on.year + age, self.born_on.month, day)


class Living:
    """Those who live, to draw from and to look up at no cost."""

    def __init__(self) -> None:
        self._people: list[Person] = []
        self._places: dict[Person, int] = {}

    def __contains__(self, person: Person | None) -> bool:
        return person in self._places

    def add(self, person: Person) -> None:
        """Count one more."""
        self._places[person] = len(self._people)
        self._people.append(person)

    def remove(self, person: Person) -> None:
        """Let the last one take the place of one who died."""
        place, last = self._places.pop(person), self._people.pop()
        if last is not person:
            self._people[place], self._places[last] = last, place

    def draw(self, rng: Random) -> Person | None:
        """Anyone; None when nobody is left."""
        return rng.choice(self._people) if self._people else None


class Registry:
    """Draws people whose numbers are all different."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[Pin] = set()
        self._households = 0

    def draw_household(self) -> Household:
        """An empty household somewhere."""
        rng = self._rng
        self._households += 1
        line = f"{rng.randint(1, 320)} {rng.choice(STREETS)}"
        return Household(f"SYN-{self._households:06}", line, rng.choice(COMMUNES))

    def draw_person(
        self,
        household: Household,
        *,
        born_on: date,
        sex: str | None = None,
        mother: Person | None = None,
        father: Person | None = None,
    ) -> Person:
        """A new member of the household; a child has its father's family name and ethnicity."""
        rng = self._rng
        sex = sex or rng.choice(("male", "female"))
        parent = father or mother
        family = parent.full_name.split()[0] if parent else draw_family_name(rng)
        commune = household.commune if parent else rng.choice(COMMUNES)
        person = Person(
            pin=self._draw_pin(commune, born_on=born_on, sex=sex),
            full_name=draw_full_name(rng, family=family, sex=sex),
            born_on=born_on,
            sex=sex,
            birth_commune=commune,
            ethnicity=parent.ethnicity if parent else _draw_ethnicity(rng),
            religion=parent.religion if parent else _draw_religion(rng),
            mother=mother,
            father=father,
            household=household,
        )
        household.members.append(person)
        return person

    def _draw_pin(self, commune: Commune, *, born_on: date, sex: str) -> Pin:
        while True:
            province = commune.birth_code(born_on)
            pin = draw_pin(self._rng, province=province, born_on=born_on, sex=sex)
            if pin not in self._taken:
                self._taken.add(pin)
                return pin

    def found(self, count: int, today: date) -> Iterator[Person]:
        """The first `count` people, by households, parents before their children."""
        while count > 0:
            family = self._draw_family(today) if count >= _LARGEST else self._draw_single(today)
            yield from family
            count -= len(family)

    def _draw_single(self, today: date) -> list[Person]:
        born_on = _born(self._rng, today, self._rng.randint(22, 78))
        return [self.draw_person(self.draw_household(), born_on=born_on)]

    def _draw_family(self, today: date) -> list[Person]:
        """One or two adults and up to three children, the eldest first."""
        rng = self._rng
        [first] = self._draw_single(today)
        if rng.random() < _LIVES_ALONE:
            return [first]
        age = first.age(today)
        partner_age = max(21, age + rng.randint(-5, 5))
        partner_sex = "female" if first.sex == "male" else "male"
        second = self.draw_person(
            first.household, born_on=_born(rng, today, partner_age), sex=partner_sex
        )
        marry(first, second)
        mother, father = (first, second) if first.sex == "female" else (second, first)
        oldest = min(age, partner_age) - 21
        drawn = [rng.randint(0, 20) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
        children = [
            self.draw_person(
                first.household, born_on=_born(rng, today, years), mother=mother, father=father
            )
            for years in sorted(drawn, reverse=True)
            if years <= oldest
        ]
        return [first, second, *children]


def marry(one: Person, other: Person) -> None:
    """Make two people a couple."""
    one.spouse, other.spouse = other, one
    one.marriages += 1
    other.marriages += 1


def _born(rng: Random, today: date, age: int) -> date:
    return today - timedelta(days=age * 365 + age // 4 + rng.randint(1, 360))


def _draw_ethnicity(rng: Random) -> str:
    return rng.choices(_ETHNICITIES, _ETHNICITY_WEIGHTS)[0]


def _draw_religion(rng: Random) -> str | None:
    return rng.choices(_RELIGIONS, _RELIGION_WEIGHTS)[0]

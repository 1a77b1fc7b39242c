"""What the registers write about synthetic people: one function per kind of event."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from civicbus_schemas.vietnam.events import (
    BirthRegistered,
    CapacityChanged,
    CivilStatusCorrected,
    DeathRegistered,
    EidChanged,
    GuardianshipRegistered,
    MarriageRegistered,
    PermanentDeregistered,
    PermanentRegistered,
    PinIssued,
)

from civicbus_deploy.simulation.people import Person

VIETNAM_TIME = timezone(timedelta(hours=7))
CARD_AGE = 14
_CHIP_CARDS_SINCE = date(2021, 3, 1)


class Papers:
    """Writes papers and numbers them through, each kind by year."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def number(self, kind: str, at: datetime) -> str:
        """The next number of a register, such as `SYN-17/2026`."""
        self._last[kind] = self._last.get(kind, 0) + 1
        return f"SYN-{self._last[kind]}/{at.astimezone(VIETNAM_TIME).year}"

    def pin_issued(self, person: Person, at: datetime, *, today: date) -> PinIssued:
        """A PIN, with the card that those hold today who are old enough."""
        card = None
        if person.age(today) >= CARD_AGE:
            issued_on = max(_CHIP_CARDS_SINCE, person.birthday(CARD_AGE))
            card = PinIssued.Card(
                serial=self.number("card", at),
                issued_on=issued_on,
                expires_on=person.card_expiry(issued_on),
            )
        return PinIssued(
            holder=PinIssued.Holder(
                pin=person.pin.number,
                date_of_birth=person.born_on,
                full_name=person.full_name,
                sex=person.sex,
                birth_registration_place=person.birth_commune.province,
                nationality="VN",
                religion=person.religion if card else None,
                old_id_number=_old_number(person),
            ),
            card=card,
            kind="first",
            issued_at=at,
        )

    def birth_registered(self, person: Person, at: datetime, *, kind: str) -> BirthRegistered:
        """An entry of birth; parents are named as far as they are in the population."""
        return BirthRegistered(
            child=BirthRegistered.Child(
                pin=person.pin.number,
                date_of_birth=person.born_on,
                full_name=person.full_name,
                sex=person.sex,
                place_of_birth=f"Trạm y tế {person.birth_commune.name}",
                birth_commune_code=person.birth_commune.code,
                native_place=person.birth_commune.province,
                ethnicity=person.ethnicity,
                nationality="VN",
            ),
            parents=[
                BirthRegistered.Parent(
                    pin=parent.pin.number,
                    date_of_birth=parent.born_on,
                    role="mother" if parent is person.mother else "father",
                    full_name=parent.full_name,
                    ethnicity=parent.ethnicity,
                    nationality="VN",
                )
                for parent in person.parents
            ],
            registration_kind=kind,
            registration_number=self.number("birth", at),
            registry_commune_code=person.birth_commune.code,
            registered_at=at,
        )

    def eid_changed(self, person: Person, at: datetime, *, level: int) -> EidChanged:
        """An electronic identity that has this level from now on."""
        return EidChanged(
            holder=EidChanged.Holder(pin=person.pin.number), level=level, changed_at=at
        )

    def guardianship_registered(
        self, ward: Person, at: datetime, *, guardian: Person
    ) -> GuardianshipRegistered:
        """The beginning of a guardianship."""
        return GuardianshipRegistered(
            ward=GuardianshipRegistered.Ward(pin=ward.pin.number),
            guardian=GuardianshipRegistered.Guardian(pin=guardian.pin.number),
            kind="began",
            legal_ground="SYN: decision of the commune's People's Committee",
            registration_number=self.number("guardianship", at),
            registered_at=at,
        )

    def capacity_changed(self, person: Person, at: datetime, *, capacity: str) -> CapacityChanged:
        """A court's decision on a person's legal capacity."""
        return CapacityChanged(
            person=CapacityChanged.Person(pin=person.pin.number),
            capacity=capacity,
            judgment_number=self.number("judgment", at),
            registered_at=at,
        )

    def residence_registered(
        self, person: Person, at: datetime, *, relation: str, previous: str | None
    ) -> PermanentRegistered:
        """Permanent residence in the person's household as it is now."""
        household = person.household
        return PermanentRegistered(
            resident=PermanentRegistered.Resident(
                pin=person.pin.number,
                date_of_birth=person.born_on,
                full_name=person.full_name,
                sex=person.sex,
            ),
            address=PermanentRegistered.Address(
                line=household.line,
                commune_code=household.commune.code,
                commune_name=household.commune.name,
                province_code=household.commune.province_code,
            ),
            head=PermanentRegistered.Head(
                pin=household.head.pin.number, full_name=household.head.full_name
            ),
            relation_to_head=relation,
            household_number=household.number,
            previous_commune_code=previous,
            registered_at=at,
        )

    def residence_ended(
        self, person: Person, at: datetime, *, reason: str
    ) -> PermanentDeregistered:
        """The end of permanent residence in the person's household as it is now."""
        return PermanentDeregistered(
            resident=PermanentDeregistered.Resident(
                pin=person.pin.number, date_of_birth=person.born_on, full_name=person.full_name
            ),
            commune_code=person.household.commune.code,
            household_number=person.household.number,
            reason=reason,
            deregistered_at=at,
        )

    def marriage_registered(
        self, wife: Person, husband: Person, at: datetime
    ) -> MarriageRegistered:
        """A marriage; both are already counted as married."""
        return MarriageRegistered(
            wife=MarriageRegistered.Wife(**_spouse(wife)),
            husband=MarriageRegistered.Husband(**_spouse(husband)),
            registration_number=self.number("marriage", at),
            registry_commune_code=wife.household.commune.code,
            registered_at=at,
        )

    def death_registered(
        self, person: Person, at: datetime, *, declarant: Person, relation: str, cause: str
    ) -> DeathRegistered:
        """A death, declared by somebody who lives."""
        commune = person.household.commune
        return DeathRegistered(
            deceased=DeathRegistered.Deceased(
                pin=person.pin.number,
                date_of_birth=person.born_on,
                died_on=person.died_on or at.date(),
                full_name=person.full_name,
                sex=person.sex,
                place_of_death=f"{person.household.line}, {commune.name}",
                death_commune_code=commune.code,
                cause_code=cause,
            ),
            declarant=DeathRegistered.Declarant(
                pin=declarant.pin.number, full_name=declarant.full_name, relation=relation
            ),
            registration_number=self.number("death", at),
            registry_commune_code=commune.code,
            registered_at=at,
        )

    def name_corrected(self, person: Person, at: datetime) -> CivilStatusCorrected:
        """A change of name; the person already has the new one."""
        return CivilStatusCorrected(
            person=CivilStatusCorrected.Person(pin=person.pin.number),
            kind="change",
            entry_number=self.number("entry", at),
            corrected=CivilStatusCorrected.Values(full_name=person.full_name),
            legal_ground="Law 60/2014 Art 3",
            registration_number=self.number("correction", at),
            registry_commune_code=person.birth_commune.code,
            registered_at=at,
        )


def morning_of(day: date) -> datetime:
    """Nine in the morning in Vietnam."""
    return datetime.combine(day, time(9), VIETNAM_TIME)


def _spouse(person: Person) -> dict[str, Any]:
    return {
        "pin": person.pin.number,
        "date_of_birth": person.born_on,
        "full_name": person.full_name,
        "ethnicity": person.ethnicity,
        "nationality": "VN",
        "commune_code": person.household.commune.code,
        "marriage_ordinal": person.marriages,
    }


def _old_number(person: Person) -> str | None:
    """Those who were adults before the PIN held a number of nine digits: here, part of the PIN."""
    return f"1{person.pin.number[4:]}" if person.born_on < date(1998, 1, 1) else None

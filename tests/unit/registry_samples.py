"""A woman, her child, a bank that asks, and the situations that their acts are judged in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from civicbus_consumers.consent.registry.acts import (
    Accepted,
    Alter,
    Demand,
    Give,
    Held,
    Request,
    Signer,
    Situation,
    Terms,
)
from civicbus_consumers.consent.registry.rules import judge
from civicbus_consumers.consent.registry.terms import derive_data_agreements
from civicbus_consumers.population.reading import PersonRow
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.vocabulary import ConsentAct

from tests.unit import lookup_samples as samples

AT = datetime(2026, 6, 1, 5, tzinfo=UTC)
VNEID, BANK = AgencyId("vneid"), samples.BANK
HOSPITAL = AgencyId("hospital-cho-ray")
LAN, CHILD, STRANGER = samples.LAN, Pin("001324012345"), Pin("001190077777")
ID = "0190b6f0-0000-7000-8000-000000000001"
NAME = "population.Person:full_name"
DIAGNOSIS = "health.VisitRecorded:visit.main_diagnosis_code"
AGREEMENTS = derive_data_agreements(samples.policy())
TERMS = Terms(recipient=BANK, purpose=samples.CREDIT, fields=frozenset({NAME}))
TREATMENT = Terms(
    recipient=HOSPITAL, purpose="health.continue-treatment", fields=frozenset({DIAGNOSIS})
)
LAN_SIGNS = Signer(pin=LAN, eid_level=2)


def person(pin: Pin = LAN, **changes: Any) -> PersonRow:
    """The woman, or who the changes make of her."""
    return samples.person(**{"pin": pin.number, "eid_level": 2} | changes)


def child(**changes: Any) -> PersonRow:
    """Her child."""
    values = {"date_of_birth": date(2024, 3, 4), "mother_pin": LAN.number, "eid_level": None}
    return person(CHILD, **values | changes)


PEOPLE = {LAN: person(), CHILD: child(), STRANGER: person(STRANGER, mother_pin=None)}


@dataclass
class World:
    """What the registry knows while acts follow each other; each accepted act is held."""

    held: Held | None = None
    asker: AgencyId = VNEID
    at: datetime = AT
    ended: bool = False
    people: dict[Pin, PersonRow] | None = None

    def judge(self, demand: Demand, **changes: Any) -> Any:
        """The verdict on a demand."""
        people = PEOPLE if self.people is None else self.people
        signer = None if isinstance(demand, Request) else demand.signer
        situation = Situation(
            asker=self.asker,
            registrar=VNEID,
            agreements=AGREEMENTS,
            held=self.held,
            subject=people.get(demand.pin),
            signer=people.get(signer.pin) if signer else None,
            subject_name=demand.pin.number[::-1],  # any name that is one to one will do
            signer_name=signer.pin.number[::-1] if signer else None,
            ended=self.ended,
            at=self.at,
        )
        return judge(demand, replace(situation, **changes))

    def do(self, demand: Demand) -> Held:
        """An act that must be accepted."""
        verdict = self.judge(demand)
        assert isinstance(verdict, Accepted), verdict
        self.held = verdict.after
        return verdict.after


def asking(**changes: Any) -> Request:
    """The bank asks the woman."""
    values: dict[str, Any] = {
        "id": ID,
        "pin": LAN,
        "full_name": samples.NAME,
        "date_of_birth": samples.BORN,
        "terms": TERMS,
        "answer_by": AT + timedelta(days=30),
    }
    return Request(**values | changes)


def giving(**changes: Any) -> Give:
    """The woman gives, having seen today's data agreement."""
    terms = changes.get("terms", TERMS)
    shown = AGREEMENTS.get((terms.recipient, terms.purpose))
    values: dict[str, Any] = {
        "id": ID,
        "pin": LAN,
        "signer": LAN_SIGNS,
        "terms": terms,
        "shown": shown.hash if shown else "0" * 64,
    }
    return Give(**values | changes)


def altering(act: ConsentAct, version: int | None = None, **changes: Any) -> Alter:
    """The woman changes her consent."""
    values: dict[str, Any] = {
        "act": act,
        "id": ID,
        "pin": LAN,
        "signer": LAN_SIGNS,
        "version": version,
        "shown": giving().shown if act is ConsentAct.RENEW else None,
    }
    return Alter(**values | changes)

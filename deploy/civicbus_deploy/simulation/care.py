"""What facilities write about synthetic patients."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from civicbus_schemas.vietnam.events import VaccinationRecorded, VisitRecorded

from civicbus_deploy.simulation.papers import VIETNAM_TIME, Papers
from civicbus_deploy.simulation.people import Person
from civicbus_deploy.simulation.places import BACH_MAI, CHO_RAY, COMMUNES, STATIONS, Facility

_CENTRAL_NORTH = 46  # provinces with lower codes send their patients to Hanoi
_STATION_OF = {commune.code: station for commune, station in zip(COMMUNES, STATIONS, strict=True)}
# diagnosis ICD-10, department, drugs ATC with daily dose
_COMPLAINTS = (
    ("J00", "Nội tổng hợp", (("N02BE01", "500 mg x 3"),)),
    ("J18.9", "Hô hấp", (("J01CA04", "500 mg x 3"), ("N02BE01", "500 mg x 3"))),
    ("J45.9", "Hô hấp", (("R03AC02", "100 mcg x 4"),)),
    ("I10", "Tim mạch", (("C08CA01", "5 mg x 1"),)),
    ("E11.9", "Nội tiết", (("A10BA02", "500 mg x 2"),)),
    ("K29.7", "Tiêu hóa", (("A02BC01", "20 mg x 1"),)),
    ("A09", "Tiêu hóa", ()),
    ("M54.5", "Cơ xương khớp", (("M01AE01", "400 mg x 2"),)),
    ("S52.5", "Chấn thương chỉnh hình", (("N02BE01", "500 mg x 4"),)),
)
_VACCINES = (
    ("J07BD52", "MMR (sởi, quai bị, rubella)"),
    ("J07CA09", "DTaP-HepB-IPV-Hib"),
    ("J07AL02", "Phế cầu"),
    ("J07BB02", "Cúm mùa"),
)
CAUSES_OF_DEATH = ("I21.9", "I64", "C34.9", "J44.9", "E14.9", "V89.2")


def hospital_of(person: Person) -> Facility:
    """The central hospital that treats this person."""
    north = int(person.household.commune.province_code) < _CENTRAL_NORTH
    return BACH_MAI if north else CHO_RAY


def station_of(person: Person) -> Facility:
    """The health station of the person's commune."""
    return _STATION_OF[person.household.commune.code]


def visit_recorded(
    person: Person, at: datetime, *, rng: Random, papers: Papers, facility: Facility
) -> VisitRecorded:
    """A visit that ended at that time."""
    code, department, drugs = rng.choice(_COMPLAINTS)
    inpatient = rng.random() < 0.15
    begun = at - (timedelta(days=rng.randint(1, 9)) if inpatient else timedelta(hours=2))
    cost = rng.randint(5, 900) * 10_000
    return VisitRecorded(
        patient=VisitRecorded.Patient(
            pin=person.pin.number,
            date_of_birth=person.born_on,
            full_name=person.full_name,
            sex=person.sex,
            insurance_card_number=f"SYN{person.pin.number[-7:]}",
        ),
        visit=VisitRecorded.Visit(
            started_at=begun,
            ended_at=at,
            visit_number=papers.number("visit", at),
            kind="inpatient" if inpatient else "outpatient",
            department=department,
            main_diagnosis_code=code,
            other_diagnosis_codes=["E78.5"] if rng.random() < 0.1 else [],
            procedure_codes=["89.7"],
            outcome=rng.choice(("recovered", "improved", "improved", "unchanged")),
        ),
        prescriptions=[
            VisitRecorded.Prescription(drug_code=drug, daily_dose=dose, days=rng.randint(3, 28))
            for drug, dose in drugs
        ],
        facility_code=facility.code,
        facility_name=facility.name,
        total_cost_vnd=cost,
        insured_cost_vnd=cost * 8 // 10,
    )


def vaccination_recorded(
    person: Person, at: datetime, *, rng: Random, facility: Facility
) -> VaccinationRecorded:
    """A dose given on that day."""
    code, name = rng.choice(_VACCINES)
    day = at.astimezone(VIETNAM_TIME).date()
    ordinal = rng.randint(1, 3)
    return VaccinationRecorded(
        patient=VaccinationRecorded.Patient(
            pin=person.pin.number,
            date_of_birth=person.born_on,
            full_name=person.full_name,
            sex=person.sex,
        ),
        dose=VaccinationRecorded.Dose(
            given_on=day,
            vaccine_code=code,
            vaccine_name=name,
            lot_number=f"SYN{rng.randrange(10_000):04}",
            ordinal=ordinal,
            next_due_on=day + timedelta(days=30) if ordinal < 3 else None,
            reaction=None,
        ),
        facility_code=facility.code,
        facility_name=facility.name,
        recorded_at=at,
    )

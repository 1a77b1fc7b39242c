"""I4: only the agency that owns a datum changes it in the view; the rebuilt view is the same.

Every kind of delivery is repeated by every agency that does not own what it says, later than the
owner's and with other values. Nothing of the persons changes, each attempt is counted, and the view
made anew from all of it has the same hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from civicbus_consumers.population.rebuild import rebuild

from tests.fakes.population import (
    BIRTH,
    CAPACITY,
    CORRECTION,
    DEATH,
    DEREGISTERED,
    EID,
    FATHER,
    GUARDIANSHIP,
    MARRIAGE,
    MOTHER,
    PIN_ISSUED,
    REGISTERED,
    Sample,
    after,
    birth,
    capacity,
    correction,
    death,
    deregistered,
    eid,
    guardianship,
    marriage,
    pin_issued,
    registered,
)
from tests.integration.population_place import PopulationPlace
from tests.stack import Stack

pytestmark = pytest.mark.broker

OWNED = (
    Sample(type=BIRTH, datum=birth()),
    Sample(type=BIRTH, datum=birth(MOTHER, mother=None, father=None, name="Trần Thu Hà")),
    Sample(type=MARRIAGE, datum=marriage()),
    Sample(type=PIN_ISSUED, datum=pin_issued(card=True)),
    Sample(type=REGISTERED, datum=registered()),
)
CLAIMS = {
    "moj": [
        Sample(type=PIN_ISSUED, datum=pin_issued(religion="khác"), source="moj"),
        Sample(type=REGISTERED, datum=registered(line="1 đường khác"), source="moj"),
        Sample(type=DEREGISTERED, datum=deregistered(), source="moj"),
    ],
    "mps": [
        Sample(type=BIRTH, datum=birth(name="Người Khác"), source="mps"),
        Sample(type=CORRECTION, datum=correction(date_of_birth=date(1990, 1, 1)), source="mps"),
        Sample(type=PIN_ISSUED, datum=pin_issued(religion="khác"), source="mps"),
    ],
    "identity": [
        Sample(type=DEATH, datum=death(MOTHER), source="identity"),
        Sample(type=MARRIAGE, datum=marriage(MOTHER, "001091099999"), source="identity"),
        Sample(type=DEREGISTERED, datum=deregistered(), source="identity"),
    ],
    "bank": [
        Sample(type=DEATH, datum=death(FATHER), source="bank"),
        Sample(type=BIRTH, datum=birth("001324099999"), source="bank"),
        Sample(type=GUARDIANSHIP, datum=guardianship(), source="bank"),
        Sample(type=CAPACITY, datum=capacity(), source="bank"),
        Sample(type=EID, datum=eid(), source="bank"),
    ],
}
LATER = [
    Sample(type=claim.type, datum=claim.datum, source=claim.source, time=after(30))
    for claims in CLAIMS.values()
    for claim in claims
]


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[PopulationPlace]:
    made = PopulationPlace.create(stack, tmp_path)
    yield made
    made.close()


def test_nothing_of_a_person_changes_when_agencies_speak_of_what_they_do_not_own(
    place: PopulationPlace,
) -> None:
    with place.working():
        place.deliver(*OWNED)
        place.wait_applied(len(OWNED))
        before = place.hash()
        place.deliver(*LATER)
        place.wait_applied(len(OWNED) + len(LATER))
    assert place.hash() == before
    assert place.refusals() == ["not-the-owner"] * len(LATER)
    assert place.person("001324099999") is None


def test_owner_changes_its_datum_when_it_speaks_of_it(place: PopulationPlace) -> None:
    """The control: the same words from the owner do change the view."""
    owners = [Sample(type=claim.type, datum=claim.datum, time=claim.time) for claim in LATER]
    with place.working():
        place.deliver(*OWNED)
        place.wait_applied(len(OWNED))
        before = place.hash()
        place.deliver(*owners)
        place.wait_applied(len(OWNED) + len(owners))
    assert place.refusals() == []
    assert place.hash() != before


def test_view_has_the_same_hash_when_it_is_made_anew(place: PopulationPlace) -> None:
    with place.working():
        place.deliver(*OWNED, *LATER)
        place.wait_applied(len(OWNED) + len(LATER))
    made = rebuild(place.settings, progress=lambda *_: None)
    assert made.equal
    assert place.hash() == made.view_hash
    assert place.refusals() == ["not-the-owner"] * len(LATER)

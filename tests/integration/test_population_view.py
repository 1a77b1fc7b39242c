"""The view on the real broker: only what was committed, once, and only from its owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.population import (
    BIRTH,
    CHILD,
    DEATH,
    FATHER,
    MARRIAGE,
    MOTHER,
    PIN_ISSUED,
    REGISTERED,
    Sample,
    after,
    birth,
    death,
    marriage,
    pin_issued,
    registered,
)
from tests.integration.population_place import PopulationPlace
from tests.stack import Stack

pytestmark = pytest.mark.broker

FAMILY = (
    Sample(type=BIRTH, datum=birth()),
    Sample(type=BIRTH, datum=birth(MOTHER, mother=None, father=None, name="Trần Thu Hà")),
    Sample(type=PIN_ISSUED, datum=pin_issued(card=True)),
    Sample(type=REGISTERED, datum=registered()),
    Sample(type=MARRIAGE, datum=marriage()),
    Sample(type=DEATH, datum=death(), time=after(60)),
)


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[PopulationPlace]:
    made = PopulationPlace.create(stack, tmp_path)
    yield made
    made.close()


def test_persons_are_joined_from_three_agencies_when_deliveries_come(
    place: PopulationPlace,
) -> None:
    with place.working():
        place.deliver(*FAMILY)
        place.wait_applied(len(FAMILY))
    child, mother = place.person(), place.person(MOTHER)
    assert child is not None
    assert mother is not None
    assert child.values["full_name"] == "Nguyễn Minh An"
    assert child.values["permanent_address"] == "12 ngõ Huyện, Hoàn Kiếm"
    assert child.values["pin"] == CHILD
    assert child.values["marital_status"] == "single"
    assert mother.values["spouse_pin"] == FATHER
    assert mother.values["marital_status"] == "widowed"
    assert child.watermark > 0
    assert place.refusals() == []


def test_aborted_delivery_never_reaches_the_view_when_others_around_it_do(
    place: PopulationPlace,
) -> None:
    before, after_it = [Sample(type=BIRTH, datum=birth(f"00132401234{n}")) for n in range(2)]
    place.commit(before)
    place.abort(Sample(type=BIRTH, datum=birth("001324012399", name="Không Có")))
    place.commit(after_it)
    with place.working():
        place.wait_applied(2)
    assert place.person("001324012399") is None
    assert place.applied() == 2


def test_aborted_delivery_is_seen_when_plain_faust_reads_the_topic(
    place: PopulationPlace,
) -> None:
    """The control: without our transport the test above would fail."""
    place.abort(Sample(type=BIRTH, datum=birth("001324012399", name="Không Có")))
    with place.working(scheme="kafka"):
        place.wait_applied(1)
    assert place.person("001324012399") is not None

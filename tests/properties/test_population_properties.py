"""The view is the same whatever comes in which order, and however often."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

from civicbus_consumers.population.rules import Persons, Told, fold
from civicbus_consumers.population.tables import CONTRACT
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.population import (
    BIRTH,
    CAPACITY,
    CORRECTION,
    DEATH,
    DEREGISTERED,
    EID,
    GUARDIANSHIP,
    MARRIAGE,
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

PINS = tuple(f"0013240{n:05d}" for n in range(4))
_pins = st.sampled_from(PINS)
_names = st.sampled_from(["An", "Bình", "Châu"])
_days = st.sampled_from([date(2026, 1, 1), date(2026, 1, 2)])
_couples = st.permutations(PINS).map(lambda pins: pins[:2])

_data: st.SearchStrategy[tuple[Any, dict[str, Any]]] = st.one_of(
    st.builds(lambda p, n: (BIRTH, birth(p, name=n)), _pins, _names),
    st.builds(lambda p, n: (CORRECTION, correction(p, full_name=n)), _pins, _names),
    st.builds(lambda c: (MARRIAGE, marriage(*c)), _couples),
    st.builds(lambda p, d: (DEATH, death(p, d)), _pins, _days),
    st.builds(lambda p, c: (PIN_ISSUED, pin_issued(p, card=c)), _pins, st.booleans()),
    st.builds(lambda p, n: (REGISTERED, registered(p, line=n)), _pins, _names),
    st.builds(lambda p: (DEREGISTERED, deregistered(p)), _pins),
    st.builds(
        lambda c, kind: (GUARDIANSHIP, guardianship(*c, kind=kind)),
        _couples,
        st.sampled_from(["began", "ended"]),
    ),
    st.builds(
        lambda p, said: (CAPACITY, capacity(p, said)), _pins, st.sampled_from(["full", "lost"])
    ),
    st.builds(lambda p, level: (EID, eid(p, level)), _pins, st.integers(0, 2)),
)
# Few times, so that many events have the same one and only their ids decide.
_samples = st.builds(
    lambda said, day, n: Sample(type=said[0], datum=said[1], time=after(day), event_id=f"e{n}"),
    _data,
    st.integers(0, 2),
    st.integers(0, 1_000_000),
)
histories = st.lists(_samples, max_size=25, unique_by=lambda sample: sample.event_id)


def folded(told: list[Told]) -> Persons:
    persons: Persons = {}
    for delivery in told:
        fold(delivery, persons, data=CONTRACT.fields)
    return persons


@settings(deadline=None)  # a busy machine may pause any example
@given(history=histories, seed=st.randoms(use_true_random=False))
def test_view_is_the_same_when_deliveries_come_in_any_order_and_again(
    history: list[Sample], seed: random.Random
) -> None:
    told = [sample.told() for sample in history]
    again = told + [delivery for delivery in told if seed.random() < 0.5]
    seed.shuffle(again)
    assert folded(again) == folded(told)


@given(history=histories)
def test_datum_is_its_owners_when_any_history_is_folded(history: list[Sample]) -> None:
    said_by = {
        (number, datum): held.version
        for number, person in folded([sample.told() for sample in history]).items()
        for datum, held in person.items()
    }
    for owner in ("moj", "mps", "identity"):
        alone = folded([s.told() for s in history if s.publisher == f"/agencies/{owner}"])
        for number, person in alone.items():
            for datum, held in person.items():
                assert CONTRACT.fields[datum].owner == owner
                assert said_by.pop((number, datum)) == held.version
    assert said_by == {}

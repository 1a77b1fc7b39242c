"""Limits of agreements: no second sees more than was agreed, with restarts and shares too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from civicbus_consumers.access.limits import Allowances
from civicbus_schemas.ids import AgreementRef
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schemas_samples import AT

REF, OTHER, FREE = (AgreementRef(f"vss.{name}", 1) for name in ("limited", "other", "free"))
LIMITS = {REF: 4, OTHER: 2}


def test_nothing_waits_when_no_agreement_is_limited() -> None:
    assert Allowances(begun=AT).take([FREE], LIMITS, AT) == 0.0
    assert Allowances(begun=AT).take([FREE], {}, AT) == 0.0


def test_a_fresh_process_waits_when_its_bucket_is_empty_still() -> None:
    allowances = Allowances(begun=AT)
    assert allowances.take([REF], LIMITS, AT) == pytest.approx(0.25)
    assert allowances.take([REF], LIMITS, AT + timedelta(seconds=0.25)) == 0.0
    assert allowances.take([REF], LIMITS, AT + timedelta(seconds=0.25)) > 0.0


def test_nothing_waits_when_the_process_has_lived_for_a_second() -> None:
    allowances = Allowances(begun=AT - timedelta(seconds=1))
    assert [allowances.take([REF], LIMITS, AT) for _ in range(4)] == [0.0] * 4
    assert allowances.take([REF], LIMITS, AT) == pytest.approx(0.25)


def test_a_share_is_slower_when_several_processes_have_one_each() -> None:
    assert Allowances(begun=AT, shares=2).take([REF], LIMITS, AT) == pytest.approx(0.5)


def test_nothing_is_taken_when_one_of_two_agreements_is_exhausted() -> None:
    allowances, later = Allowances(begun=AT), AT + timedelta(seconds=0.3)
    allowances.take([REF, OTHER], LIMITS, AT)
    assert allowances.take([REF, OTHER], LIMITS, later) == pytest.approx(0.2)
    assert allowances.take([REF], LIMITS, later) == 0.0


def test_nothing_is_given_twice_when_the_clock_goes_back() -> None:
    allowances = Allowances(begun=AT)
    allowances.take([REF], LIMITS, AT)
    assert allowances.take([REF], LIMITS, AT + timedelta(seconds=0.25)) == 0.0
    assert allowances.take([REF], LIMITS, AT - timedelta(hours=1)) > 0.0
    assert allowances.take([REF], LIMITS, AT + timedelta(seconds=0.3)) > 0.0


@given(
    st.lists(st.floats(0, 0.4), min_size=1, max_size=60),
    st.integers(1, 4),
    st.sets(st.integers(1, 59), max_size=3),
)
def test_no_span_of_time_sees_more_than_its_share_and_one_burst(
    steps: list[float], shares: int, restarts: set[int]
) -> None:
    rate, moment = 4 / shares, AT
    allowances, taken = Allowances(begun=AT, shares=shares), []
    for index, step in enumerate(steps):
        moment += timedelta(seconds=step)
        if index in restarts:
            allowances = Allowances(begun=moment, shares=shares)
        if allowances.take([REF], LIMITS, moment) == 0.0:
            taken.append(moment)
    for first, begin in enumerate(taken):
        for count, end in enumerate(taken[first:], start=1):
            seconds = (end - begin).total_seconds()
            assert count <= seconds * rate + max(1.0, rate) + 1e-6

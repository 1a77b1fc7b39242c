"""The weekly report counts each act once, and none of its reader's."""

from __future__ import annotations

from datetime import timedelta

from civicbus_consumers.officers.weekly.rules import Act, Measure, report_of
from civicbus_consumers.officers.weekly.weeks import Week
from civicbus_schemas.vocabulary import TRAIL_KINDS
from hypothesis import given
from hypothesis import strategies as st

WEEK = Week(2026, 53)
OWN = "me"

_MICROSECOND = timedelta(microseconds=1)
_EDGES = (WEEK.starts, WEEK.starts - _MICROSECOND, WEEK.ends, WEEK.ends - _MICROSECOND)
_moments = st.sampled_from(_EDGES) | st.integers(-45 * 24 * 60, 10 * 24 * 60).map(
    lambda minutes: WEEK.starts + timedelta(minutes=minutes)
)
_acts = st.builds(
    Act,
    at=_moments,
    agency=st.sampled_from(["mps", "moj"]),
    officer=st.sampled_from([OWN, "a", "b", "c", None]),
    kind=st.sampled_from([kind.value for kind in TRAIL_KINDS]),
    refused=st.booleans(),
    about=st.sampled_from([None, "p1", "p2", "p3"]),
    case=st.sampled_from([None, "c1"]),
    by_two=st.booleans(),
)


@given(acts=st.lists(_acts, max_size=60))
def test_totals_equal_the_acts_of_the_week(acts: list[Act]) -> None:
    found = report_of(acts, WEEK, own=OWN)
    of_the_week = [one for one in acts if WEEK.starts <= one.at < WEEK.ends]
    counted = sum(one.acts for one in found.officials)
    assert counted + found.own + found.unnamed == len(of_the_week)
    assert found.own == sum(one.officer == OWN for one in of_the_week)
    for one in found.officials:
        his = [a for a in of_the_week if (a.agency, a.officer) == (one.agency, one.officer)]
        counts = {compared.measure: compared.count for compared in one.compared}
        assert one.acts == counts[Measure.ACTS] == len(his) > 0
        assert counts[Measure.REFUSED] == sum(a.refused for a in his)
        assert counts[Measure.PEOPLE] == len({a.about for a in his if a.about})
        assert one.by_two <= counts[Measure.EXPORTS] <= len(his)


@given(acts=st.lists(_acts, max_size=40))
def test_a_reader_is_in_no_row_and_no_median_of_his_own_report(acts: list[Act]) -> None:
    found = report_of(acts, WEEK, own=OWN)
    assert OWN not in {one.officer for one in found.officials}
    without = report_of([one for one in acts if one.officer != OWN], WEEK, own=OWN)
    assert found.officials == without.officials


@given(acts=st.lists(_acts, max_size=40), order=st.randoms(use_true_random=False))
def test_the_report_is_the_same_in_whatever_order_the_acts_come(acts: list[Act], order) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(acts)
    order.shuffle(shuffled)
    assert report_of(shuffled, WEEK, own=OWN) == report_of(acts, WEEK, own=OWN)

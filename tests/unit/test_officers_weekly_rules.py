"""The weekly report as a rule: which acts are whose, in which week, and what stands out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.officers.problems import OfficersProblem
from civicbus_consumers.officers.weekly.request import parse_week
from civicbus_consumers.officers.weekly.rules import (
    LEAST,
    Act,
    Compared,
    Measure,
    OfficialsWeek,
    Report,
    report_of,
)
from civicbus_consumers.officers.weekly.sentences import line_of
from civicbus_consumers.officers.weekly.weeks import Week
from civicbus_schemas.vocabulary import RecordKind

WEEK = Week(2026, 47)
NOON = datetime(2026, 11, 18, 5, tzinfo=UTC)  # a Wednesday's noon in Vietnam
NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)  # Monday of the week after


def act(officer: str | None = "a", *, at: datetime = NOON, **values: Any) -> Act:
    """A question in a case, on that noon."""
    given = {"agency": "mps", "kind": RecordKind.OFFICER_QUERY, "case": "c"}
    return Act(at=at, officer=officer, **given | values)


def report(*acts: Act, own: str | None = "me") -> Report:
    return report_of(acts, WEEK, own=own)


def only(found: Report) -> OfficialsWeek:
    [one] = found.officials
    return one


def compared(one: OfficialsWeek, measure: Measure) -> Compared:
    return next(found for found in one.compared if found.measure is measure)


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        ("2026-11-15T16:59:59.999999+00:00", "2026-W46"),  # Sunday's last instant in Vietnam
        ("2026-11-15T17:00:00+00:00", "2026-W47"),  # its midnight
        ("2026-11-22T23:59:59.999999+07:00", "2026-W47"),
        ("2026-11-23T00:00:00+07:00", "2026-W48"),
        ("2027-01-03T12:00:00+07:00", "2026-W53"),  # a day of the year before, as ISO counts
    ],
)
def test_a_week_ends_with_sundays_midnight_in_vietnam(moment: str, week: str) -> None:
    at = datetime.fromisoformat(moment)
    assert str(Week.of(at)) == week
    assert Week.of(at).starts <= at < Week.of(at).ends


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ('"2026-W54"', "8 characters"),
        ('"2025-W53"', "8 characters"),  # 2025 has 52
        ('"2026-W00"', "8 characters"),
        ('"2026-47"', "7 characters"),
        ('"2026-w47"', "8 characters"),
        ('"2026-W47 "', "9 characters"),
        ('"1969-W47"', "8 characters"),
        ("47", "int"),
        ("null", "NoneType"),
        ('"2026-W49"', "a week that has not begun"),
    ],
)
def test_a_week_is_refused_with_what_was_expected_when_it_is_none(text: str, got: str) -> None:
    with pytest.raises(OfficersProblem) as refused:
        parse_week(f'{{"week": {text}}}'.encode(), now=NOW)
    told = refused.value.members
    assert (told["member"], told["got"]) == ("week", got)
    assert "2026-W4" in str(told["expected"])
    assert told["next_step"]


def test_the_last_whole_week_is_meant_when_none_is_named() -> None:
    assert str(parse_week(b"{}", now=NOW)) == "2026-W47"
    assert str(parse_week(b'{"week": "2026-W48"}', now=NOW)) == "2026-W48"
    monday = datetime.fromisoformat("2027-01-04T00:00:00+07:00")
    assert str(parse_week(b"{}", now=monday)) == "2026-W53"


def test_an_officials_acts_are_counted_by_what_their_leaves_tell() -> None:
    sunday_night = datetime.fromisoformat("2026-11-22T23:30:00+07:00")
    export = RecordKind.OFFICER_EXPORT
    one = only(
        report(
            act(about="p1", purpose="oversight.complaint"),
            act(about="p1", purpose="oversight.complaint", case="d"),
            act(about="p2", purpose="oversight.incident", case=None),
            act(about="p2", refused=True, kind=export, case=None, by_two=True),
            act(kind=export, by_two=True),
            act(at=sunday_night, kind=RecordKind.OFFICER_CASE),
        )
    )
    assert one.kinds == {"officer.case": 1, "officer.export": 2, "officer.query": 3}
    assert one.purposes == {"oversight.complaint": 2, "oversight.incident": 1}
    assert (one.acts, one.cases, one.by_two) == (6, 2, 1)
    assert {found.measure: found.count for found in one.compared} == {
        Measure.ACTS: 6,
        Measure.PEOPLE: 2,
        Measure.EXPORTS: 1,
        Measure.REFUSED: 1,
        Measure.WITHOUT_CASE: 1,
        Measure.AT_NIGHT: 1,
        Measure.AT_WEEKEND: 1,
    }


@pytest.mark.parametrize(
    ("local", "night"), [("21:59:59", 0), ("22:00:00", 1), ("05:59:59", 1), ("06:00:00", 0)]
)
def test_night_is_from_ten_to_six_in_vietnam(local: str, night: int) -> None:
    at = datetime.fromisoformat(f"2026-11-18T{local}+07:00").astimezone(UTC)
    assert compared(only(report(act(at=at))), Measure.AT_NIGHT).count == night


def test_own_acts_and_those_of_nobody_are_left_out_and_told() -> None:
    before = NOON - timedelta(weeks=1)
    found = report(act("me"), act("me", at=before), act(None), act("a"), act(None, at=before))
    assert [one.officer for one in found.officials] == ["a"]
    assert (found.own, found.unnamed) == (1, 1)
    assert compared(only(found), Measure.ACTS).others is None  # he is no yardstick either


def test_an_official_is_held_against_his_own_weeks_and_the_others() -> None:
    before = [act("a", at=NOON - timedelta(weeks=back)) for back in (1, 1, 2, 3, 3, 3, 5)]
    found = report(*before, act("a"), *[act("b")] * 4, *[act("c")] * 9)
    own = {one.officer: compared(one, Measure.ACTS) for one in found.officials}
    assert (own["a"].own, own["a"].others) == (1.5, 6.5)  # of 2, 1, 3, 0; the fifth is too old
    assert (own["b"].own, own["b"].others) == (0, 5)
    assert [one.officer for one in found.officials] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("count", "own", "others", "stands_out"),
    [
        (20, 10, 10, False),  # twice is not more than twice
        (21, 10, 11, True),
        (21, 11, 10, True),
        (21, 11, 11, False),
        (19, 0, 0, False),  # too few
        (20, 0, None, True),
        (20, 10, None, False),
    ],
)
def test_it_stands_out_when_it_is_enough_and_more_than_twice_either_usual(
    count: int, own: float, others: float | None, stands_out: bool
) -> None:
    found = Compared(measure=Measure.ACTS, count=count, own=own, others=others)
    assert found.stands_out is stands_out


def test_whoever_stands_out_comes_first_with_one_line_for_each_measure() -> None:
    many = [act("b", about=f"p{n}", case=None) for n in range(12)]
    found = report(*many, *[act("a")] * 15)
    first, second = found.officials
    assert (first.officer, second.officer, second.outstanding) == ("b", "a", ())
    people, without = first.outstanding
    assert line_of(people, "en") == (
        "12 people asked about: in the four weeks before, a median of 0;"
        " of the others in this week, 0."
    )
    assert line_of(without, "vi") == (
        "12 câu hỏi không nêu vụ việc: trung vị bốn tuần trước là 0;"
        " của những người khác trong tuần là 0."
    )


@pytest.mark.parametrize("measure", list(Measure))
def test_every_measure_has_its_line_in_both_languages_and_a_least(measure: Measure) -> None:
    found = Compared(measure=measure, count=9, own=1.5, others=None)
    assert "9 " in line_of(found, "en")
    assert "median of 1.5; nobody else" in line_of(found, "en")
    assert "là 1,5; trong tuần không có ai khác." in line_of(found, "vi")
    assert LEAST[measure] > 1

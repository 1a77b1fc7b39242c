"""Flags: each is raised by what it names, and not by the honest reading that looks like it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.flags.memory import KINDS, PENDING, lives_until
from civicbus_consumers.flags.words import Closing, Explanation, Flag
from civicbus_schemas.agreement import NATION_ZONE
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.unit.flags_samples import (
    CLERK,
    MONDAY,
    OFFICE_HOURS,
    OTHER,
    SERVICES,
    Topic,
    act,
    hexed,
    known,
    person,
    reading,
    words,
)

CASE = "ca" * 16
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
REGISTER: dict[str, Any] = {CASE: {"clerks": [CLERK], "since": "2026-08-01T00:00:00+07:00"}}
OF_OTHERS: dict[str, Any] = {CASE: REGISTER[CASE] | {"clerks": [OTHER]}}
NIGHT = datetime(2026, 8, 3, 23, tzinfo=NATION_ZONE)


def raised_by(*records: Any, at: datetime = MONDAY, **reference: Any) -> list[str]:
    topic = Topic()
    topic.write_each(records, start=at, apart=MINUTE)
    return words(topic.fold(known(**reference)))


@pytest.mark.parametrize("relation", [Flag.SELF, Flag.HOUSEHOLD, Flag.COLLEAGUE])
def test_reading_of_somebody_close_is_flagged_when_nothing_explains_it(relation: Flag) -> None:
    assert raised_by(reading(1), relations=[[CLERK, person(1), relation]]) == [relation]


def test_colleague_is_not_flagged_when_the_clerk_is_assigned_to_the_case() -> None:
    relations = [[CLERK, person(1), "colleague"]]
    assert raised_by(reading(1), relations=relations, cases=REGISTER) == []
    assert raised_by(reading(1), relations=relations, cases=OF_OTHERS) == ["colleague"]


def test_own_data_are_flagged_when_the_officer_is_the_clerk_of_the_case() -> None:
    relations = [[CLERK, person(1), "self"]]
    assert raised_by(reading(1), relations=relations, cases=REGISTER) == ["self"]


def test_watched_person_is_flagged_when_no_task_connects_the_officer() -> None:
    assert raised_by(reading(1), watched=[person(1)]) == ["watched"]
    assert raised_by(reading(1), watched=[person(1)], cases=REGISTER) == []


def test_delivery_explains_a_reading_when_it_came_to_the_agency_before() -> None:
    delivery = reading(9, officer=None, subject=person(1))
    assert raised_by(delivery, reading(1), watched=[person(1)]) == []
    elsewhere = reading(9, officer=None, subject=person(1), agency="bank")
    assert raised_by(elsewhere, reading(1), watched=[person(1)]) == ["watched"]


def test_reading_is_flagged_when_the_office_is_closed() -> None:
    assert raised_by(reading(1), at=NIGHT, calendars=OFFICE_HOURS) == ["after-hours"]


@pytest.mark.parametrize(
    ("at", "reference"),
    [
        (NIGHT, {"cases": REGISTER}),
        (NIGHT, {"shifts": {CLERK: [["2026-08-03T22:00:00+07:00", "2026-08-04T06:00:00+07:00"]]}}),
        (MONDAY, {}),
        (NIGHT.replace(hour=19), {}),  # just after closing, and nothing else odd
    ],
)
def test_reading_is_not_flagged_when_its_hour_is_explained(
    at: datetime, reference: dict[str, Any]
) -> None:
    assert raised_by(reading(1), at=at, calendars=OFFICE_HOURS, **reference) == []


def test_night_worker_is_not_flagged_when_the_roster_forgets_one_night() -> None:
    topic = Topic()
    for night in range(20):
        start = NIGHT + night * DAY
        topic.write_each((reading(10 * night + n) for n in range(3)), start=start, apart=MINUTE)
    shifts = [[str(NIGHT + n * DAY), str(NIGHT + n * DAY + timedelta(hours=6))] for n in range(19)]
    found = topic.fold(known(calendars=OFFICE_HOURS, shifts={CLERK: shifts}))
    assert "after-hours" not in words(found)


def test_reading_is_flagged_when_the_officer_is_on_leave() -> None:
    leave = {CLERK: [["2026-08-01T00:00:00+07:00", "2026-08-09T00:00:00+07:00"]]}
    assert raised_by(reading(1), leaves=leave, cases=REGISTER) == ["on-leave"]
    assert raised_by(reading(1), at=MONDAY + 7 * DAY, leaves=leave) == []


def test_purpose_is_flagged_when_the_agency_has_no_such_service() -> None:
    odd = reading(1, purpose="statistics.mortality")
    assert raised_by(odd, services=SERVICES, cases=REGISTER) == ["wrong-purpose"]
    assert raised_by(reading(1), services=SERVICES, cases=REGISTER) == []


def test_missing_case_is_flagged_when_the_service_is_one_of_cases() -> None:
    assert raised_by(reading(1, case=None), services=SERVICES) == ["no-case"]
    assert raised_by(reading(1), services=SERVICES, registers=["mps"]) == ["no-case"]
    assert raised_by(reading(1), services=SERVICES) == []  # any number: there is no register
    assert raised_by(reading(1), services=SERVICES, registers=["mps"], cases=REGISTER) == []


def test_case_is_flagged_when_it_was_closed_weeks_before() -> None:
    closed = {CASE: REGISTER[CASE] | {"until": "2026-08-02T00:00:00+07:00"}}
    assert raised_by(reading(1), cases=closed) == []  # what was left to write
    assert raised_by(reading(1), at=MONDAY + 14 * DAY, cases=closed) == ["closed-case"]


def test_case_is_flagged_when_the_ledger_says_that_it_was_closed() -> None:
    topic = Topic()
    topic.write(act(RecordKind.CASE_CLOSED, case=CASE))
    topic.write(reading(1), at=MONDAY + 14 * DAY)
    assert words(topic.fold()) == ["closed-case"]


def test_officer_of_oversight_is_flagged_when_somebody_is_named_without_a_case() -> None:
    asked = act(RecordKind.OFFICER_QUERY, subject=person(1), reason=Reason.CASE_MISSING)
    assert raised_by(asked) == ["no-case"]


def test_fishing_is_flagged_once_a_day_when_strangers_follow_each_other() -> None:
    assert raised_by(*(reading(n) for n in range(1, 30))) == ["fishing", "volume"]


def test_fishing_is_not_flagged_when_all_have_their_case_or_their_consent() -> None:
    cases = {hexed(n): REGISTER[CASE] for n in range(1, 12)}
    assert raised_by(*(reading(n, case=hexed(n)) for n in range(1, 12)), cases=cases) == []
    consented = [reading(n, consent=f"{hexed(n)}@1", position=n) for n in range(1, 12)]
    assert raised_by(*consented) == []


def test_fishing_is_not_flagged_when_the_same_person_is_read_again_and_again() -> None:
    assert raised_by(*(reading(n, subject=person(1)) for n in range(1, 11))) == []


def test_case_is_a_pretext_when_dozens_are_read_for_it_in_a_day() -> None:
    found = raised_by(*(reading(n) for n in range(1, 40)), cases=REGISTER)
    assert "fishing" in found


def test_volume_is_flagged_when_an_hour_is_far_beyond_other_weeks() -> None:
    cases = {hexed(n): REGISTER[CASE] for n in range(1, 50, 2)}  # half of them explained
    topic = Topic()
    for week in range(4):
        topic.write_each([reading(1000 + week)], start=MONDAY + 7 * week * DAY, apart=MINUTE)
    burst = (reading(n, case=hexed(n)) for n in range(1, 50))
    topic.write_each(burst, start=MONDAY + 28 * DAY, apart=MINUTE)
    volume = [f for f in topic.fold(known(cases=cases)).raised if f.flag is Flag.VOLUME]
    assert [(f.count, f.usual) for f in volume] == [(14, 1.0)]


def test_volume_is_explained_when_the_whole_agency_has_as_much_to_do() -> None:
    topic = Topic()
    topic.write_each([reading(1)], start=MONDAY - 21 * DAY, apart=MINUTE)
    clerks = [hexed(7000 + n) for n in range(12)]
    for n in range(24):
        of_all = [reading(100 * n + i, officer=clerk) for i, clerk in enumerate(clerks)]
        topic.write_each(of_all, start=MONDAY + n * MINUTE, apart=timedelta(seconds=1))
    assert "volume" not in words(topic.fold())


@pytest.mark.parametrize("clerks", [12, 1])
def test_fishing_is_explained_when_many_have_more_to_do_and_not_when_one_colleague(
    clerks: int,
) -> None:
    others = [hexed(7000 + n) for n in range(clerks)]
    cases = {hexed(9): {"clerks": others, "since": "2026-07-01T00:00:00+07:00"}}
    topic = Topic()
    topic.write_each([reading(1)], start=MONDAY - 21 * DAY, apart=MINUTE)
    busy = [
        reading(100 + n, officer=officer, case=hexed(9))
        for n, officer in enumerate(others * (36 // clerks))
    ]
    topic.write_each(busy, start=MONDAY, apart=timedelta(seconds=20))
    strangers = (reading(500 + n) for n in range(9))
    topic.write_each(strangers, start=MONDAY + 20 * MINUTE, apart=MINUTE)
    raised = [f.flag for f in topic.fold(known(cases=cases)).raised if f.officer == CLERK]
    assert (Flag.FISHING in raised) is (clerks == 1)


def test_fishing_is_flagged_when_the_hour_before_was_busy_as_each_week() -> None:
    clerks = [hexed(7000 + n) for n in range(20)]
    cases = {hexed(9): {"clerks": clerks, "since": "2026-07-01T00:00:00+07:00"}}
    topic = Topic()
    for week in range(4):
        usual = [reading(100 * week + i, officer=c, case=hexed(9)) for i, c in enumerate(clerks)]
        topic.write_each(usual, start=MONDAY + 7 * week * DAY, apart=MINUTE)
    strangers = (reading(900 + n) for n in range(9))
    topic.write_each(strangers, start=MONDAY + 21 * DAY + 65 * MINUTE, apart=MINUTE)
    assert "fishing" in words(topic.fold(known(cases=cases)))


def test_enumeration_is_flagged_when_nobody_is_found_five_times() -> None:
    missing = {"outcome": Outcome.DENY, "reason": Reason.SUBJECT_NOT_FOUND}
    assert raised_by(*(reading(n, **missing) for n in range(1, 5))) == []  # typing errors
    assert raised_by(*(reading(n, **missing) for n in range(1, 7))) == ["enumerating"]


def test_probing_is_flagged_when_another_purpose_opens_what_was_refused() -> None:
    refused = {"outcome": Outcome.DENY, "subject": person(5)}
    tried = reading(1, reason=Reason.NO_AGREEMENT, purpose="account.update-customer", **refused)
    got = reading(2, subject=person(5))
    assert raised_by(tried, got) == ["probing"]
    typed = reading(1, reason=Reason.IDENTITY_MISMATCH, purpose="x.y", **refused)
    assert raised_by(typed, got) == []
    same = reading(1, reason=Reason.NO_CONSENT, **refused)
    assert raised_by(same, got) == []


def test_dormant_account_is_flagged_when_it_wakes_without_a_task() -> None:
    for cases, expected in (({}, ["dormant"]), (REGISTER, [])):
        topic = Topic()
        topic.write_each([reading(1)], start=MONDAY, apart=MINUTE)
        topic.write_each([reading(2)], start=MONDAY + 50 * DAY, apart=MINUTE)
        assert words(topic.fold(known(cases=cases))) == expected


def test_first_purpose_is_flagged_when_the_officer_is_of_long_standing() -> None:
    topic = Topic()
    for day in range(31):
        topic.write_each([reading(day)], start=MONDAY + day * DAY, apart=MINUTE)
    topic.write_each([reading(99, purpose="a.b")], start=MONDAY + 31 * DAY, apart=MINUTE)
    assert words(topic.fold()) == ["first-dataset"]
    assert raised_by(reading(1), reading(2, purpose="a.b")) == []  # a newcomer


def test_emergency_purpose_is_flagged_when_the_glass_was_broken_for_it_before() -> None:
    topic = Topic()
    broken = (reading(n, purpose="a.b", outcome=Outcome.BREAKGLASS) for n in range(31))
    topic.write_each(broken, start=MONDAY, apart=MINUTE)
    topic.write_each([reading(99, purpose="a.b")], start=MONDAY + DAY, apart=MINUTE)
    assert Flag.FIRST_DATASET in [f.flag for f in topic.fold().raised if f.record == hexed(99)]


def test_emergency_is_flagged_when_nobody_reviews_it_in_a_day() -> None:
    topic = Topic()
    topic.write(reading(1, outcome=Outcome.BREAKGLASS))
    topic.write(at=MONDAY + MINUTE / 2)
    topic.write(at=MONDAY + 23 * timedelta(hours=1))
    assert topic.fold().raised == []
    topic.write(at=MONDAY + DAY + MINUTE)
    [late] = topic.fold().raised
    assert (late.flag, late.record, late.officer) == (Flag.UNREVIEWED_EMERGENCY, hexed(1), CLERK)


def test_flag_is_closed_when_the_review_comes_late() -> None:
    topic = Topic()
    topic.write(reading(1, outcome=Outcome.BREAKGLASS))
    topic.write(at=MONDAY + MINUTE / 2)
    topic.write(act(RecordKind.BREAK_GLASS_REVIEW, about=hexed(1)), at=MONDAY + 2 * DAY)
    [(flag, closing, _)] = topic.fold().closed
    assert (flag, closing) == (f"unreviewed-emergency-{hexed(1)}", Closing.SETTLED)


def test_emergency_is_not_flagged_when_it_was_reviewed_in_time() -> None:
    topic = Topic()
    topic.write(reading(1, outcome=Outcome.BREAKGLASS))
    topic.write(act(RecordKind.BREAK_GLASS_REVIEW, about=hexed(1)), at=MONDAY + MINUTE / 2)
    topic.write(at=MONDAY + 3 * DAY)
    assert topic.fold().raised == []


def test_page_is_flagged_when_it_is_not_released_in_a_minute() -> None:
    topic = Topic()
    topic.write(reading(1))
    topic.write(at=MONDAY + 2 * MINUTE, recorder="b" * 32)
    assert words(topic.fold()) == ["unreleased"]
    topic.write(at=MONDAY + 3 * MINUTE)
    assert [closing for _, closing, _ in topic.fold().closed] == [Closing.SETTLED]


def test_reading_is_flagged_when_its_consent_was_known_as_withdrawn() -> None:
    told = act(RecordKind.WITHDRAWAL_TOLD, consent="c-1@2", position=40)
    assert raised_by(told, reading(1, consent="c-1@2", position=41)) == ["withdrawn-consent"]
    assert raised_by(told, reading(1, consent="c-1@2", position=39)) == []  # was under way


def test_label_lowers_the_next_flag_and_says_so_when_it_was_benign() -> None:
    reference = known(watched=[person(n) for n in range(1, 9)])
    topic, scores = Topic(), []
    for day in range(4):
        topic.write_each([reading(day + 1)], start=MONDAY + day * DAY, apart=MINUTE)
        label = act(RecordKind.FLAG_LABELLED, about=hexed(day + 1), rule=Flag.WATCHED, agency="npd")
        topic.write_each([label], start=MONDAY + day * DAY + MINUTE, apart=MINUTE)
        found = topic.fold(reference)
        scores.append([f.score for f in found.raised])
    assert scores == [[65], [65, 50], [65, 50], [65, 50]]
    assert found.raised[1].explanations == (Explanation.LABELLED_BENIGN,)


def test_label_counts_once_when_it_is_said_twice_and_the_newest_counts() -> None:
    reference = known(watched=[person(1), person(2)])
    topic = Topic()
    topic.write_each([reading(1)], apart=MINUTE)
    for outcome in (Outcome.PERMIT, Outcome.PERMIT, Outcome.DENY):
        label = act(
            RecordKind.FLAG_LABELLED,
            about=hexed(1),
            rule=Flag.WATCHED,
            outcome=outcome,
            agency="npd",
        )
        topic.write_each([label], apart=MINUTE)
    topic.write_each([reading(2)], start=MONDAY + DAY, apart=MINUTE)
    found = topic.fold(reference).raised[-1]
    assert (found.score, found.explanations) == (80, (Explanation.LABELLED_CONFIRMED,))


def test_label_counts_for_nothing_when_it_is_of_the_flagged_agency() -> None:
    topic = Topic()
    topic.write_each([reading(1)], apart=MINUTE)
    label = act(RecordKind.FLAG_LABELLED, about=hexed(1), rule=Flag.WATCHED, agency="mps")
    topic.write_each([label], apart=MINUTE)
    found = topic.fold(known(watched=[person(1)]))
    assert (found.labelled, found.closed) == ([], [])


def test_flag_is_lower_on_the_list_when_the_person_lives_in_the_officers_district() -> None:
    topic = Topic()
    topic.write_each([reading(1)], apart=MINUTE)
    watched, districts = [person(1)], {CLERK: "d1", person(1): "d1"}
    [near] = topic.fold(known(watched=watched, districts=districts)).raised
    [far] = topic.fold(known(watched=watched)).raised
    assert (near.score, near.explanations) == (far.score - 5, (Explanation.RESIDENCE,))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pending"}))
def test_all_is_forgotten_in_its_time_when_nothing_touches_it_but_what_is_pending(
    kind: str,
) -> None:
    until = lives_until(f"{kind}/1", MONDAY)
    assert until is not None
    assert MONDAY + 30 * DAY <= until <= MONDAY + 400 * DAY
    assert lives_until(PENDING, MONDAY) is None

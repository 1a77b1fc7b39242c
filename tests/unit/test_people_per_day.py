"""Agreements that limit people per day: who was told already, who waits, who is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.access.people import place_of, until_tomorrow_s
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.handler import Released, release_batch
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.lookup.bench import Bench as Office
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.handler import Unanswered
from civicbus_consumers.lookup.plan import compile_reads
from civicbus_schemas.agreement import Limits
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import SubjectConsents, Uses
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgreementRef, Pin
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.vocabulary import Reason

from tests.fakes.enforcement import FakeClock, FakeReleases, FakeStates, ready
from tests.fakes.uses import FakeReservations
from tests.unit import enforcement_samples, lookup_samples, schemas_samples

MIDNIGHT = datetime(2026, 11, 22, 17, tzinfo=UTC)  # in Asia/Ho_Chi_Minh
NOON = MIDNIGHT - timedelta(hours=12)
REF = AgreementRef("vss.limited", 3)
FIRST, SECOND = Pin("001324012345"), Pin("001324054321")
DAILY = Reason.DAILY_LIMIT_EXCEEDED


def test_a_person_has_one_place_a_day_whatever_the_agreements_version() -> None:
    place = place_of(REF, b"somebody", NOON, allowed=5)
    newer = place_of(
        AgreementRef(REF.id, 4), b"somebody", MIDNIGHT - timedelta(seconds=1), allowed=5
    )
    assert newer == place
    tomorrow = place_of(REF, b"somebody", MIDNIGHT, allowed=5)
    other = place_of(AgreementRef("vss.other", 3), b"somebody", NOON, allowed=5)
    somebody_else = place_of(REF, b"another", NOON, allowed=5)
    assert len({one.claim for one in (place, tomorrow, other, somebody_else)}) == 4
    assert (tomorrow.consent, tomorrow.period) == (place.consent, "2026-11-23")
    assert other.consent != place.consent


def test_a_place_tells_nothing_of_the_person() -> None:
    name = topic_pseudonym(lookup_samples.TOPIC_KEY, lookup_samples.LAN)
    assert name not in place_of(REF, name.encode(), NOON, allowed=1).claim


def test_the_day_ends_at_the_nations_midnight() -> None:
    assert until_tomorrow_s(NOON) == 12 * 3600
    assert until_tomorrow_s(MIDNIGHT) == 24 * 3600


def limited(policy: PolicySet, people: int) -> PolicySet:
    """The set with this limit in all its agreements."""
    limits = Limits(subjects_per_day=people)
    return replace(policy, agreements=tuple(replace(a, limits=limits) for a in policy.agreements))


class Stream:
    """A worker under such a limit; places outlive it."""

    def __init__(self, people: FakeReservations, time: FakeClock, *, allowed: int) -> None:
        states = FakeStates(ready(limited(enforcement_samples.policy(), allowed)))
        self.bench: Bench
        self.releases: FakeReleases
        self.bench, self.journal, _, self.releases = enforcement_samples.bench(states=states)
        self.bench.people, self.bench.clock = people, time.clock

    def release(self, *events: Taken) -> Released:
        return release_batch(events, self.bench)


def birth(offset: int, pin: Pin) -> Taken:
    """A registered birth of this child."""
    datum = schemas_samples.birth_datum()
    datum["child"]["pin"] = pin.number
    avro = schemas_samples.birth_contract().avro
    return enforcement_samples.taken(
        offset,
        key=topic_pseudonym(enforcement_samples.TOPIC_KEY, pin).encode(),
        value=frame(enforcement_samples.SCHEMA_ID, avro.encode(datum)),
    )


def test_a_stream_waits_for_tomorrow_when_all_places_of_the_day_are_taken() -> None:
    people, time = FakeReservations(), FakeClock(at=NOON)
    stream = Stream(people, time, allowed=1)
    events = [birth(0, FIRST), birth(1, FIRST), birth(2, SECOND), birth(3, FIRST)]
    released = stream.release(*events)
    assert (released.events, released.rest) == (2, tuple(events[2:]))

    successor = Stream(people, time, allowed=1)  # which remembers nothing itself
    waiting = successor.release(*released.rest)
    assert (waiting.events, waiting.rest, waiting.wait_s) == (0, released.rest, 12 * 3600)
    assert successor.journal.lines == []

    time.pass_time(waiting.wait_s)
    assert successor.release(*waiting.rest).rest == (events[3],)


def test_nobody_counts_when_no_agreement_limits_people() -> None:
    bench, _, _, _ = enforcement_samples.bench()
    bench.people = people = FakeReservations(fails=True)
    release_batch([birth(0, FIRST)], bench)
    assert people.asked == 0


def test_nothing_is_recorded_or_produced_when_people_cannot_be_counted() -> None:
    stream = Stream(FakeReservations(fails=True), FakeClock(at=NOON), allowed=9)
    with pytest.raises(Unavailable):
        stream.release(birth(0, FIRST))
    assert stream.journal.lines == []


def office(*, people: FakeReservations, uses: FakeReservations, allowed: int) -> Office:
    """Look-ups under such a limit; the woman and her mother gave counted consents to the bank."""
    bench = lookup_samples.bench()
    given = SubjectConsents((replace(lookup_samples.consent(), uses=Uses(count=9)),))
    keys = [
        topic_pseudonym(lookup_samples.TOPIC_KEY, pin).encode()
        for pin in (lookup_samples.LAN, lookup_samples.MOTHER)
    ]
    states = replace(
        bench.states,
        plan=compile_reads(limited(lookup_samples.policy(), allowed)),
        consents=dict.fromkeys(keys, given),
    )
    return replace(bench, states=states, people=people, reservations=uses)


def codes(bench: Office, *pins: Pin) -> list[Any]:
    """What one batch of the bank's look-ups about these people comes to."""
    asked = [
        replace(
            lookup_samples.lookup(
                lookup_samples.verifying() | {"pin": pin.number}, agency=lookup_samples.BANK
            ),
            token=replace(lookup_samples.token(lookup_samples.BANK), jti=f"{n:032x}"),
        )
        for n, pin in enumerate(pins)
    ]
    outcome, records = lookup_samples.answered(*asked, on=bench)
    assert len(records) == len(pins)
    return [reply.code for reply in outcome.replies]


def test_a_look_up_is_refused_and_spends_no_use_when_all_places_of_the_day_are_taken() -> None:
    people, uses = FakeReservations(), FakeReservations()
    bench = office(people=people, uses=uses, allowed=1)
    lan, mother = lookup_samples.LAN, lookup_samples.MOTHER
    assert codes(bench, lan, mother) == [None, DAILY]
    assert people.asked == 1
    assert sum(uses.spent.values()) == 1
    again = office(people=people, uses=uses, allowed=1)  # after a restart
    assert codes(again, mother, lan) == [DAILY, None]


def test_no_look_up_is_answered_when_people_cannot_be_counted() -> None:
    bench = office(people=FakeReservations(fails=True), uses=FakeReservations(), allowed=1)
    with pytest.raises(Unanswered) as caught:
        codes(bench, lookup_samples.LAN)
    assert caught.value.code is Code.USES_UNAVAILABLE

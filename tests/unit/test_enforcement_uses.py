"""Counted consents in the stream: one use an event, whoever dies in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.handler import Step, release_batch
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.recording.facts import open_secret
from civicbus_schemas.agreement import Limits
from civicbus_schemas.consent import Consent, Uses
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, Reason, UsePeriod

from tests.fakes.enforcement import FakeClock, FakePageLog, FakeReleases, FakeStates, ready
from tests.fakes.uses import FakeReservations
from tests.fakes.vault import opened
from tests.unit import enforcement_samples as samples

ONCE = Uses(count=1)
AT_THE_BANK = "dlv.bank.civil-status.v1"


class Life:
    """One life of a worker; reservations outlive it."""

    def __init__(
        self, reservations: FakeReservations, *consents: Consent, clock: FakeClock | None = None
    ) -> None:
        states = FakeStates(ready(samples.policy()), samples.consents(*consents))
        self.bench: Bench
        self.log: FakePageLog
        self.releases: FakeReleases
        self.bench, self.journal, self.log, self.releases = samples.bench(states=states)
        self.bench.reservations = reservations
        self.bench.clock = (clock or FakeClock()).clock

    def release(self, *taken: Taken) -> None:
        release_batch(taken, self.bench)

    def delivered(self) -> int:
        """How much the bank got."""
        return [message.topic for message in self.releases.produced].count(AT_THE_BANK)

    def records(self) -> list[Record]:
        """What was recorded about the bank."""
        records = [Record.decode(leaf) for page in self.log.pages for leaf in page.records]
        return [record for record in records if record.recipient == "bank"]

    def told(self) -> list[tuple[Outcome, Reason | None, str | None]]:
        return [(record.decision, record.reason, record.consent) for record in self.records()]


@pytest.fixture
def reservations() -> FakeReservations:
    return FakeReservations()


def counted(uses: Uses = ONCE, **changes: object) -> Consent:
    return replace(samples.consent(), uses=uses, **changes)  # type: ignore[arg-type]


def test_consent_is_used_up_when_an_event_was_released_on_it(
    reservations: FakeReservations,
) -> None:
    life = Life(reservations, counted())
    life.release(samples.taken(0), samples.taken(1))
    life.release(samples.taken(2))
    assert life.delivered() == 1
    used_up = (Outcome.DENY, Reason.CONSENT_USED_UP, "c-1@1")
    assert life.told() == [(Outcome.PERMIT, None, "c-1@1"), used_up, used_up]


def test_a_batch_asks_once_and_only_when_something_is_counted(
    reservations: FakeReservations,
) -> None:
    Life(reservations, samples.consent()).release(samples.taken(0), samples.taken(1))
    assert reservations.asked == 0
    life = Life(reservations, counted(Uses(count=5)))
    life.release(*(samples.taken(n) for n in range(4)))
    assert (reservations.asked, life.delivered()) == (1, 4)


@pytest.mark.parametrize("step", [Step.DECIDED, Step.PAGE_ACKNOWLEDGED, Step.OFFSETS_SENT])
def test_retry_finds_its_reservation_when_the_worker_died_before_the_commit(
    reservations: FakeReservations, step: Step
) -> None:
    class Crash(BaseException):
        pass

    def crash(now: Step) -> None:
        if now is step:
            raise Crash

    with pytest.raises(Crash):
        release_batch([samples.taken(7)], Life(reservations, counted()).bench, on_step=crash)
    successor = Life(reservations, counted())
    successor.release(samples.taken(7), samples.taken(8))
    assert [outcome for outcome, *_ in successor.told()] == [Outcome.PERMIT, Outcome.DENY]


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_recorded_or_produced_when_uses_cannot_be_counted(
    reservations: FakeReservations, fault: str
) -> None:
    setattr(reservations, fault, True)
    life = Life(reservations, counted())
    with pytest.raises(Unavailable):
        life.release(samples.taken(0))
    assert life.journal.lines == []
    setattr(reservations, fault, False)
    Life(reservations, counted()).release(samples.taken(0))
    assert sum(reservations.spent.values()) == 1


def test_an_event_spends_one_use_in_all_when_it_waits_for_a_limit(
    reservations: FakeReservations,
) -> None:
    time, life = FakeClock(), Life(reservations, counted(Uses(count=2)))
    policy = samples.policy()
    limited = tuple(replace(a, limits=Limits(per_second=1)) for a in policy.agreements)
    life.bench.states = FakeStates(
        ready(replace(policy, agreements=limited)), samples.consents(counted(Uses(count=2)))
    )
    life.bench.clock, life.bench.allowances = time.clock, Allowances(begun=time.at)
    waiting = [samples.taken(0), samples.taken(1)]
    for _ in range(4):
        released = release_batch(waiting, life.bench)
        waiting = list(released.rest)
        time.pass_time(released.wait_s or 1.0)
    assert (waiting, life.delivered()) == ([], 2)
    assert sum(reservations.spent.values()) == 2


def test_others_go_on_when_uses_cannot_be_counted(reservations: FakeReservations) -> None:
    reservations.fails = True
    life = Life(reservations, samples.consent())
    life.release(samples.taken(0))
    assert life.delivered() == 1


def test_consent_without_a_count_is_used_when_there_is_one_besides(
    reservations: FakeReservations,
) -> None:
    life = Life(reservations, replace(samples.consent(), id="c-0"), counted())
    life.release(samples.taken(0))
    assert life.told() == [(Outcome.PERMIT, None, "c-0@1")]
    assert sum(reservations.spent.values()) == 0


def test_older_consent_is_used_when_the_newer_one_is_used_up(
    reservations: FakeReservations,
) -> None:
    life = Life(reservations, counted(id="c-0"), counted(id="c-1"))
    life.release(*(samples.taken(n) for n in range(3)))
    assert [consent for _, _, consent in life.told()] == ["c-1@1", "c-0@1", "c-1@1"]
    assert [outcome for outcome, *_ in life.told()][2] is Outcome.DENY


def test_use_is_not_spent_when_the_consent_does_not_cover_the_release(
    reservations: FakeReservations,
) -> None:
    life = Life(reservations, counted(fields=frozenset({"population.Person:full_name"})))
    life.release(samples.taken(0))
    assert [reason for _, reason, _ in life.told()] == [Reason.CONSENT_TOO_NARROW]
    assert reservations.asked == 0


def test_days_are_the_nations_when_uses_are_counted_by_day(
    reservations: FakeReservations,
) -> None:
    """17:00 UTC is midnight in Vietnam."""
    clock = FakeClock(at=datetime(2026, 11, 22, 16, 59, tzinfo=UTC))
    life = Life(reservations, counted(Uses(count=1, per=UsePeriod.DAY)), clock=clock)
    for offset, minutes in enumerate((0, 2, 60)):
        clock.pass_time(60 * minutes)
        life.release(samples.taken(offset))
    assert [outcome for outcome, *_ in life.told()] == [
        Outcome.PERMIT,
        Outcome.PERMIT,
        Outcome.DENY,
    ]
    assert {period for _, period in reservations.spent} == {"2026-11-22", "2026-11-23"}


@pytest.mark.parametrize(("offsets", "reserved"), [((0,), [{"c-1"}]), ((0, 1), [{"c-1"}, set()])])
def test_what_was_reserved_is_sealed_with_the_decision(
    reservations: FakeReservations, offsets: Sequence[int], reserved: list[set[str]]
) -> None:
    """So that a refusal for want of a use can be replayed."""
    life = Life(reservations, counted())
    life.release(*(samples.taken(offset) for offset in offsets))
    found = []
    for leaf, part in zip(life.log.pages[0].records, life.log.pages[0].sealed, strict=True):
        record = Record.decode(leaf)
        if record.recipient == "bank":
            found.append(open_secret(opened(part, record)[1]).reserved)
    assert found == reserved


def test_dead_letter_spends_nothing(reservations: FakeReservations) -> None:
    life = Life(reservations, counted())
    life.release(samples.taken(0, value=b"no event"))
    release_batch([samples.taken(1)], life.bench, condemned=samples.taken(1).at)
    assert reservations.asked == 0

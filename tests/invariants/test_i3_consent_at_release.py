"""I3: consent is judged when data leaves; after a withdrawal's fence nothing leaves on it any more.

A bank gets cards on consent only. Consents are given and withdrawn through VNeID while cards are
published without a pause, while a worker is paused with a decided batch in its hands, and while
look-ups are asked; afterwards the records are held against the positions of the withdrawals.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from uuid import uuid4

import pytest
from civicbus_consumers.enforcement.clock import PROMPT_S
from civicbus_consumers.lookup.database import make_engine, migrate
from civicbus_consumers.lookup.leases import LeaseHolders
from civicbus_consumers.runtime.process import EXIT_FENCED
from civicbus_deploy.demo.books import Books
from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.ids import Pin
from civicbus_schemas.record import Record
from civicbus_schemas.topics import STATE_CONSENT, consent_group, enforcement_group
from civicbus_schemas.vietnam.events import ConsentGiven, ConsentWithdrawn
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, Reason

from tests.bus import Bus
from tests.citizens import Citizens, Stream, going_on, open_fence
from tests.integration.consent_place import is_stopped
from tests.integration.lookup_place import LookupPlace, person
from tests.lives import card, child_pin
from tests.reconciliation import read_books
from tests.stack import DEADLINE_S
from tests.subjects import group_of, numbers_in
from tests.unit import lookup_samples as samples

pytestmark = [pytest.mark.broker, pytest.mark.crash]

CARDS, AT_THE_BANK = "src.identity.identity.v1", "dlv.bank.identity.v1"
HELD_UP_S = 2.0


@pytest.fixture(scope="module")
def bus(bus: Bus) -> Iterator[Bus]:
    """A stack of this module's own, since its workers die; consents are folded all the time."""
    with ExitStack() as running:
        for group in range(2):
            running.enter_context(bus.running(consent_group(group)))
        yield bus


@pytest.fixture
def citizens(bus: Bus) -> Iterator[Citizens]:
    """The citizens' side, with a fence over enforcement and look-ups."""
    engine = make_engine(bus.stack.dsn_file("lookup"))
    migrate(engine)
    fence = open_fence(bus, holders=[LeaseHolders(engine)])
    yield Citizens(bus, fence)
    fence.close()
    engine.dispose()


def withdrawn_at(bus: Bus, consent: str) -> int:
    """The offset of the state in which a consent is withdrawn."""
    [offset] = _withdrawn_in_state(bus, consent)[:1]
    return offset


def _withdrawn_in_state(bus: Bus, consent: str) -> list[int]:
    return [
        message.offset() or 0
        for message in bus.read_all(STATE_CONSENT)
        for held in SubjectConsents.decode(unframe(message.value())[1]).consents  # type: ignore[arg-type]
        if (held.id, held.status) == (consent, ConsentStatus.WITHDRAWN)
    ]


def permits_on(books: Books, consent: str) -> list[Record]:
    """The permissions that rest on a consent."""
    return [
        record
        for record in books.records.values()
        if record.decision is Outcome.PERMIT and (record.consent or "").startswith(consent)
    ]


def bank_was_told(books: Books) -> dict[str | None, Reason | None]:
    """Per source event why the bank did not get it; None where it was permitted."""
    return {
        record.event.id: record.reason
        for record in sorted(books.records.values(), key=lambda r: r.at)
        if record.event is not None and record.recipient == "bank"
    }


# --- under steady publishing ----------------------------------------------------------------------


def test_no_delivery_rests_on_a_withdrawn_consent_when_its_fence_has_passed_in_mid_stream(
    bus: Bus, citizens: Citizens
) -> None:
    """Records name the state position that they rest on: it lies before the withdrawal's."""
    numbers = [n for group in (0, 1) for n in islice(numbers_in(bus, group, start=1000), 2)]
    stream = Stream(bus, {n: [] for n in numbers})
    passed, later = dict[str, datetime](), list[str]()
    with bus.running("enforce-0"), bus.running("enforce-1"):
        consents = {n: citizens.give(n) for n in numbers}
        with stream.flowing():
            bus.wait(lambda: len(bus.read_all(AT_THE_BANK)) > len(numbers), "cards at the bank")
            for n, consent in consents.items():
                citizens.pass_fence(citizens.withdraw(n, consent))
                passed[consent] = datetime.now(UTC)
                published = len(stream.ids[n]) + 1  # one may have been published just before
                stream.await_more(n)
                later += stream.ids[n][published:]
        bus.wait(lambda: bus.is_drained(CARDS), "enforcement")
    books = read_books(bus, [AT_THE_BANK])
    told = bank_was_told(books)
    assert books.unrecorded() == []
    assert len(later) >= len(numbers)
    assert {told[id_] for id_ in later} == {Reason.CONSENT_WITHDRAWN}
    for consent, at in passed.items():
        permits, withdrawal = permits_on(books, consent), withdrawn_at(bus, consent)
        assert permits, "the bank had cards while it might"
        assert all((r.positions.consent or 0) <= withdrawal and r.at < at for r in permits)
    for line in books.exposed:
        consent = str(books.records[line.record].consent).partition("@")[0]
        assert line.time_ms <= passed[consent].timestamp() * 1000, "not even exposed"


# --- with a worker that is paused, or dead --------------------------------------------------------


@pytest.mark.parametrize("step", ["page-acknowledged:1", "offsets-sent:1"])
def test_paused_worker_delivers_nothing_when_it_wakes_after_the_fence(
    bus: Bus, citizens: Citizens, step: str
) -> None:
    """It holds a permission that was right when it was recorded; its transaction is fenced."""
    [n] = islice(numbers_in(bus, 0, start=2000 if step.startswith("page") else 3000), 1)
    before = len(read_books(bus, [AT_THE_BANK]).delivered)
    with bus.running("enforce-0", "--pause-at", step) as paused:
        consent = citizens.give(n)
        first = _publish_card(bus, n)
        bus.wait(lambda: is_stopped(paused.process.pid), "the worker to pause")
        withdrawal = citizens.withdraw(n, consent)
        citizens.held_up(withdrawal, for_s=HELD_UP_S)
        with bus.running("enforce-0", CIVICBUS_HEALTH_PORT="0") as successor:  # the zombie has it
            citizens.pass_fence(withdrawal)
            at = datetime.now(UTC)
            paused.send(signal.SIGCONT)
            assert paused.wait() == EXIT_FENCED, paused.log.read_text()[-2000:]
            second = _publish_card(bus, n)
            bus.wait(lambda: bus.is_drained(CARDS), "the successor")
            assert successor.stop() == 0
    books = read_books(bus, [AT_THE_BANK])
    assert len(books.delivered) == before, "the bank got nothing"
    [permit] = permits_on(books, consent)
    assert (permit.positions.consent or 0) <= withdrawn_at(bus, consent)
    assert permit.at < at
    assert books.page_of[permit.id] not in books.released_pages
    told = bank_was_told(books)
    assert {told[first], told[second]} == {Reason.CONSENT_WITHDRAWN}
    assert books.unrecorded() == []


def _publish_card(bus: Bus, n: int) -> str:
    with bus.publisher("identity") as publisher:
        return publisher.publish(card(n), subject=child_pin(n)).wait(DEADLINE_S).event_id


@pytest.mark.parametrize("step", ["page-acknowledged:1", "offsets-sent:1"])
def test_paused_worker_decides_anew_when_it_wakes_without_a_successor(
    bus: Bus, citizens: Citizens, step: str
) -> None:
    """Its decision is too old: the withdrawal that came meanwhile counts."""
    [n] = islice(numbers_in(bus, 0, start=30_000 + 1000 * len(step)), 1)
    before = len(read_books(bus, [AT_THE_BANK]).delivered)
    with bus.running("enforce-0", "--pause-at", step) as paused:
        consent = citizens.give(n)
        event = _publish_card(bus, n)
        bus.wait(lambda: is_stopped(paused.process.pid), "the worker to pause")
        withdrawal = citizens.withdraw(n, consent)
        citizens.held_up(withdrawal, for_s=PROMPT_S + 0.5)
        paused.send(signal.SIGCONT)
        citizens.pass_fence(withdrawal)
        bus.wait(lambda: bus.is_drained(CARDS), "the worker")
        assert paused.stop() == 0, paused.log.read_text()[-2000:]
    books = read_books(bus, [AT_THE_BANK])
    assert len(books.delivered) == before, "the bank got nothing"
    [permit] = permits_on(books, consent)
    assert books.page_of[permit.id] not in books.released_pages
    assert bank_was_told(books)[event] is Reason.CONSENT_WITHDRAWN


def test_fence_is_held_up_and_not_passed_when_its_group_is_dead(
    bus: Bus, citizens: Citizens
) -> None:
    """Nobody vouches for a dead worker's deliveries but its successor."""
    [n] = islice(numbers_in(bus, 1, start=4000), 1)
    with bus.running("enforce-1") as worker:
        consent = citizens.give(n)
        worker.kill()
        withdrawal = citizens.withdraw(n, consent)
        bus.wait(
            lambda: enforcement_group(1) in citizens.held_up(withdrawal, for_s=HELD_UP_S),
            "the dead to be all that the fence waits for",
        )
    with bus.running("enforce-1"):
        citizens.pass_fence(withdrawal)


@pytest.mark.parametrize("step", ["page-acknowledged:1", "produced:1", "offsets-sent:1"])
def test_recipient_is_told_of_a_withdrawal_once_when_the_worker_dies_as_it_tells(
    bus: Bus, citizens: Citizens, step: str
) -> None:
    """What it recorded stays, as not released; its successor finds the ending untold."""
    [n] = islice(numbers_in(bus, 1, start=5000 + 1000 * len(step)), 1)
    with bus.running("enforce-1") as worker:
        consent = citizens.give(n)
        assert worker.stop() == 0
    withdrawal = citizens.withdraw(n, consent)
    bus.wait(lambda: bool(_withdrawn_in_state(bus, consent)), "the withdrawal to be folded")
    with bus.running("enforce-1", "--die-at", step) as dying:
        assert dying.wait() < 0
    assert _told_of(bus, consent) == []
    with bus.running("enforce-1"):
        citizens.pass_fence(withdrawal)
    [record] = _told_of(bus, consent)
    books = read_books(bus, [AT_THE_BANK])
    pages = {books.page_of[r.id] for r in books.records.values() if _names(r, consent)}
    assert len(pages) == 2, "that of the dead, and its successor's"
    assert pages & books.released_pages <= {books.page_of[record]}


def _told_of(bus: Bus, consent: str) -> list[str]:
    """The records of the notices that the bank got of a withdrawal."""
    notices = read_books(bus, [AT_THE_BANK]).notices
    return [line.record for line in notices if line.headers["ce_consent"] == consent]


def _names(record: Record, consent: str) -> bool:
    return (record.consent or "").startswith(consent)


# --- look-ups -------------------------------------------------------------------------------------


@dataclass
class Asking:
    """A bank's officer who asks the same again and again; what came back, in order."""

    place: LookupPlace
    codes: list[str] = field(default_factory=list)

    def ask(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        claims = samples.verifying(full_name=samples.NAME)
        while not stop.is_set():
            self.codes.append(self.place.code(claims, agency=samples.BANK))

    def await_more(self, count: int = 4) -> None:
        """Wait until so many more answers came."""
        until = len(self.codes) + count
        self.place.bus.wait(lambda: len(self.codes) >= until, "answers")


def test_no_look_up_is_answered_on_a_withdrawn_consent_when_its_fence_has_passed(
    bus: Bus, citizens: Citizens
) -> None:
    """The fence waits for leases too, so that answers in flight are over when it has passed."""
    place, pin, consent = LookupPlace(bus), samples.LAN, str(uuid4())
    place.settle(person())
    asking = Asking(place)
    with bus.running(enforcement_group(group_of(bus, pin))), place.running():
        place.serve()
        citizens.pass_fence(citizens.publish(_given(pin, consent), pin))
        with going_on(asking.ask):
            asking.await_more()
            citizens.pass_fence(citizens.publish(_withdrawn(pin, consent), pin))
            at = datetime.now(UTC)
            answered = len(asking.codes) + 1  # one may have been asked just before
            asking.await_more()
    assert asking.codes[0] == "result"
    assert set(asking.codes[answered:]) == {Reason.CONSENT_WITHDRAWN}
    permits = permits_on(read_books(bus, [AT_THE_BANK]), consent)
    assert len(permits) == asking.codes.count("result")
    offset = withdrawn_at(bus, consent)
    assert all((r.positions.consent or 0) <= offset and r.at < at for r in permits)


def _given(pin: Pin, consent: str) -> ConsentGiven:
    return ConsentGiven(
        citizen=ConsentGiven.Citizen(pin=pin.number),
        consent_id=consent,
        recipient=samples.BANK,
        purpose=samples.CREDIT,
        fields=("population.Person:full_name",),
        given_at=datetime.now(UTC),
    )


def _withdrawn(pin: Pin, consent: str) -> ConsentWithdrawn:
    return ConsentWithdrawn(
        citizen=ConsentWithdrawn.Citizen(pin=pin.number),
        consent_id=consent,
        recipient=samples.BANK,
        purpose=samples.CREDIT,
        withdrawn_at=datetime.now(UTC),
    )

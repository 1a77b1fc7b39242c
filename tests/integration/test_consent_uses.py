"""Uses of counted consents with the real processes: spent once, whoever dies or races."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from civicbus_consumers.access.people import place_of
from civicbus_consumers.consent.registry import database
from civicbus_consumers.consent.registry.tables import day_place
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.lookup.database import make_engine, migrate
from civicbus_consumers.lookup.leases import LeaseHolders
from civicbus_consumers.runtime.process import EXIT_UNAVAILABLE
from civicbus_producers.settings import read_secret
from civicbus_schemas.ids import AgreementRef, Pin
from civicbus_schemas.record import Record
from civicbus_schemas.topics import consent_group, enforcement_group
from civicbus_schemas.vietnam.events import ConsentGiven
from civicbus_schemas.vocabulary import Outcome, Reason
from psycopg import errors

from tests.bus import Bus
from tests.citizens import Citizens, open_fence
from tests.integration.lookup_place import LookupPlace, person
from tests.lives import card, card_consent, child_pin
from tests.reconciliation import read_books
from tests.stack import DEADLINE_S
from tests.subjects import group_of, numbers_in
from tests.unit import lookup_samples as samples

pytestmark = [pytest.mark.broker, pytest.mark.crash]

CARDS, AT_THE_BANK = "src.identity.identity.v1", "dlv.bank.identity.v1"
ROUNDS = 6


@pytest.fixture(scope="module")
def bus(bus: Bus) -> Iterator[Bus]:
    """A stack of this module's own, since its workers die; consents are folded all the time."""
    engine = database.make_engine(bus.stack.dsn_file("consent"))
    database.migrate(engine)
    engine.dispose()
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


def _give(citizens: Citizens, n: int, pin: Pin, *, uses: int = 1) -> str:
    """A consent for cards and a name, for so many uses, in force everywhere; its id."""
    consent = str(uuid4())
    given = card_consent(n, consent_id=consent)
    given = replace(
        given,
        citizen=ConsentGiven.Citizen(pin=pin.number),
        fields=(*given.fields, "population.Person:full_name"),
        uses=ConsentGiven.Uses(count=uses),
    )
    citizens.pass_fence(citizens.publish(given, pin))
    return consent


def _publish_card(bus: Bus, n: int, pin: Pin) -> str:
    issued = card(n)
    issued = replace(issued, holder=replace(issued.holder, pin=pin.number))
    with bus.publisher("identity") as publisher:
        return publisher.publish(issued, subject=pin).wait(DEADLINE_S).event_id


def _about(bus: Bus, *consents: str) -> list[Record]:
    """What was decided on these consents, in order."""
    found = read_books(bus, [AT_THE_BANK]).records.values()
    mine = [r for r in found if (r.consent or "").partition("@")[0] in consents]
    return sorted(mine, key=lambda record: record.at)


@pytest.mark.parametrize("step", ["decided:1", "page-acknowledged:1", "offsets-sent:1"])
def test_use_is_spent_once_when_the_worker_is_killed_between_decision_and_commit(
    bus: Bus, citizens: Citizens, step: str
) -> None:
    [n] = islice(numbers_in(bus, 0, start=1000 + 1000 * len(step)), 1)
    pin, before = child_pin(n), len(bus.read_all(AT_THE_BANK))
    with bus.running("enforce-0") as worker, bus.running("enforce-1"):
        consent = _give(citizens, n, pin)
        assert worker.stop() == 0
    with bus.running("enforce-0", "--die-at", step) as dying:
        first = _publish_card(bus, n, pin)
        assert dying.wait() < 0
    with bus.running("enforce-0"), bus.running("enforce-1"):
        second = _publish_card(bus, n, pin)
        bus.wait(lambda: bus.is_drained(CARDS), "the successor")
    assert len(bus.read_all(AT_THE_BANK)) == before + 1
    told = {(r.event and r.event.id, r.decision, r.reason) for r in _about(bus, consent)}
    assert told == {
        (first, Outcome.PERMIT, None),
        (second, Outcome.DENY, Reason.CONSENT_USED_UP),
    }


def test_partition_stops_and_loses_nothing_when_uses_cannot_be_counted(
    bus: Bus, citizens: Citizens, tmp_path: Path
) -> None:
    dead = tmp_path / "dsn"
    dead.write_text("postgresql://enforcement:nothing@127.0.0.1:1/civicbus")
    dead.chmod(0o600)
    counted, free = islice(numbers_in(bus, 0, start=40_000), 2)
    with bus.running("enforce-0", supervised=False, CIVICBUS_USES_DSN_FILE=str(dead)) as worker:
        consent = _give(citizens, counted, child_pin(counted))
        allowed = citizens.give(free)
        _publish_card(bus, free, child_pin(free))
        bus.wait(lambda: len(_about(bus, allowed)) == 1, "a card on a consent without a count")
        _publish_card(bus, counted, child_pin(counted))
        assert worker.wait() == EXIT_UNAVAILABLE
    assert _about(bus, consent) == []
    with bus.running("enforce-0"), bus.running("enforce-1"):
        bus.wait(lambda: bus.is_drained(CARDS), "the successor")
    assert [record.decision for record in _about(bus, consent)] == [Outcome.PERMIT]


def test_enforcement_may_take_places_in_a_day_and_free_none(bus: Bus) -> None:
    dsn_file = bus.stack.dsn_file("enforcement")
    people = RegistryUses(dsn_file, table=day_place)
    place = place_of(AgreementRef("vss.limited", 1), b"somebody", datetime.now(UTC), allowed=1)
    assert people.reserve([place]) == {place}
    people.close()
    with (
        psycopg.connect(read_secret(dsn_file), autocommit=True) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute("delete from consent.day_place")


def test_exactly_one_wins_when_a_worker_and_a_look_up_race_for_the_last_use(
    bus: Bus, citizens: Citizens
) -> None:
    place, pin = LookupPlace(bus), samples.LAN
    place.settle(person())
    asked = samples.asked(purpose="account.update-customer", fields=["full_name"])
    before, consents, codes = len(bus.read_all(AT_THE_BANK)), list[str](), list[str]()
    name = enforcement_group(group_of(bus, pin))
    with bus.running(name), place.running(), ThreadPoolExecutor(1) as threads:
        place.serve()
        for n in range(ROUNDS):
            consents.append(_give(citizens, n, pin))
            asking = threads.submit(place.code, asked, agency=samples.BANK)
            _publish_card(bus, n, pin)
            codes.append(asking.result(DEADLINE_S))
        bus.wait(lambda: bus.is_drained(CARDS), "the worker")
    permits = Counter(r.consent for r in _about(bus, *consents) if r.decision is Outcome.PERMIT)
    assert permits == {f"{consent}@1": 1 for consent in consents}
    cards = len(bus.read_all(AT_THE_BANK)) - before
    assert codes.count("result") + cards == ROUNDS
    assert set(codes) <= {"result", Reason.CONSENT_USED_UP}

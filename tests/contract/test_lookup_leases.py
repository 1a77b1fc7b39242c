"""What every place of leases does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from civicbus_consumers.lookup.database import make_engine, migrate
from civicbus_consumers.lookup.leases import LEASE_S, LeaseHolders, LeaseLost, Leases
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageRef, Position
from civicbus_schemas.topics import STATE_CONSENT
from psycopg.sql import SQL, Identifier
from sqlalchemy import text

from tests.fakes.lookup import FakeLeases
from tests.stack import Stack

NOBODY = 2**63 - 1


class Place(Protocol):
    """Leases, how a fence sees them, and a clock that can be set forward."""

    leases: Any

    def position(self, partition: int) -> int: ...
    def pass_time(self, seconds: float) -> None: ...


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self.leases = FakeLeases()

    def position(self, partition: int) -> int:
        return self.leases.position(STATE_CONSENT, partition)

    def pass_time(self, seconds: float) -> None:
        self.leases.now += seconds


class InPostgres:
    """The real one, in a database whose clock stands still but when it is set forward."""

    def __init__(self, dsn_file: Path) -> None:
        _make_clock(dsn_file.read_text())
        self.engine = make_engine(dsn_file)
        migrate(self.engine)
        migrate(self.engine)
        self._now = 0.0
        self.leases = Leases(self.engine, "lookup", monotonic=lambda: self._now)

    def position(self, partition: int) -> int:
        return LeaseHolders(self.engine).position(STATE_CONSENT, partition)

    def pass_time(self, seconds: float) -> None:
        self._now += seconds
        with self.engine.begin() as connection:
            later = text("update clock.time set now = now + make_interval(secs => :seconds)")
            connection.execute(later, {"seconds": seconds})


def _make_clock(dsn: str) -> None:
    """What asks for the time by `clock_timestamp()` is told what stands in a table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (
            "create schema clock",
            "create table clock.time as select pg_catalog.clock_timestamp() as now",
            "create function clock.clock_timestamp() returns timestamptz language sql"
            " as 'select now from clock.time'",
        ):
            connection.execute(statement)
        path = SQL("alter database {} set search_path = clock, pg_catalog, public")
        connection.execute(path.format(Identifier(connection.info.dbname)))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each place in turn."""
    if request.param == "memory":
        yield InMemory()
        return
    stack: Stack = request.getfixturevalue("stack")
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(stack.create_database())
    dsn_file.chmod(0o600)
    made = InPostgres(dsn_file)
    yield made
    made.engine.dispose()


def _at(offset: int) -> tuple[Position, ...]:
    return tuple(Position(topic=STATE_CONSENT, partition=p, offset=offset) for p in range(3))


def _gone(call: Callable[[], object]) -> None:
    with pytest.raises(LeaseLost):
        call()


def test_fence_does_not_wait_when_nobody_holds_a_lease(place: Place) -> None:
    assert place.position(0) >= NOBODY


def test_fence_waits_for_the_oldest_when_several_hold_leases(place: Place) -> None:
    first, second = place.leases.take(_at(5)), place.leases.take(_at(9))
    assert place.position(2) == 5
    first.renew(_at(8))
    assert place.position(2) == 8
    first.give_back()
    assert not first.holds()
    assert place.position(2) == 9
    assert second.holds()


def test_fence_waits_when_a_lease_names_no_position_of_the_partition(place: Place) -> None:
    place.leases.take(_at(5))
    assert place.position(7) == 0


def test_lease_lapses_when_it_is_not_renewed(place: Place) -> None:
    held = place.leases.take(_at(5))
    place.pass_time(LEASE_S - 1)
    held.renew(_at(6))
    place.pass_time(LEASE_S - 1)
    assert held.holds()
    place.pass_time(2)
    assert not held.holds()
    assert place.position(0) >= NOBODY


def test_lease_ends_here_before_it_ends_for_others_when_it_is_not_renewed(place: Place) -> None:
    held = place.leases.take(_at(5))
    place.pass_time(LEASE_S - 0.2)
    assert not held.holds()
    assert place.position(0) == 5


def test_lease_is_never_held_again_when_it_has_lapsed(place: Place) -> None:
    held = place.leases.take(_at(5))
    place.pass_time(LEASE_S + 1)
    _gone(lambda: held.renew(_at(6)))
    place.leases.take(_at(7))
    _gone(lambda: held.renew(_at(8)))
    assert not held.holds()


def test_released_page_is_found_when_a_successor_asks(place: Place) -> None:
    assert place.leases.find_released() is None
    for sequence in (3, 4):
        page = PageRef(recorder=RecorderId("ab" * 16), sequence=sequence, hash="cd" * 32)
        place.leases.remember_released(page)
    assert place.leases.find_released() == page

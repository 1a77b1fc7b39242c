"""What every place that counts uses does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from civicbus_consumers.consent.registry import database
from civicbus_consumers.consent.registry.tables import day_place
from civicbus_consumers.consent.registry.tables import use as use_table
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.consent.uses import Reservations, Use
from civicbus_schemas.errors import Unavailable

from tests.fakes.uses import FakeReservations
from tests.stack import Stack

CONSENT = str(uuid4())


TABLES = {"uses": use_table, "places in a day": day_place}


@pytest.fixture(
    params=["memory", *(pytest.param(name, marks=pytest.mark.broker) for name in TABLES)]
)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Reservations]]:
    """Each place in turn; every call gives somebody else's access to the same uses."""
    if request.param == "memory":
        shared = FakeReservations()
        yield lambda: shared
        return
    stack: Stack = request.getfixturevalue("stack")
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(stack.create_database())
    dsn_file.chmod(0o600)
    engine = database.make_engine(dsn_file)
    database.migrate(engine)
    engine.dispose()
    made: list[RegistryUses] = []

    def connected() -> RegistryUses:
        made.append(RegistryUses(dsn_file, table=TABLES[request.param]))
        return made[-1]

    yield connected
    for one in made:
        one.close()


@pytest.fixture
def reservations(connect: Callable[[], Reservations]) -> Reservations:
    return connect()


def use(claim: str, **changes: Any) -> Use:
    """A use of a consent that allows two within a day."""
    values = {"consent": CONSENT, "claim": claim, "period": "2026-11-22", "allowed": 2}
    return Use(**values | changes)  # type: ignore[arg-type]


def test_uses_are_granted_until_none_is_left(reservations: Reservations) -> None:
    assert reservations.reserve([use("a")]) == {use("a")}
    assert reservations.reserve([use("b")]) == {use("b")}
    assert reservations.reserve([use("c")]) == frozenset()


def test_first_ones_are_granted_when_more_are_wanted_at_once(reservations: Reservations) -> None:
    assert reservations.reserve([use("c"), use("a"), use("b")]) == {use("c"), use("a")}


def test_reservation_is_found_again_when_the_same_is_claimed(reservations: Reservations) -> None:
    reservations.reserve([use("a"), use("b")])
    assert reservations.reserve([use("a"), use("c"), use("b")]) == {use("a"), use("b")}


def test_reservation_is_found_again_when_the_period_has_changed(
    reservations: Reservations,
) -> None:
    """A retry after midnight spends nothing of the new day."""
    reservations.reserve([use("a")])
    later = [use(claim, period="2026-11-23") for claim in ("a", "b", "c", "d")]
    assert reservations.reserve(later) == set(later[:3])


def test_periods_and_consents_are_counted_each_by_itself(reservations: Reservations) -> None:
    places = list(product((CONSENT, str(uuid4())), ("2026-11-22", "2026-11-23")))
    uses = [
        use(f"{n} of {period}", consent=consent, period=period)
        for n in range(3)
        for consent, period in places
    ]
    granted = reservations.reserve(uses)
    assert granted == set(uses[: 2 * len(places)])


def test_nothing_is_asked_when_nothing_is_wanted(reservations: Reservations) -> None:
    assert reservations.reserve([]) == frozenset()


def test_exactly_the_allowed_uses_are_granted_when_many_reserve_at_once(
    connect: Callable[[], Reservations],
) -> None:
    others = [str(uuid4()) for _ in range(3)]

    def reserve(n: int) -> frozenset[Use]:
        mine = [use(f"{n}", consent=consent, allowed=5) for consent in (CONSENT, *others)]
        return connect().reserve(mine if n % 2 else mine[::-1])

    with ThreadPoolExecutor(8) as threads:
        granted = [u for got in threads.map(reserve, range(16)) for u in got]
    for consent in (CONSENT, *others):
        assert len({u.claim for u in granted if u.consent == consent}) == 5


def test_one_use_is_reserved_when_two_make_the_same_claim_at_once(
    connect: Callable[[], Reservations],
) -> None:
    """A worker and its successor."""
    with ThreadPoolExecutor(8) as threads:
        granted = list(threads.map(lambda _: connect().reserve([use("a")]), range(8)))
    assert granted == [{use("a")}] * 8
    assert connect().reserve([use("b"), use("c")]) == {use("b")}


@pytest.mark.broker
def test_retryable_error_is_raised_when_the_database_is_down(tmp_path: Path) -> None:
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text("postgresql://nobody:nothing@127.0.0.1:1/none")
    dsn_file.chmod(0o600)
    with pytest.raises(Unavailable):
        RegistryUses(dsn_file).reserve([use("a")])

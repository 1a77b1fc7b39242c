"""Connections that a record or a decision waits for end when the host is silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import psycopg
import pytest
from civicbus_audit.index import database as index
from civicbus_audit.vault.store import PostgresVault
from civicbus_consumers.consent.registry import database as registry
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.consent.uses import Use
from civicbus_consumers.flags import database as flags
from civicbus_consumers.lookup import database as lookup
from civicbus_consumers.lookup.database import PopulationView
from civicbus_consumers.officers.casework import database as casework
from civicbus_consumers.population import database as population
from civicbus_schemas.errors import Refused, Unavailable
from civicbus_schemas.subject import person
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import OperationalError

from tests.fakes.vault import KEY
from tests.unit.lookup_samples import LAN

DSN = "postgresql://nobody@127.0.0.1:1/none"
PLACES = (index, casework, flags, lookup, population, registry)
USE = Use(consent="c", claim="1", period="always", allowed=1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda _: PostgresVault(DSN, KEY).find([person(LAN)]),
        lambda file: RegistryUses(file).reserve([USE]),
        lambda file: PopulationView(file).read([LAN]),
    ],
    ids=["vault", "uses", "view"],
)
def test_a_connection_ends_within_seconds_when_its_host_is_silent(
    ask: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = tmp_path / "dsn", list[str]()
    file.write_text(DSN)
    file.chmod(0o600)

    def connect(conninfo: str, **_: object) -> None:
        asked.append(conninfo)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(Unavailable):
        ask(file)
    [conninfo] = asked
    given = conninfo_to_dict(conninfo)
    assert (given["host"], given["dbname"]) == ("127.0.0.1", "none")
    _check(given)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.split(".")[-2])
def test_an_engine_gives_up_a_server_that_it_cannot_reach_or_hear(
    place: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = tmp_path / "dsn", list[dict[str, object]]()
    file.write_text(DSN)
    file.chmod(0o600)

    def connect(**given: object) -> None:
        asked.append(given)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(OperationalError):
        place.make_engine(file).connect()
    [given] = asked
    assert (given["host"], given["dbname"]) == ("127.0.0.1", "none")
    assert int(str(given["connect_timeout"])) <= 10
    _check(given)
    file.write_text("no address")
    with pytest.raises(Refused, match="address of a database"):
        place.make_engine(file)


def _check(given: Mapping[str, object]) -> None:
    assert int(str(given["tcp_user_timeout"])) <= 5000
    keepalives = ("keepalives_idle", "keepalives_interval", "keepalives_count")
    idle, interval, count = (int(str(given[name])) for name in keepalives)
    assert idle + interval * count <= 10

"""Connections that a record or a decision waits for end when the host is silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from civicbus_audit.vault.store import PostgresVault
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.consent.uses import Use
from civicbus_consumers.lookup.database import PopulationView
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.subject import person
from psycopg.conninfo import conninfo_to_dict

from tests.fakes.vault import KEY
from tests.unit.lookup_samples import LAN

DSN = "postgresql://nobody@127.0.0.1:1/none"
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
    assert int(str(given["tcp_user_timeout"])) <= 5000
    keepalives = ("keepalives_idle", "keepalives_interval", "keepalives_count")
    idle, interval, count = (int(str(given[name])) for name in keepalives)
    assert idle + interval * count <= 10

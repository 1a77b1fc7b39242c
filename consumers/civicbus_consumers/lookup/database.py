"""The one place of look-ups that connects to PostgreSQL: leases, and the view, which it only reads.

Every statement has a short time: a lease that is renewed late is no lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import psycopg
from civicbus_audit.index.database import connect, open_engine
from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import Pin
from sqlalchemy import Engine, text
from sqlalchemy.schema import CreateSchema

from civicbus_consumers.lookup.tables import SCHEMA
from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.population.reading import Snapshot, read_persons
from civicbus_consumers.runtime.migrating import upgrade

STATEMENT_S = 2
_MIGRATION_LOCK = 0x0C1B_100C
_READ_ONLY = "-cdefault_transaction_read_only=on"


class View(Protocol):
    """The population view as look-ups see it."""

    def read(self, pins: Sequence[Pin]) -> Snapshot:
        """The persons with these numbers in one snapshot; raises `Unavailable` or `Fatal`."""
        ...


def make_engine(dsn_file: Path) -> Engine:
    """An engine for the leases; the file has mode 0600."""
    return open_engine(
        read_secret(dsn_file),
        dsn_file=dsn_file,
        options=f"-cstatement_timeout={STATEMENT_S}s",
        connect_s=STATEMENT_S,
    )


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest form; harmless when they are there already."""
    with errors_translated("migrating the look-ups' tables"), engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        upgrade(connection, package="civicbus_consumers.lookup")


class PopulationView:
    """The view in PostgreSQL, through one read-only connection that is made anew after an error."""

    def __init__(self, dsn_file: Path) -> None:
        self._dsn_file = dsn_file
        self._connection: psycopg.Connection[Any] | None = None

    def read(self, pins: Sequence[Pin]) -> Snapshot:
        """The persons with these numbers in one snapshot; raises `Unavailable` or `Fatal`."""
        try:
            return read_persons(self._connected(), pins)
        except BusError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            with errors_translated("connecting to the view"):
                dsn = read_secret(self._dsn_file)
                self._connection = connect(dsn, statement_s=STATEMENT_S, options=_READ_ONLY)
        return self._connection

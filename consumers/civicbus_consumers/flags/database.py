"""The one place of flags that connects to PostgreSQL and migrates."""

from __future__ import annotations

from pathlib import Path

from civicbus_audit.index.database import open_engine
from civicbus_producers.settings import read_secret
from sqlalchemy import Connection, Engine, text
from sqlalchemy.schema import CreateSchema

from civicbus_consumers.flags.tables import SCHEMA
from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.runtime.migrating import upgrade

_WRITER_LOCK = 0x0C1B_F1A6


def make_engine(dsn_file: Path) -> Engine:
    """An engine whose unqualified names lie in the schema `flags`; the file has mode 0600."""
    options = f"-csearch_path={SCHEMA} -cstatement_timeout=60s"
    return open_engine(read_secret(dsn_file), dsn_file=dsn_file, options=options)


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest form; harmless when they are there already."""
    with errors_translated("migrating the tables of flags"), engine.begin() as connection:
        hold_writer_lock(connection)
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        upgrade(connection, package="civicbus_consumers.flags", schema=SCHEMA)


def hold_writer_lock(connection: Connection) -> None:
    """Wait until no other transaction writes flags; held until this one ends."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})

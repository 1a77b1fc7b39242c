"""The one place of casework that connects to PostgreSQL and migrates its tables."""

from __future__ import annotations

from pathlib import Path

from civicbus_audit.index.database import open_engine
from civicbus_producers.settings import read_secret
from sqlalchemy import Engine, text
from sqlalchemy.schema import CreateSchema

from civicbus_consumers.officers.casework.tables import SCHEMA
from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.runtime.migrating import upgrade

STATEMENT_S = 5
_MIGRATION_LOCK = 0x0C1B_CA5E


def make_engine(dsn_file: Path) -> Engine:
    """An engine for the cases' tables; the file has mode 0600."""
    return open_engine(
        read_secret(dsn_file),
        dsn_file=dsn_file,
        options=f"-cstatement_timeout={STATEMENT_S}s",
        connect_s=STATEMENT_S,
        pool_size=1,
    )


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest form; harmless when they are there already."""
    with errors_translated("migrating cases"), engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        upgrade(connection, package="civicbus_consumers.officers.casework")

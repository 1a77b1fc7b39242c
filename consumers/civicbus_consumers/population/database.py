"""The one place that connects to PostgreSQL, migrates the view and turns errors into ours.

SQL and its parameters never reach a message: they hold personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from civicbus_audit.index.database import open_engine
from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import BusError, Fatal, Unavailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from civicbus_consumers.population.tables import SCHEMA
from civicbus_consumers.runtime.migrating import upgrade

# Held for the length of a transaction by whoever changes the view or swaps it.
WRITER_LOCK = 0x0C1B_C0DE
_SERVER_GONE = (
    "57",
    "58",
    "53",
    "08",
)  # SQLSTATE classes: intervention, system, resources, network


def make_engine(dsn_file: Path, *, schema: str = SCHEMA) -> Engine:
    """An engine whose unqualified names lie in `schema`; the file has mode 0600."""
    options = f"-csearch_path={schema} -cstatement_timeout=300000"
    return open_engine(read_secret(dsn_file), dsn_file=dsn_file, options=options)


def migrate(engine: Engine, *, schema: str = SCHEMA) -> None:
    """Bring the tables in `schema` to the newest form; harmless when they are there already."""
    with errors_translated("migrating the view"), engine.begin() as connection:
        hold_writer_lock(connection)
        connection.execute(CreateSchema(schema, if_not_exists=True))
        upgrade(connection, package="civicbus_consumers.population", schema=schema)


def hold_writer_lock(connection: Connection) -> None:
    """Wait until no other transaction changes this view; held until this one ends."""
    lock = text("select pg_advisory_xact_lock(:key, hashtext(current_setting('search_path')))")
    connection.execute(lock, {"key": WRITER_LOCK})


@contextmanager
def errors_translated(doing: str) -> Iterator[None]:
    """Raise our errors where SQLAlchemy or psycopg raise theirs; only the SQLSTATE is told."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        raise _translated(error, doing) from None


def _translated(error: Exception, doing: str) -> BusError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlstate", None)
    got = f"SQLSTATE {code}" if code else type(cause).__name__
    what = f"PostgreSQL: {doing} failed"
    gone = isinstance(error, OperationalError | psycopg.OperationalError)
    if (gone and code is None) or (code or "").startswith(_SERVER_GONE):
        return Unavailable(what, got=got, next_step="see `civicbus doctor`")
    return Fatal(what, got=got, next_step="ask an operator")

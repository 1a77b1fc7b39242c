"""The one place that connects to PostgreSQL, migrates the index and turns errors into ours.

SQL and its parameters never reach a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from civicbus_schemas.errors import Fatal, Refused, Unavailable
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from civicbus_audit.index.tables import SCHEMA

CONNECT_S: Final = 10
_WRITER_LOCK = 0x0C1B_A0D1
_SERVER_GONE = ("08", "53", "57", "58")  # classes of SQLSTATE


NOTICING_SILENCE: Final = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,
}
"""For libpq (s, and ms): a host that says nothing is given up, where the server's own limit of a
statement cannot reach us any more."""


def make_engine(dsn_file: Path, *, schema: str = SCHEMA, reading_s: int | None = None) -> Engine:
    """An engine whose unqualified names lie in `schema`; the file holds one DSN.

    With `reading_s` it only reads, and no statement takes longer than so many seconds.
    """
    try:
        dsn = dsn_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        dsn = ""
    options = f"-csearch_path={schema}"
    if reading_s is not None:
        options += f" -cdefault_transaction_read_only=on -cstatement_timeout={reading_s}s"
    return open_engine(dsn, dsn_file=dsn_file, options=options)


def open_engine(
    dsn: str, *, dsn_file: Path, options: str, connect_s: int = CONNECT_S, pool_size: int = 2
) -> Engine:
    """An engine for what `dsn_file` held: it gives up a server that it cannot reach or hear.

    Every engine of ours is made here. Raises `Refused` where that is no address of a database.
    """
    try:
        url = make_url(dsn).set(drivername="postgresql+psycopg")
    except ArgumentError:
        raise Refused(
            f"{dsn_file} does not hold the address of a database", expected="postgresql://…"
        ) from None
    given = {"options": options, "connect_timeout": connect_s, **NOTICING_SILENCE}
    return create_engine(url, hide_parameters=True, pool_size=pool_size, connect_args=given)


def connect(dsn: str, *, statement_s: int, options: str = "") -> psycopg.Connection[Any]:
    """A connection for short statements, each on its own; given up after `statement_s` each.

    Statements are planned anew each time. A plan that is kept for lists of any length was made when
    the table was small: it reads the whole table and compares each row with the whole list.
    """
    return psycopg.connect(
        make_conninfo(dsn, **NOTICING_SILENCE),
        autocommit=True,
        connect_timeout=statement_s,
        prepare_threshold=None,
        options=f"-cstatement_timeout={statement_s}s {options}".rstrip(),
    )


def migrate(engine: Engine, *, schema: str = SCHEMA) -> None:
    """Brings the tables in `schema` to the newest form; harmless when they are there already."""
    from alembic import command  # here: most processes migrate nothing, and it takes half a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "civicbus_audit.index:migrations")
    with errors_translated("migrating the index"), engine.begin() as connection:
        hold_writer_lock(connection)
        connection.execute(CreateSchema(schema, if_not_exists=True))
        config.attributes.update(connection=connection, schema=schema)
        command.upgrade(config, "head")


def hold_writer_lock(connection: Connection) -> None:
    """Waits until no other transaction writes the index; held until this one ends."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})


@contextmanager
def errors_translated(doing: str) -> Iterator[None]:
    """Raises our errors where SQLAlchemy or psycopg raise theirs; only the SQLSTATE is told."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlstate", None)
        got = f"SQLSTATE {code}" if code else type(cause).__name__
        if isinstance(cause, psycopg.OperationalError) and (code or "08")[:2] in _SERVER_GONE:
            raise Unavailable(f"PostgreSQL does not answer while {doing}", got=got) from None
        raise Fatal(f"PostgreSQL refused {doing}", got=got) from None

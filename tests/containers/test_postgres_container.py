"""The tables of index and view on a PostgreSQL that is not the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.index import database as index_database
from civicbus_audit.index import tables as index_tables
from civicbus_consumers.population import database as view_database
from civicbus_consumers.population import tables as view_tables
from sqlalchemy import inspect
from testcontainers.community.postgres import PostgresContainer

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("daemon")]


@pytest.fixture
def dsn_file(tmp_path: Path) -> Iterator[Path]:
    """The address of an empty database in a container."""
    file = tmp_path / "postgres-dsn"
    file.touch(mode=0o600)
    with PostgresContainer("postgres:18", driver=None) as postgres:
        file.write_text(postgres.get_connection_url())
        yield file


@pytest.mark.parametrize(
    ("database", "schema", "expected"),
    [
        (index_database, index_tables.SCHEMA, {"leaf", "recorder", "progress"}),
        (view_database, view_tables.SCHEMA, {"person", "watermark", "quarantine"}),
    ],
    ids=["index", "view"],
)
def test_migrations_make_the_tables_once_when_the_database_is_a_container(
    dsn_file: Path, database: Any, schema: str, expected: set[str]
) -> None:
    engine = database.make_engine(dsn_file)
    try:
        for _ in range(2):
            database.migrate(engine)
            assert expected <= set(inspect(engine).get_table_names(schema=schema))
    finally:
        engine.dispose()

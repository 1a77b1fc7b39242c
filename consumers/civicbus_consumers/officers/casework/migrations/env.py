"""Alembic's environment: runs on the connection that `database.migrate` gives."""

from __future__ import annotations

from alembic import context

from civicbus_consumers.officers.casework.tables import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    version_table="case_version",
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()

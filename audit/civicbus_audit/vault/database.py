"""Bringing the vault's table to its newest form; what changes it connects in `store`."""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.schema import CreateSchema

from civicbus_audit.index.database import errors_translated
from civicbus_audit.vault.tables import SCHEMA

_MIGRATION_LOCK = 0x0C1B_5EC2


def migrate(engine: Engine) -> None:
    """Bring the table to the newest form; harmless when it is there already."""
    from alembic import command  # here: most processes migrate nothing, and it takes half a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "civicbus_audit.vault:migrations")
    with errors_translated("migrating the vault"), engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

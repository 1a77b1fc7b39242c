"""Bringing a room's tables to their newest form, with the migrations that lie beside its code."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def upgrade(connection: Connection, *, package: str, **attributes: Any) -> None:
    """Apply what is missing of `<package>/migrations`; their environment gets the attributes."""
    from alembic import command  # here: most processes migrate nothing, and it takes half a second
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.attributes.update(connection=connection, **attributes)
    command.upgrade(config, "head")

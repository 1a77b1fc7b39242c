"""The registry's tables, in a schema of their own."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)

SCHEMA: Final = "consent"
USES_ROLE: Final = "consent_uses"  # may reserve uses and see those reserved, and nothing else

metadata = MetaData(schema=SCHEMA)

# A reserved use. `claim` names what it is for (an event's place and agreement, or a look-up), so
# that a retry finds its own; `period` is `Uses.period_of`; `number` counts within it from 1, and is
# unique, so that two who reserve at once cannot both have the last one.
use = Table(
    "use",
    metadata,
    Column("consent_id", Uuid, nullable=False),
    Column("claim", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reserved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("consent_id", "claim"),
    UniqueConstraint("consent_id", "period", "number"),
)

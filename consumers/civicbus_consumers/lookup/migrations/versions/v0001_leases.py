"""Leases of serving instances, and the newest released page of each process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the schema is there already."""
    op.create_table(
        "lease",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("positions", JSONB, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        schema="lookup",
    )
    op.create_table(
        "released",
        sa.Column("process", sa.Text, primary_key=True),
        sa.Column("recorder", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        schema="lookup",
    )

"""Flags, labels, what is remembered, and how far the topic was read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables in the schema that comes first in `search_path`."""
    op.create_table(
        "flag",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("flag", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("officer", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("explanations", ARRAY(sa.Text), nullable=False),
        sa.Column("count", sa.Integer),
        sa.Column("usual", sa.Float),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closing", sa.Text),
        sa.Column("raised_told", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("closed_told", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index("flag_open", "flag", ["score"], postgresql_where=sa.text("closed_at is null"))
    op.create_index("flag_officer", "flag", ["officer"])
    op.create_index(
        "flag_untold",
        "flag",
        ["raised_at"],
        postgresql_where=sa.text("not raised_told or (closed_at is not null and not closed_told)"),
    )
    op.create_table(
        "label",
        sa.Column("record", sa.Text, primary_key=True),
        sa.Column("flag", sa.Text, nullable=False, index=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text),
    )
    op.create_table(
        "memory",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body", JSONB, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), index=True),
    )
    op.create_table(
        "position",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
    )

"""Saved queries, which lie in the same schema."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        "create table officers.saved (id text primary key, version integer not null,"
        " agency text not null, owner text not null, at timestamptz not null,"
        " sealed bytea not null)"
    )
    op.execute("create index saved_agency on officers.saved (agency, owner)")

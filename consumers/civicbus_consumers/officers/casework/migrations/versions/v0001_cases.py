"""Cases, and what was done to them."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "create table officers.case (id text primary key, agency text not null,"
    " opened_by text not null, opened_at timestamptz not null, assignee text,"
    " closed_at timestamptz)",
    "create index case_agency on officers.case (agency, opened_at)",
    "create table officers.act (number bigserial primary key,"
    " case_id text not null references officers.case (id), act text not null,"
    " at timestamptz not null, officer text not null, record_id text not null unique,"
    " sealed bytea not null)",
    "create index act_case on officers.act (case_id, number)",
)


def upgrade() -> None:
    """Make the tables; the schema is there already."""
    for statement in _TABLES:
        op.execute(statement)

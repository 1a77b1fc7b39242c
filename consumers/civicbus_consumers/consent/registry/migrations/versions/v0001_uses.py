"""Uses of counted consents, which whoever releases reserves before it records."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Roles are the server's: where it exists, it may reserve uses and see those reserved, no more.
_GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'consent_uses') then
    grant usage on schema consent to consent_uses;
    grant select, insert on consent.use to consent_uses;
  end if;
end $$
"""


def upgrade() -> None:
    """Make the table; the schema is there already."""
    op.execute(
        "create table consent.use (consent_id uuid, claim text, period text not null,"
        " number integer not null check (number > 0),"
        " reserved_at timestamptz not null default now(),"
        " primary key (consent_id, claim), unique (consent_id, period, number))"
    )
    op.execute(_GRANTS)

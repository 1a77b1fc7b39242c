"""Places in the days of agreements that limit people per day."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Roles are the server's: where it exists, it may reserve places and see those reserved, no more.
_GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'consent_uses') then
    grant select, insert on consent.day_place to consent_uses;
  end if;
end $$
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(
        "create table consent.day_place (counter uuid, claim text, period text not null,"
        " number integer not null check (number > 0),"
        " primary key (counter, claim), unique (counter, period, number))"
    )
    op.execute(_GRANTS)

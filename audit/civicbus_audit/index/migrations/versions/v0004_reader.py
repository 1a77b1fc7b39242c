"""Who may read the index and write nothing: the role `audit_reader`, where a server has it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_GRANTS = """
do $$
begin
  if exists (select from pg_roles where rolname = 'audit_reader') then
    execute format('grant usage on schema %I to audit_reader', current_schema());
    grant select on leaf, recorder, progress to audit_reader;
  end if;
end
$$
"""


def upgrade() -> None:
    """Grant what searching needs."""
    op.execute(_GRANTS)

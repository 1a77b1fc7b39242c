"""Secrets of subjects: recorders make and find them, readers find them, the eraser destroys them.

No column says whose a secret is: `subject` is a keyed name, and `random` is nothing without the
vault's key. `pseudonym` is the name in records, by which a sealed part's key is found.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Roles are the server's: where they exist, each may do its part and no more.
_GRANTS = """
do $$
declare
  part record;
begin
  for part in select * from (values
      ('vault_recorder', 'select, insert'),
      ('vault_reader', 'select'),
      ('vault_eraser', 'select, delete')) as parts (role, rights)
  loop
    if exists (select from pg_roles where rolname = part.role) then
      execute format('grant usage on schema vault to %I', part.role);
      execute format('grant %s on vault.secret to %I', part.rights, part.role);
    end if;
  end loop;
end
$$
"""


def upgrade() -> None:
    """Make the table; the schema is there already."""
    op.execute(
        "create table vault.secret (subject bytea primary key check (length(subject) = 32),"
        " random bytea not null unique check (length(random) = 32),"
        " pseudonym bytea not null unique check (length(pseudonym) = 16),"
        " since timestamptz not null)"
    )
    op.execute(_GRANTS)

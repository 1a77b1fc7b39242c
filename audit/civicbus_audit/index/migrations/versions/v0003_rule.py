"""Which national rule forbade it. Leaves from before may name one: the index begins anew."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and let sealing fill the index from the first bundle on."""
    op.execute("alter table leaf add column rule text")
    op.execute("truncate leaf, recorder, progress")

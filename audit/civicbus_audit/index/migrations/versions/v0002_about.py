"""Which record a review is about; and emergencies, to be found at once."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no leaf before this version is a review."""
    op.execute("alter table leaf add column about bytea")
    op.execute("create index leaf_about on leaf (about) where about is not null")
    op.execute("create index leaf_breakglass on leaf (index desc) where decision = 'breakglass'")

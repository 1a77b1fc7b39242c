"""What a secret is of: a person, an officer or a case, and never of which one.

The eraser destroys persons' secrets only. Rows of before do not say, and so are never destroyed.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; whoever makes a row from now on has to say."""
    op.execute(
        "alter table vault.secret add column kind text not null default 'unknown'"
        " check (kind in ('vn-pin', 'officer', 'case', 'unknown'))"
    )
    op.execute("alter table vault.secret alter column kind drop default")

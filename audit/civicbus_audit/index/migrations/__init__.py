"""The index's tables, step by step (Alembic)."""

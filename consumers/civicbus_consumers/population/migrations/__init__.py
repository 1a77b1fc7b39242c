"""The view's tables, step by step (Alembic)."""

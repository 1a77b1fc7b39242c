"""The tables of flags, step by step (Alembic)."""

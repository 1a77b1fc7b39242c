"""Alembic's migrations of the tables of look-ups."""

"""Keeps the index level with the published checkpoint; sealing never waits for it."""

"""How the cases' tables came about."""

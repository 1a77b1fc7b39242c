"""`python -m civicbus_audit.witness run …`: the witness without the other commands."""

from civicbus_audit.witness.cli import app

app()

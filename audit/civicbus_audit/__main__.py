"""`python -m civicbus_audit` is the command `civicbus-audit`."""

from civicbus_audit.cli import app

app(prog_name="civicbus-audit")

"""`python -m civicbus_audit` is the command `civicbus-audit`."""

from civicbus_audit.cli import app

if __name__ == "__main__":
    app(prog_name="civicbus-audit")

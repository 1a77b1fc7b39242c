"""civicbus-audit."""

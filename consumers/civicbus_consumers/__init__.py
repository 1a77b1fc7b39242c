"""civicbus-consumers."""

"""civicbus-schemas."""

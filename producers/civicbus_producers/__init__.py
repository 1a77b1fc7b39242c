"""civicbus-producers."""

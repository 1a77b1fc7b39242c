"""civicbus-deploy."""

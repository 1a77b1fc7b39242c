"""Holds page topic, ledger, index and witnesses against each other, all the time."""

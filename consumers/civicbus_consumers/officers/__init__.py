"""The officers' web process: who may ask the ledger, every question recorded before its answer."""

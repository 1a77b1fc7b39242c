"""Takes pages from the page topic into the ledger, and signs checkpoints."""

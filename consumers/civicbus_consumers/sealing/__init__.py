"""Takes pages from the page topic into the ledger, signs checkpoints, and fills the index."""
